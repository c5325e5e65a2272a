import { createLookup } from '../../infra/async/lookup.js';
import { createPolling } from '../../infra/async/polling.js';
import { defineAnnouncement } from '../../infra/database/unit-of-work.js';
import { createServicePauses } from '../../infra/push/service-pauses.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { readColumn } from '../encryption/encryption.content.js';
import { isQuiet } from '../notification/notification.policy.js';
import { attention } from './attention.js';
import { createBadgeWorker } from './badge.worker.js';
import type { PushContent } from './push.payload.js';
import { type DropReason, type PushWait, reasonAgainst, reasonAgainstSubject } from './push.policy.js';
import { createSenders } from './push.senders.js';
import { type ClaimedJob, claimJobs, type DuePush, endJobs, findDue, type JobEnd, nextDueMs } from './push.store.js';
import { type PushNotice, pushSubjects } from './push.subjects.js';

/**
 * Sends the pushes that are due, on every node. A job is claimed, checked against the current state (read, deleted,
 * left, signed out, …), sent and deleted. If a node crashes in between, another one takes over when the claim has
 * ended: a push can then be sent twice, and replaces itself on the device, because both have the same topic and tag.
 */
export interface PushWorker {
  /** Checks for jobs that are due; to be called when jobs were committed. */
  wake(): void;
  /** The outcomes since the start. */
  readonly counts: {
    readonly sent: ReadonlyMap<string, number>;
    readonly dropped: ReadonlyMap<DropReason, number>;
    readonly failed: ReadonlyMap<string, number>;
    readonly gone: number;
  };
  /** The number of devices that were sent only a new number of unread messages since the start. */
  readonly badgesSent: number;
  /** Resolves when the pushes in progress have been sent, or after `PUSH_TIMEOUT`. */
  close(): Promise<void>;
}

/** Jobs were committed. The items have no meaning. */
export const pushesEnqueued = defineAnnouncement<true>('pushes enqueued');

/** The longest time between two checks for jobs, in milliseconds: another node may have committed some, and crashed. */
const POLL_MAX_MS = 1_000;
const POLL_MIN_MS = 20;
/** The pause before the first retry, in milliseconds. It doubles with each further one. */
const RETRY_MS = 5_000;
const RETRY_MAX_MS = 30 * 60_000;
const TOPIC_CHARS = 32;

function createPushWorker(deps: Deps): PushWorker {
  const { config, database, log, secrets } = deps;
  const { sql } = database;
  const senders = createSenders(deps);
  const pauses = createServicePauses();
  const watched = attention.of(deps);
  const counts = {
    sent: new Map<string, number>(),
    dropped: new Map<DropReason, number>(),
    failed: new Map<string, number>(),
    gone: 0,
  };
  const countIn = <Key>(map: Map<Key, number>, key: Key) => void map.set(key, (map.get(key) ?? 0) + 1);
  // A request can wait until those before it have ended, each of which can take until the time limit.
  const claimMs = Math.ceil(config.pushTimeoutMs * (Math.ceil(config.pushAtOnce / config.pushAtOncePerService) + 2));
  const endJob = createLookup(async (ends: readonly JobEnd[]) => {
    await endJobs(sql, ends);
    return ends.map(() => undefined);
  });
  const inProgress = new Set<Promise<void>>();
  const polling = createPolling({
    check,
    async nextMs() {
      const ms = inProgress.size > 0 ? null : await nextDueMs(sql);
      return Math.min(Math.max(ms ?? POLL_MAX_MS, POLL_MIN_MS), POLL_MAX_MS);
    },
    intervalMs: POLL_MAX_MS,
    onError: (error) => log.warn({ err: error }, 'pushes that are due could not be read; retrying'),
  });

  const retryMs = (tries: number) => Math.min(RETRY_MS * 2 ** tries, RETRY_MAX_MS) * (0.8 + 0.4 * Math.random());

  /** Decides about one job, sends its push, and returns what to store. */
  async function process(
    { ageMs, ...job }: ClaimedJob,
    push: DuePush | undefined,
    notice: PushNotice | undefined,
  ): Promise<JobEnd> {
    const drop = (reason: DropReason): JobEnd => {
      countIn(counts.dropped, reason);
      return { ...job, end: 'DONE', result: reason, push };
    };
    // The subscription was deleted, and its jobs with it, which are recorded.
    if (!push) return drop('SIGNED_OUT');
    const facts = { ...push, isQuiet: isQuiet(push, new Date()) };
    const reason =
      job.subjectType === null
        ? reasonAgainst({ ...facts, hasMessage: push.messageId !== null })
        : reasonAgainstSubject({ ...facts, hasNotice: notice !== undefined });
    if (reason) return drop(reason);
    const origin = senders.originOf(push);
    if (origin === undefined) return drop('OFF');
    if (ageMs > config.pushTtlMs || job.tries >= config.pushAttemptsMax) return drop('EXPIRED');
    const wait = longestOf({
      ATTENTION: !notice && watched.isAttentive(push.userId) ? config.pushAttentionDelayMs - ageMs : 0,
      DEVICE_PAUSED: push.pausedMs,
      SERVICE_PAUSED: pauses.waitOf(origin),
    });
    if (wait.afterMs > 0) return { ...job, end: 'LATER', ...wait };
    const isDirect = push.conversationKind === 'DIRECT';
    const urgency = isDirect || push.isMention ? 'high' : 'normal';
    const outcome = await senders.send(push, contentOf(job, push, notice), {
      urgency,
      ttlMs: notice?.ttlMs ?? config.pushTtlMs,
    });
    if (outcome.kind === 'UNAVAILABLE') {
      // A service that asks clients to wait is working.
      if (outcome.status === 429) pauses.worked(origin);
      else pauses.failed(origin);
      countIn(counts.failed, push.kind);
      const afterMs = Math.max(outcome.afterMs ?? 0, retryMs(job.tries));
      return { ...job, end: 'LATER', afterMs, wait: 'FAILED_ATTEMPT' };
    }
    pauses.worked(origin);
    if (outcome.kind === 'GONE') {
      counts.gone += 1;
      return { ...job, end: 'GONE' };
    }
    if (outcome.kind === 'TOO_LARGE') return drop('TOO_LARGE');
    if (outcome.kind === 'REJECTED') {
      log.warn({ status: outcome.status, service: origin }, 'push rejected by its service');
      return drop('REJECTED');
    }
    countIn(counts.sent, push.kind);
    return { ...job, end: 'DONE', result: 'SENT', push };
  }

  function contentOf(
    { conversationId, collapseKey, subscriptionId }: Omit<ClaimedJob, 'ageMs'>,
    push: DuePush,
    notice: PushNotice | undefined,
  ): PushContent {
    return {
      preview: push.preview,
      conversation: { id: conversationId, kind: push.conversationKind, title: push.title },
      message: {
        id: push.messageId ?? '',
        seq: push.seq ?? 0,
        text: push.text ?? '',
        encrypted: push.encrypted ? readColumn(push.encrypted) : null,
      },
      notice,
      senderName: notice?.senderName ?? push.senderName ?? '',
      count: push.count,
      unreadCount: push.unreadCount,
      // Different for each device, so that push services cannot find out who is in the same conversation.
      tag: secrets.mac('push topic', `${subscriptionId} ${notice?.key ?? collapseKey}`).slice(0, TOPIC_CHARS),
      locale: push.locale ?? undefined,
      appUrl: config.publicUrl,
    };
  }

  /** The content of the jobs that are not about messages, in the order of all jobs. */
  async function findNotices(
    jobs: readonly ClaimedJob[],
    due: readonly (DuePush | undefined)[],
  ): Promise<(PushNotice | undefined)[]> {
    const notices: (PushNotice | undefined)[] = jobs.map(() => undefined);
    for (const { type, find } of pushSubjects.of(deps)) {
      const wanted = jobs.flatMap(({ subjectType, subjectId }, index) => {
        const userId = due[index]?.userId;
        return subjectType === type && subjectId !== null && userId ? [{ index, id: subjectId, userId }] : [];
      });
      if (wanted.length === 0) continue;
      const found = await find(sql, wanted);
      for (const [at, { index }] of wanted.entries()) notices[index] = found[at];
    }
    return notices;
  }

  async function handle(job: ClaimedJob, push: DuePush | undefined, notice: PushNotice | undefined): Promise<void> {
    try {
      await endJob(await process(job, push, notice));
    } catch (error) {
      // The claim ends after some time, and any node tries again.
      if (!polling.isClosed) log.warn({ err: error }, 'push could not be processed; retrying');
    }
  }

  /** Claims jobs while this node can send more. */
  async function check(): Promise<void> {
    for (;;) {
      const free = config.pushAtOnce - inProgress.size;
      // Not for every push that ends, because that would need a statement each.
      if (polling.isClosed || free < Math.ceil(config.pushAtOnce / 2)) return;
      const jobs = await claimJobs(sql, free, claimMs);
      if (jobs.length === 0) return;
      const due = await findDue(sql, jobs, config);
      const notices = await findNotices(jobs, due);
      for (const [index, job] of jobs.entries()) {
        const work = handle(job, due[index], notices[index]).finally(() => {
          inProgress.delete(work);
          if (inProgress.size <= config.pushAtOnce / 2) polling.wake();
        });
        inProgress.add(work);
      }
    }
  }

  const gatewayOrigin = senders.originOf({ kind: 'GATEWAY', endpoint: '' });
  const badges =
    gatewayOrigin === undefined ? undefined : createBadgeWorker(deps, { senders, pauses, origin: gatewayOrigin });
  database.onCommitted(pushesEnqueued, polling.wake);
  polling.wake();
  return {
    wake: polling.wake,
    counts,
    get badgesSent() {
      return badges?.sent ?? 0;
    },
    async close() {
      await Promise.all([polling.close(), badges?.close()]);
      await Promise.race([
        Promise.allSettled([...inProgress]),
        new Promise((resolve) => setTimeout(resolve, config.pushTimeoutMs).unref()),
      ]);
      senders.close();
    },
  };
}

/** The longest of these waits. */
function longestOf(waits: Partial<Record<PushWait, number>>): { wait: PushWait; afterMs: number } {
  const [[wait, afterMs] = ['ATTENTION', 0]] = Object.entries(waits).sort(([, one], [, other]) => other - one);
  return { wait: wait as PushWait, afterMs };
}

export const pushWorker = defineService('push worker', createPushWorker);
