import { createPolling, type Polling } from '../../infra/async/polling.js';
import type { ServicePauses } from '../../infra/push/service-pauses.js';
import type { Deps } from '../../platform/deps.js';
import {
  type BadgeJob,
  claimBadgeJobs,
  delayBadgeJobs,
  endBadgeJobs,
  findOutdatedBadges,
  type OutdatedBadge,
  removeDevice,
  setBadge,
} from './badge.store.js';
import type { Senders } from './push.senders.js';

/**
 * Sends the number of unread messages to devices at a gateway, on every node, after it has changed without a push: because
 * their users have read elsewhere, for example. (Browsers
 * must show a notification for each push, so that those of Web Push get the number with the next one.)
 */
export interface BadgeWorker extends Pick<Polling, 'close'> {
  /** The number of devices that were sent a number. */
  readonly sent: number;
}

const POLL_MS = 1_000;
/** How long a node has to send what it has claimed, and when a failed attempt is repeated, in milliseconds. */
const CLAIM_MS = 30_000;
const COUNT = 100;

export function createBadgeWorker(
  { config, database: { sql }, log }: Deps,
  { senders, pauses, origin }: { senders: Senders; pauses: ServicePauses; origin: string },
): BadgeWorker {
  let sent = 0;

  /** Sends one number, and returns what to do next for the user. */
  async function send(device: OutdatedBadge): Promise<{ userId: string; next: 'RETRY' | 'COMPARE' | 'END' }> {
    const { userId } = device;
    if (device.isPaused) return { userId, next: 'RETRY' };
    const outcome = await senders.sendBadge(device, device.unreadCount);
    if (outcome.kind === 'UNAVAILABLE') {
      if (outcome.status === 429) pauses.worked(origin);
      else pauses.failed(origin);
      return { userId, next: 'RETRY' };
    }
    pauses.worked(origin);
    if (outcome.kind === 'GONE') await removeDevice(sql, device);
    if (outcome.kind !== 'DELIVERED') return { userId, next: 'END' };
    sent += 1;
    await setBadge(sql, device);
    // A push that was sent at the same time may have arrived before, with another number.
    return { userId, next: 'COMPARE' };
  }

  async function process(jobs: readonly BadgeJob[]): Promise<void> {
    const userIds = jobs.map(({ userId }) => userId);
    const results = await Promise.all((await findOutdatedBadges(sql, userIds)).map(send));
    const usersOf = (next: string) => new Set(results.flatMap((result) => (result.next === next ? result.userId : [])));
    const [retried, compared] = [usersOf('RETRY'), usersOf('COMPARE')];
    const ids = (condition: (userId: string) => boolean) =>
      jobs.flatMap(({ id, userId }) => (condition(userId) ? id : []));
    // Those that are retried are due when the claim ends.
    await delayBadgeJobs(
      sql,
      ids((userId) => compared.has(userId) && !retried.has(userId)),
      config.pushBadgeDelayMs,
    );
    await endBadgeJobs(
      sql,
      ids((userId) => !compared.has(userId) && !retried.has(userId)),
    );
  }

  const polling = createPolling({
    async check() {
      if (pauses.waitOf(origin) > 0) return;
      const limits = { count: COUNT, claimMs: CLAIM_MS, ttlMs: config.pushTtlMs };
      for (let count = COUNT; count === COUNT && !polling.isClosed; ) {
        const jobs = await claimBadgeJobs(sql, limits);
        count = jobs.length;
        if (count > 0) await process(jobs);
      }
    },
    intervalMs: POLL_MS,
    onError: (error) => log.warn({ err: error }, 'numbers of unread messages could not be sent; retrying'),
  });
  polling.wake();
  return {
    get sent() {
      return sent;
    },
    close: polling.close,
  };
}
