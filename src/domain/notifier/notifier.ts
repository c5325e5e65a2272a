import type { SqlTransaction } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { recordNotificationChanges, type StoredNotification } from './notifier.events.js';
import { notificationOutputs, notificationRemovals, notificationSources, readTypes } from './notifier.sources.js';
import {
  type ChangedOccurrence,
  claim,
  compareOccurrences,
  deriveNotifications,
  movedMarks,
  moveTo,
  NOTIFICATION_BATCH,
  type ReadChange,
  readByMarks,
  release,
  removeBeyond,
  removeOccurrences,
} from './notifier.store.js';

/**
 * Turns changes into notifications, on one node at a time. It reads the change log from a stored position, and stores
 * the notifications together with its new position, so that each change is processed exactly once, whichever node
 * crashes. Senders do not wait for it.
 */
export interface Notifier {
  readonly counts: Readonly<Record<'added' | 'updated' | 'removed', number>>;
  /** Whether this node is the notifier. */
  readonly isActive: boolean;
  /** While this node is the notifier: how long ago it had processed all changes, in seconds; 0 otherwise. */
  readonly lagSeconds: number;
  /** Processes what was committed when it was called, if this node is the notifier or can become it. */
  sweep(): Promise<void>;
  /** Stops. Resolves when the current step is complete, and another node can take over. */
  close(): Promise<void>;
}

/** The counter of each type of changes. */
const countOf = {
  NOTIFICATION_ADDED: 'added',
  NOTIFICATION_UPDATED: 'updated',
  NOTIFICATION_REMOVED: 'removed',
} as const;

/** How long after its last step another node can take over from one that does not respond, in milliseconds. */
const CLAIM_MS = 10_000;
/** How often a node checks for changes without a wake-up, and for a notifier that has crashed, in milliseconds. */
const POLL_MS = 2_000;
/**
 * The minimum pause before a round, in milliseconds, so that changes in quick succession are processed together. A pause is
 * also PAUSE_FACTOR times as long as the last round, so that most of the time remains for other work.
 */
const PAUSE_MIN_MS = 50;
const PAUSE_FACTOR = 4;
/** The maximum number of changes that are processed in one transaction. */
const CHANGES_MAX = 500;

export function createNotifier(deps: Deps): Notifier {
  const { database, feed, log, nodeId, config } = deps;
  const counts = { added: 0, updated: 0, removed: 0 };
  const types = readTypes(deps);
  const wanted = new Set(types);
  const sources = notificationSources.of(deps);
  const readSources = sources.map((source) => ({ types: source.types(deps), concerns: source.concerns?.(deps) }));
  const node = { nodeId, generation: database.generation, claimMs: CLAIM_MS };
  let changesMax = CHANGES_MAX;
  let isActive = false;
  let isFailing = false;
  let closed = false;
  let doneAt = performance.now();
  let running: Promise<void> | undefined;
  /** Whether a change was announced while a round was running, which may have read the log before. */
  let again = false;
  let timer: NodeJS.Timeout | undefined;
  let isScheduledSoon = false;
  let pauseMs = PAUSE_MIN_MS;

  /**
   * Processes the next changes in one transaction.
   * @returns what was written, and whether there may be more changes; undefined if another node is the notifier.
   */
  const step = (): Promise<{ stored: readonly StoredNotification[]; isDone: boolean } | undefined> =>
    database.sql.transaction(
      async (sql) => {
        const claimed = await claim(sql, node, { types, sources: readSources, limit: changesMax });
        if (!claimed) return undefined;
        const { position, changes, hasMovedMarks } = claimed;
        const notified = changes.length > 0 ? await notify(sql, changes) : [];
        const hasAll = changes.length < changesMax;
        const read = hasAll && hasMovedMarks ? await readByMarks(sql, position) : [];
        const isDone = hasAll && read.length < NOTIFICATION_BATCH;
        if (isDone && hasMovedMarks) {
          for (const output of notificationOutputs.of(deps)) await output.read?.(deps, sql, movedMarks(position));
        }
        // If there are only more marks to process, the position remains after the last change.
        const after = changes.at(-1) ?? position.after;
        await moveTo(sql, node, isDone ? { seen: position.target, target: null, after: null } : { ...position, after });
        const stored = [...notified, ...read];
        recordNotificationChanges(sql, stored);
        return { stored, isDone };
      },
      { repeatable: true, plans: 'any' },
    );

  async function notify(sql: SqlTransaction, changes: readonly ReadChange[]): Promise<StoredNotification[]> {
    const ofTypes = (some: readonly string[]) => changes.filter(({ type }) => some.includes(type));
    const occurrences: ChangedOccurrence[] = [];
    for (const { types: ending, ended } of notificationRemovals.of(deps)) {
      const some = ofTypes(ending);
      if (some.length > 0) occurrences.push(...(await removeOccurrences(sql, some, ended)));
    }
    for (const [index, source] of sources.entries()) {
      const some = changes.filter(({ concerned }) => (concerned & (1 << index)) !== 0);
      if (some.length === 0) continue;
      const { kind, isReadWithMessage } = source;
      const statements = { occurrences: source.occurrences(deps), compared: source.compared(deps) };
      occurrences.push(...(await compareOccurrences(sql, config, some, { kind, isReadWithMessage, ...statements })));
    }
    const stored = occurrences.length > 0 ? await deriveNotifications(sql, occurrences) : [];
    const receivers = [...new Set(stored.flatMap(({ type, userId }) => (type === 'NOTIFICATION_ADDED' ? userId : [])))];
    const beyond = receivers.length > 0 ? await removeBeyond(sql, receivers, config.notificationsMax) : [];
    const added = occurrences.filter(({ isAdded, isRead }) => isAdded && !isRead);
    const removed = occurrences.filter(({ isAdded }) => !isAdded);
    for (const output of notificationOutputs.of(deps)) await output.write(deps, sql, { changes, added, removed });
    return [...stored, ...beyond];
  }

  async function round(): Promise<void> {
    const began = performance.now();
    try {
      for (let isDone = false; !isDone && !closed; ) {
        const written = await step();
        isActive = written !== undefined;
        isDone = written?.isDone ?? true;
        for (const { type } of written?.stored ?? []) counts[countOf[type]] += 1;
        changesMax = Math.min(CHANGES_MAX, 2 * changesMax);
      }
      doneAt = performance.now();
      if (isFailing) log.info('notifications are written again');
      isFailing = false;
    } catch (error) {
      // If a step takes too long, the next one is shorter.
      changesMax = Math.max(1, Math.floor(changesMax / 4));
      if (!closed && !isFailing) log.warn({ err: error }, 'notifications could not be written; retrying');
      isFailing = true;
    }
    pauseMs = Math.min(POLL_MS, Math.max(PAUSE_MIN_MS, PAUSE_FACTOR * (performance.now() - began)));
  }

  function run(): void {
    if (closed || running) return;
    again = false;
    running = round().finally(() => {
      running = undefined;
      schedule(again);
    });
  }

  /** Starts the next round: soon if there may be changes, otherwise with the next poll. */
  function schedule(isSoon: boolean): void {
    if (closed) return;
    clearTimeout(timer);
    isScheduledSoon = isSoon && isActive && !isFailing;
    timer = setTimeout(run, isScheduledSoon ? pauseMs : POLL_MS);
  }

  function wake(type: string | undefined): void {
    // What the notifier writes itself needs no further round.
    if (type !== undefined && !wanted.has(type)) return;
    if (running) again = true;
    else if (!isScheduledSoon) schedule(true);
  }

  feed.onActivity(wake);
  run();
  return {
    counts,
    get isActive() {
      return isActive;
    },
    get lagSeconds() {
      return isActive ? (performance.now() - doneAt) / 1000 : 0;
    },
    async sweep() {
      // A round in progress may have read the log before.
      await running;
      run();
      await running;
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await running;
      if (isActive) await release(database.db, nodeId).catch(() => {});
    },
  };
}

export const notifier = defineService('notifier', createNotifier);
