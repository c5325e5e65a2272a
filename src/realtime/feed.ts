import { setTimeout as delay } from 'node:timers/promises';
import pLimit from 'p-limit';
import { inSlices } from '../core/slices.js';
import { encodeSyncCursor, type SyncCursor } from '../core/sync-cursor.js';
import { createLookup } from '../infra/async/lookup.js';
import type { Database } from '../infra/database/database.js';
import type { Logger } from '../infra/telemetry/log.js';
import {
  createAudience,
  createSubscribers,
  effectsOf,
  type FeedEvent,
  isToPersonalLog,
  type Listener,
  type Subscribers,
} from './audience.js';
import type { Bus } from './bus.js';
import type { Change, ChangeKind, ChangeRow } from './change.js';
import {
  changesCommitted,
  findAccess,
  findJoinedConversations,
  findPositions,
  type LogProgress,
  type MissedChanges,
  readChangesAfter,
  readChangesAt,
  readChangesOfMany,
  readMissed,
  readProgress,
} from './change-log.js';
import { createFeedWire } from './feed-wire.js';
import { GAP_WAIT_MS, type Lane, Lanes, READ_BATCH } from './lane.js';
import { createReplayLimiter, type ReplayLimiter } from './replay-limiter.js';
import { createWatermarks } from './watermarks.js';

/**
 * All changes as one node sees them: the changes of each log in order, without gaps.
 *
 * What other nodes publish is only a wake-up; the change log is the source of truth. A change that arrives out of order,
 * or not at all, is read from the log: as soon as a later change reveals the gap, otherwise by the next sweep.
 */
export interface Feed {
  /** The feed's position: every change that its cursor has seen was delivered to those who listened then. */
  readonly now: FeedEvent;
  /** The listeners on this node, and the conversations that are followed for them. */
  readonly listeners: number;
  readonly conversations: number;
  readonly counts: FeedCounts;
  /** When the last successful sweep ended, in milliseconds since the epoch. */
  readonly sweptAt: number;
  /** How long ago that was, in milliseconds. Changes whose wake-ups were lost are delivered by the next sweep. */
  readonly sweepAgeMs: number;
  /** Delivers a committed watermark (`ChangeKind.watermark`) on this node and on the others. */
  announceWatermark(row: ChangeRow): void;
  /** Delivers an ephemeral event (`ChangeKind.isEphemeral`) to the current listeners, on this node and on the others. */
  broadcast(change: Change): void;
  /**
   * Adds a listener. Resolves when it misses no change that commits from then on.
   * @returns a function that removes the listener; calling it again does nothing.
   */
  listen(listener: Listener): Promise<() => void>;
  /** Limits concurrent replays: a slot must be acquired before `missed` is called. */
  readonly replays: ReplayLimiter;
  /**
   * What a listener missed since a cursor, in its current state; `data` is null if nothing is left to report. In
   * batches, so that nobody has to keep all of it in memory.
   * @throws {ChatError} CURSOR_EXPIRED with the field `after`.
   */
  missed(listener: Listener, since: SyncCursor): Promise<AsyncIterator<Change[]>>;
  /** Resolves when everything that was committed when it was called has been delivered on this node. */
  sweep(): Promise<void>;
  /**
   * Calls `observer` with the ids of logs in which there are changes of these types, whether or not anybody listens to
   * them: on every node, as soon as it is notified of the change, and otherwise in the next sweep. It must not throw.
   */
  observe(types: readonly string[], observer: (ids: readonly string[]) => void): void;
  /**
   * Calls `listener` when this node learns that something was committed on any node, whether or not anybody listens to
   * it. `type` is that of the change; undefined if it has not been read, and for watermarks. The listener must not throw.
   */
  onActivity(listener: (type: string | undefined) => void): void;
  /** Calls `listener` when data read from the database before may be lost: after `onLost` of all listeners. */
  onReset(listener: () => void): void;
  close(): Promise<void>;
}

/** Counters since the node started. */
interface FeedCounts {
  /** Changes that were delivered in a lane, whether they arrived or were read. */
  changes: number;
  /** Gaps that were filled from the log, and the changes read for them, whose wake-ups did not arrive in time. */
  gapFills: number;
  filled: number;
  sweeps: number;
  sweepsFailed: number;
  /** Streams that resumed, the events that were replayed to them, and streams whose cursor had expired. */
  resumes: number;
  replayed: number;
  expired: number;
  /** How often all streams had to start again because the database was failed over or restored. */
  resets: number;
}

/** After a sweep that timed out, the next one may take twice as long, up to this multiple of the configured limit. */
const SWEEP_TIMEOUT_FACTOR_MAX = 16;
/** How long after the last successful sweep live streams count as late, in milliseconds. */
export const SWEEP_LATE_MS = 15_000;
/** How often that is logged, in milliseconds. */
const LATE_LOGGED_EVERY_MS = 60_000;
/** Missed changes that are read, and loaded, at a time: each replay in progress keeps this many in memory. */
const REPLAY_BATCH = 100;
/** Batches of all replays that are read at once: other work needs the connections too. */
const REPLAY_READS_MAX = 3;
/** Lanes that are filled at a time by a sweep. */
const LANES_AT_ONCE = 200;
/** Concurrent reads of the log for users who join: other work needs the connections too. */
const READS_MAX = 3;
/** How long `close` waits for work in progress, in milliseconds. */
const CLOSE_MS = 2_000;
const CHANNEL = 'changes';

/** The keys of missed changes, `size` at a time. */
function* inBatches(
  missed: readonly MissedChanges[],
  size: number,
): Generator<{ conversationId: string; changeSeq: number }[]> {
  let batch: { conversationId: string; changeSeq: number }[] = [];
  for (const { conversationId, changeSeqs } of missed) {
    for (const changeSeq of changeSeqs) {
      batch.push({ conversationId, changeSeq });
      if (batch.length < size) continue;
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

/** Starts the feed of a node. Reads the first snapshot from the database. */
export async function startFeed(options: {
  database: Database;
  bus: Bus;
  kinds: readonly ChangeKind[];
  sweepIntervalMs: number;
  /** How long a sweep may wait for the database to answer before the connection counts as dead, in milliseconds. */
  sweepTimeoutMs: number;
  /** Maximum number of changes that one listener may have missed. */
  replayMax: number;
  log: Logger;
  /** Called when the change log is another one, or an earlier state of it: this node must not continue. */
  onReplaced: () => void;
  /** Called after each successful sweep, with its duration in milliseconds. */
  onSwept?: (ms: number) => void;
}): Promise<Feed> {
  const { database, bus, log } = options;
  const { db, generation } = database;
  const kinds = new Map(options.kinds.flatMap((kind) => kind.types.map((type) => [type, kind])));
  const typesWhere = (has: (kind: ChangeKind) => unknown) => options.kinds.filter(has).flatMap(({ types }) => types);
  const joinTypes = new Set(typesWhere((kind) => kind.joined));
  const leaveTypes = typesWhere((kind) => kind.left);
  const watermarkTypes = new Set(typesWhere((kind) => kind.watermark));
  const wire = createFeedWire(kinds);
  const effects = effectsOf(kinds);
  const channel = `${generation}:${CHANNEL}`;
  const listeners = new Set<Listener>();
  let at = (await readProgress(database, undefined, options.sweepTimeoutMs)).at;
  /** Epochs that the feed has left: changes that other nodes publish from them may be lost. */
  const left = new Set<string>();
  const resetListeners: (() => void)[] = [];
  const activityListeners: ((type: string | undefined) => void)[] = [];
  /** Doubled after each timeout, so that a database that is merely slow is read eventually. */
  let { sweepTimeoutMs } = options;
  let now: FeedEvent = { change: null, cursor: encodeSyncCursor(at), memo: new Map() };
  let sweeping: Promise<void> | undefined;
  let sweptAt = Date.now();
  /** The same on a monotonic clock. */
  let sweptAtUptime = performance.now();
  const sweepAge = () => Math.round(performance.now() - sweptAtUptime);
  let closed = false;
  const reading = pLimit(READS_MAX);
  const replaying = pLimit(REPLAY_READS_MAX);
  const replays = createReplayLimiter();
  const counts: FeedCounts = {
    changes: 0,
    gapFills: 0,
    filled: 0,
    sweeps: 0,
    sweepsFailed: 0,
    resumes: 0,
    replayed: 0,
    expired: 0,
    resets: 0,
  };
  /** The number of listeners that receive watermarks. */
  let watching = 0;
  const observers: { types: readonly string[]; observer: (ids: readonly string[]) => void }[] = [];
  const observedTypes = new Set<string>();
  /** The change of each log up to which the observers were notified: since the last sweep, and since the one before. */
  let notified = new Map<string, number>();
  let notifiedBefore = new Map<string, number>();

  const retryInSweep = (error: unknown) =>
    log.warn({ err: error }, 'change log could not be read; the next sweep retries');

  /** Ends long work when the feed is closed. */
  function refuseIfClosed(): void {
    if (closed) throw new Error('the feed has ended');
  }

  // ── the log ──

  const findPositionsOf = (some: readonly Lane<Subscribers>[]) =>
    findPositions(database.sql, {
      conversationIds: some.filter((lane) => !lane.isPersonal).map(({ id }) => id),
      // Anybody may ask for a conversation with the id of a user, whose own streams then share the lane.
      userIds: some.filter((lane) => lane.isPersonal || lane.subscribers.listeners.size > 0).map(({ id }) => id),
    });

  /** Turns rows of the log into changes: those that `arrived` returns are used as they are, the others are loaded. */
  async function load(rows: readonly ChangeRow[], arrived?: (row: ChangeRow) => Change | undefined): Promise<Change[]> {
    const changes: Change[] = rows.map((row) => arrived?.(row) ?? { ...row, data: null });
    const wanted = new Map<ChangeKind, Change[]>();
    for (const change of changes) {
      const kind = change.data === null ? kinds.get(change.type) : undefined;
      if (!kind) continue;
      const some = wanted.get(kind);
      if (some) some.push(change);
      else wanted.set(kind, [change]);
    }
    await Promise.all(
      [...wanted].map(async ([kind, missing]) => {
        const data = await kind.load(db, missing);
        for (const [index, change] of missing.entries()) change.data = data[index] ?? null;
      }),
    );
    return changes;
  }

  // ── delivery ──

  const lanes = new Lanes<Subscribers>(
    {
      findPositions: findPositionsOf,
      readAfter: (id, position, limit) => readChangesAfter(db, id, position, limit),
      async readAfterEach(some, limit) {
        refuseIfClosed();
        const places = some.map(({ id, position }) => ({ conversationId: id, changeSeq: position }));
        return readChangesOfMany(database.sql, places, limit);
      },
      load,
      deliver(lane, change) {
        counts.changes += 1;
        audience.deliver(lane, change);
      },
      onGapFilled(count) {
        counts.gapFills += 1;
        counts.filled += count;
      },
      onReadFailed: retryInSweep,
    },
    createSubscribers,
  );

  const audience = createAudience({
    lanes,
    effects,
    typesOutsideLog: new Set([...watermarkTypes, ...typesWhere((kind) => kind.isEphemeral)]),
    // Users who connect at the same time share a read.
    findJoinedConversations: createLookup((userIds: readonly string[]) =>
      findJoinedConversations(database.sql, userIds),
    ),
    findAccess: createLookup((keys: readonly { conversationId: string; userId: string }[]) =>
      findAccess(database.sql, keys),
    ),
    readAfter: async (id, position, limit) => load(await readChangesAfter(db, id, position, limit)),
    cursor: () => now.cursor,
    log,
  });

  /** Opens a lane for users of this node who join a conversation that nobody here has followed before. */
  function openBefore({ conversationId, changeSeq }: Change) {
    const lane = lanes.open(conversationId);
    lane.startAfter(changeSeq - 1);
    return lane;
  }

  /** Takes a change that was committed on this node or on another one. */
  function offer(change: Change): void {
    if (observedTypes.has(change.type)) notifyObservers([{ ...change, toSeq: change.changeSeq, types: [change.type] }]);
    const newcomers = audience.present(effects.joinedBy(change));
    let lane = lanes.get(change.conversationId);
    if (newcomers.length > 0) lane ??= openBefore(change);
    if (!lane || lane.offer(change)) return;
    // It was read before its wake-up arrived. Those who joined may have begun to listen in between.
    for (const userId of newcomers) {
      if (lane.subscribers.users.has(userId)) continue;
      void audience.admit(lane, userId, change.changeSeq - 1).catch(retryInSweep);
    }
  }

  function noteActivity(type: string | undefined): void {
    for (const listener of activityListeners) listener(type);
  }

  /** Notifies the observers of changes of their types, of each change once. */
  function notifyObservers(changed: readonly Pick<LogProgress, 'conversationId' | 'toSeq' | 'types'>[]): void {
    const fresh = changed.filter(
      ({ conversationId: id, toSeq, types }) =>
        types.some((type) => observedTypes.has(type)) &&
        toSeq > Math.max(notified.get(id) ?? 0, notifiedBefore.get(id) ?? 0),
    );
    for (const { conversationId, toSeq } of fresh) notified.set(conversationId, toSeq);
    for (const { types: wanted, observer } of observers) {
      const ids = fresh.filter(({ types }) => types.some((type) => wanted.includes(type)));
      if (ids.length > 0) observer([...new Set(ids.map(({ conversationId }) => conversationId))]);
    }
  }

  const watermarks = createWatermarks({
    db,
    kinds: options.kinds,
    log,
    isWatched: ({ conversationId, type }) => watching > 0 && audience.isWatched(conversationId, type),
    async untilDelivered(conversationId, changeSeq) {
      const lane = lanes.get(conversationId);
      if (!lane || (lane.position ?? 0) >= changeSeq) return;
      // The wake-ups may be on their way.
      await delay(GAP_WAIT_MS);
      await lane.placing;
      const isBehind = () => !lane.isClosed && (lane.position ?? 0) < changeSeq;
      // A read in progress may have begun before that change was committed; the second one begins after.
      if (isBehind()) await lane.fill();
      if (isBehind()) await lane.fill();
      if (isBehind()) throw new Error('a gap is left');
    },
    deliver: (change, onlyFor) => audience.deliverOutsideLog(change, onlyFor),
  });

  // ── the sweep ──

  async function sweepOnce(again = false): Promise<void> {
    const seen = await readProgress(database, at, sweepTimeoutMs);
    sweepTimeoutMs = options.sweepTimeoutMs;
    // After a dump and restore the numbers of changes cannot be compared with those from before.
    if (seen.at.generation !== generation) {
      options.onReplaced();
      throw new Error('the database was replaced or restored');
    }
    database.history.observeTimeline(seen.timeline);
    if (!seen.hasEpoch) {
      await database.history.begin();
      if (again) throw new Error('another server answers each time');
      return sweepOnce(true);
    }
    if (!seen.continued) {
      log.warn(transition(seen.at), 'database failover or restore detected: all streams restart');
      return reset(seen.at);
    }
    if (seen.at.epoch !== at.epoch && (await isAhead())) {
      await database.history.beginBreak();
      const { at: fresh } = await readProgress(database, undefined, sweepTimeoutMs);
      log.warn(transition(fresh), 'PostgreSQL lost transactions in a restart: all streams restart');
      return reset(fresh);
    }
    // Lanes stay open between the two: those that exist are to deliver the changes by which users join.
    const releases = seen.progress.map(({ conversationId }) => lanes.get(conversationId)?.hold());
    try {
      await admitNewcomers(seen.progress);
      await catchUp(seen.progress);
    } finally {
      for (const release of releases) release?.();
    }
    notifyObservers(seen.progress);
    if (seen.progress.length > 0) noteActivity(undefined);
    notifiedBefore = notified;
    notified = new Map();
    // Read after `seen.at` was taken, so that no watermark that its snapshot contains is missed.
    if (watching > 0) await watermarks.sweep(at);
    moveTo(seen.at);
    for (const listener of listeners) listener.onProgress(now);
  }

  function moveTo(next: SyncCursor): void {
    if (next.epoch !== at.epoch) left.add(at.epoch);
    left.delete(next.epoch);
    at = next;
    now = { change: null, cursor: encodeSyncCursor(at), memo: new Map() };
  }

  const transition = (next: SyncCursor) => ({ from: at.epoch, to: next.epoch, listeners: listeners.size });

  /** Whether a change was delivered on this node that the database does not have. */
  async function isAhead(): Promise<boolean> {
    const all = lanes.all();
    const positions = new Map(all.map(({ id, position }) => [id, position ?? 0]));
    const found = await findPositionsOf(all);
    return [...positions].some(([id, position]) => position > (found.get(id) ?? 0));
  }

  /**
   * Starts again in another history of the database: all listeners are ended, and everything that is known from before
   * is forgotten, because the same numbers may now belong to other changes.
   */
  function reset(next: SyncCursor): void {
    counts.resets += 1;
    const lost = [...listeners];
    listeners.clear();
    audience.clear();
    lanes.closeAll();
    watching = 0;
    notified.clear();
    notifiedBefore.clear();
    watermarks.reset();
    moveTo(next);
    for (const listener of lost) listener.onLost();
    for (const listener of resetListeners) listener();
  }

  /** Delivers what was found in the log to all lanes concerned. */
  async function catchUp(progress: readonly LogProgress[]): Promise<void> {
    const followed = progress.flatMap(({ conversationId, toSeq }) => {
      const lane = lanes.get(conversationId);
      return lane ? [{ lane, toSeq }] : [];
    });
    await Promise.all(new Set(followed.map(({ lane }) => lane.placing)));
    const isBehind = ({ lane, toSeq }: (typeof followed)[number]) => !lane.isClosed && (lane.position ?? -1) < toSeq;
    // A read in progress may have begun before the last change was committed.
    await Promise.all(followed.filter(isBehind).map(({ lane }) => lane.filling));
    const behind = followed.filter((each) => isBehind(each) && each.lane.position !== undefined);
    for (let from = 0; from < behind.length; from += LANES_AT_ONCE) {
      const some = behind.slice(from, from + LANES_AT_ONCE).filter(isBehind);
      await Promise.all(some.map(({ lane }) => lane.filling));
      await lanes.fill(some.filter((each) => isBehind(each) && !each.lane.filling).map(({ lane }) => lane));
    }
    for (const { lane } of followed) audience.closeIfUnused(lane);
    // The cursor may advance only if every open lane has been delivered that far.
    if (followed.some(isBehind)) throw new Error('a gap is left');
  }

  /** Adds users of this node to conversations that they joined without a wake-up having arrived. */
  async function admitNewcomers(progress: readonly LogProgress[]): Promise<void> {
    if (audience.isEmpty) return;
    const suspects = progress.filter(({ types }) => types.some((type) => joinTypes.has(type)));
    for (let from = 0; from < suspects.length; from += LANES_AT_ONCE) {
      const some = suspects.slice(from, from + LANES_AT_ONCE);
      let next = some.map(({ conversationId, fromSeq }) => ({ conversationId, changeSeq: fromSeq - 1 }));
      while (next.length > 0) {
        refuseIfClosed();
        const rows = await readChangesOfMany(database.sql, next, READ_BATCH, [...joinTypes]);
        await admitAll(await load(rows));
        // There may be more of the last conversation, and all of those after it.
        const last = rows.length === READ_BATCH ? rows.at(-1) : undefined;
        const at = next.findIndex(({ conversationId }) => conversationId === last?.conversationId);
        next = last && at >= 0 ? [last, ...next.slice(at + 1)] : [];
      }
    }
  }

  /** Adds the users who join by these changes to lanes that have advanced without them. */
  async function admitAll(changes: readonly Change[]): Promise<void> {
    await Promise.all(new Set(changes.map(({ conversationId }) => lanes.get(conversationId)?.placing)));
    const admissions: Promise<void>[] = [];
    for (const change of changes) {
      for (const userId of audience.present(effects.joinedBy(change))) {
        // A new lane starts before the first of the changes: it adds the users itself when it delivers them.
        const lane = lanes.get(change.conversationId) ?? openBefore(change);
        if (lane.subscribers.users.has(userId) || (lane.position ?? 0) < change.changeSeq) continue;
        admissions.push(reading(() => audience.admit(lane, userId, change.changeSeq - 1)));
      }
    }
    await Promise.all(admissions);
  }

  async function sweepCounted(): Promise<void> {
    const began = performance.now();
    counts.sweeps += 1;
    try {
      await sweepOnce();
    } catch (error) {
      counts.sweepsFailed += 1;
      if (performance.now() - began >= sweepTimeoutMs) {
        sweepTimeoutMs = Math.min(2 * sweepTimeoutMs, SWEEP_TIMEOUT_FACTOR_MAX * options.sweepTimeoutMs);
      }
      throw error;
    }
    sweptAt = Date.now();
    sweptAtUptime = performance.now();
    options.onSwept?.(performance.now() - began);
  }

  /** Sweeps run one after another. A call during a sweep waits for one that begins after the call. */
  function sweep(): Promise<void> {
    const before = sweeping;
    const next = (before ?? Promise.resolve()).catch(() => {}).then(sweepCounted);
    const tracked = next.finally(() => {
      if (sweeping === tracked) sweeping = undefined;
    });
    sweeping = tracked;
    return tracked;
  }

  /** Whether the last sweep failed. The first failure is logged, and the first success after it. */
  let failing = false;
  let lateLoggedAt = Number.NEGATIVE_INFINITY;

  function logLate(): void {
    if (sweepAge() < SWEEP_LATE_MS || performance.now() - lateLoggedAt < LATE_LOGGED_EVERY_MS) return;
    lateLoggedAt = performance.now();
    log.warn({ seconds: Math.round(sweepAge() / 1000) }, 'no sweep has succeeded recently: streams may be delayed');
  }

  const timer = setInterval(() => {
    logLate();
    if (sweeping) return;
    sweep().then(
      () => {
        if (failing) log.info('sweeps succeed again');
        failing = false;
        lateLoggedAt = Number.NEGATIVE_INFINITY;
      },
      (error: unknown) => {
        if (!closed && !failing) log.warn({ err: error }, 'sweep failed; the next one retries');
        failing = true;
      },
    );
  }, options.sweepIntervalMs);

  const sweepNow = () => {
    if (!sweeping) void sweep().catch(retryInSweep);
  };
  // Streams should learn of a new history without waiting for the timer.
  database.history.onChange(sweepNow);

  /**
   * Whether a change of another node belongs to the history that this node is in. What was published before a failover
   * may no longer exist; if the other node is ahead, a sweep follows it. Nodes of older versions send no epoch.
   */
  function isOfNow(epoch: string | undefined): boolean {
    if (epoch === undefined || epoch === at.epoch) return true;
    if (!left.has(epoch)) sweepNow();
    return false;
  }

  bus.subscribe(channel, (text) => {
    const wakeUp = wire.read(text);
    if (wakeUp.format !== 'ephemeral') noteActivity(undefined);
    if (wakeUp.format === 'watermark') {
      watermarks.advanced(wakeUp.row);
      return;
    }
    const lane = lanes.get(wakeUp.id);
    if (!lane && !(wakeUp.format === 'change' && wakeUp.isForAllNodes)) return;
    const { epoch, change } = wire.readChange(wakeUp);
    if (wakeUp.format === 'ephemeral') {
      if (change) audience.deliverOutsideLog(change);
      return;
    }
    if (!isOfNow(epoch)) return;
    if (change) offer(change);
    else void lane?.fill().catch(retryInSweep);
  });
  // Finds at once what was published while the connection was lost.
  bus.onConnected(() => void sweep().catch(retryInSweep));

  /** Delivers a committed change to the listeners of this node, and publishes it to the other nodes. */
  function announce(change: Change): void {
    change.committedAt ??= Date.now();
    const isForAllNodes = observedTypes.has(change.type) || effects.joinedBy(change).length > 0;
    bus.publish(channel, wire.writeChange(change, at.epoch, isForAllNodes));
    offer(change);
    noteActivity(change.type);
  }

  // In slices, because each change may have thousands of listeners. Changes of one conversation go to the same listeners:
  // what is announced in one turn of the event loop is written to their sockets at once.
  database.onCommitted(changesCommitted, (changes) => inSlices(changes, announce, (change) => change.conversationId));

  return {
    get now() {
      return now;
    },
    get listeners() {
      return listeners.size;
    },
    get conversations() {
      return lanes.all().filter((lane) => !lane.isPersonal).length;
    },
    counts,
    get sweptAt() {
      return sweptAt;
    },
    get sweepAgeMs() {
      return sweepAge();
    },

    broadcast(change) {
      bus.publish(channel, wire.writeEphemeral(change));
      audience.deliverOutsideLog(change);
    },

    announceWatermark(row) {
      bus.publish(channel, wire.writeWatermark(row));
      watermarks.advanced(row);
      noteActivity(undefined);
    },

    async listen(listener) {
      listeners.add(listener);
      const own = listener.types.some((type) => watermarkTypes.has(type)) ? 1 : 0;
      watching += own;
      const stop = () => {
        if (!listeners.delete(listener)) return;
        watching -= own;
        audience.remove(listener);
      };
      try {
        await audience.add(listener);
      } catch (error) {
        stop();
        throw error;
      }
      return stop;
    },

    replays,

    async missed(listener, since) {
      const { userId, conversationId, types } = listener;
      const ids = audience.logsOf(listener);
      const logged = types.filter((type) => !watermarkTypes.has(type));
      const missed = await replaying(() =>
        readMissed(database, since, {
          conversationIds: ids,
          types: logged,
          leaver: conversationId === null ? userId : null,
          leaveTypes: leaveTypes.filter((type) => types.includes(type)),
          limit: options.replayMax,
        }),
      );
      const advanced = await replaying(() =>
        watermarks.missed({ userId, conversationIds: ids, limit: options.replayMax }, types, since),
      );
      /** The changes that the user may see when they are read, which may be long after `missed` was called. */
      const visibleOf = async (changes: readonly Change[]): Promise<Change[]> => {
        if (isToPersonalLog(listener)) return [...changes];
        const conversations = [...new Set(changes.map((change) => change.conversationId))];
        const access = await findAccess(
          database.sql,
          conversations.map((id) => ({ conversationId: id, userId })),
        );
        const hiddenIn = new Map(conversations.map((id, index) => [id, access[index]?.hiddenToSeq ?? null]));
        return changes.filter((change) => {
          const hiddenTo = hiddenIn.get(change.conversationId) ?? null;
          if (hiddenTo === null) return effects.leftBy(change).includes(userId);
          const seq = change.data === null ? undefined : effects.messageSeqOf(change);
          return seq === undefined || seq > hiddenTo;
        });
      };
      return (async function* () {
        for (const keys of inBatches(missed, REPLAY_BATCH)) {
          yield replaying(async () => visibleOf(await load(await readChangesAt(database.sql, keys))));
        }
        for (const rows of watermarks.inBatches(advanced, REPLAY_BATCH)) {
          yield replaying(async () => visibleOf(await watermarks.load(rows)));
        }
      })();
    },

    sweep,

    observe(types, observer) {
      observers.push({ types, observer });
      for (const type of types) observedTypes.add(type);
    },

    onActivity: (listener) => void activityListeners.push(listener),

    onReset: (listener) => void resetListeners.push(listener),

    async close() {
      closed = true;
      clearInterval(timer);
      for (const listener of [...listeners]) listener.onEnd();
      for (const lane of lanes.all()) lane.stopWaiting();
      const underWay = [sweeping, ...lanes.all().map((lane) => lane.filling)];
      // The time is limited in case the database does not answer.
      const tooLate = new AbortController();
      await Promise.race([
        Promise.allSettled(underWay),
        delay(CLOSE_MS, undefined, { signal: tooLate.signal, ref: false }).catch(() => {}),
      ]);
      tooLate.abort();
    },
  };
}
