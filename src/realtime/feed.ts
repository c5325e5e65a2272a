import { setTimeout as delay } from 'node:timers/promises';
import pLimit from 'p-limit';
import { inSlices } from '../core/slices.js';
import { encodeSyncCursor, type SyncCursor } from '../core/sync-cursor.js';
import { createLookup } from '../infra/async/lookup.js';
import type { Database } from '../infra/database/database.js';
import type { Logger } from '../infra/telemetry/log.js';
import type { Bus } from './bus.js';
import { type Change, type ChangeKind, type ChangeRow, moveOf } from './change.js';
import {
  changesCommitted,
  findAccess,
  findPlaces,
  findPositions,
  type Missed,
  type Progress,
  readChangesAfter,
  readChangesAt,
  readChangesOfMany,
  readMissed,
  readProgress,
} from './change-log.js';
import { createMovements } from './movements.js';
import { createReplays, type Replays } from './replays.js';

/**
 * A change, or none, and the feed's cursor when it was delivered. One and the same object for all who hear of it, so
 * that what is made of it can be made once.
 */
export interface Moment {
  readonly change: Change | null;
  readonly cursor: string;
  /** What was made of it, each by its maker's own mark. */
  readonly made: Map<symbol, unknown>;
}

/** A change that is delivered in a lane. */
interface Offer extends Moment {
  readonly change: Change;
  /** Of a change of a message: its number, and up to which one messages are not for whom. */
  readonly hidden: { readonly seq: number; readonly to: ReadonlyMap<string, number> } | undefined;
}

/** Whether it is not for this person at this moment: of a message from before they may see any. */
const isHidden = ({ hidden }: Offer, userId: string): boolean =>
  hidden !== undefined && hidden.to.size > 0 && hidden.seq <= (hidden.to.get(userId) ?? 0);

/** Who hears of changes as they happen. Its functions are called one after another and must not throw. */
export interface Listener {
  readonly userId: string;
  /**
   * The log whose changes it receives: of this conversation, or (by the user's own id) the user's own; null: of all
   * conversations that the user is in, with those joined later.
   */
  readonly conversationId: string | null;
  /** The types of changes it is for; the others pass by. */
  readonly types: readonly string[];
  /** A change, in order within its conversation, each once. */
  onChange(moment: Moment & { change: Change }): void;
  /** The feed's cursor has moved on: all that it has seen was given to `onChange`. About once a second. */
  onProgress(moment: Moment): void;
  /** The user is not in the conversation any more (of a listener to one conversation): nothing comes after this. */
  onRemoved(): void;
  /**
   * What it was told of may be lost, for the database was restored or failed over: nothing comes after this, and no
   * cursor from before is good.
   */
  onLost(): void;
  /** The feed ends: nothing comes after this. */
  onEnd(): void;
}

/**
 * Every change of every conversation, as one node sees it: in order, without a hole.
 *
 * What other nodes publish is only a wake-up; the change log is the truth. A change that comes out of order or not at
 * all is read from the log: at once when a later one shows the hole, else by the sweep.
 */
export interface Feed {
  /** Where the feed is: every change that its cursor has seen was given to those who listened then. */
  readonly now: Moment;
  /** Who listens here at present, and the conversations that are followed for them. */
  readonly listeners: number;
  readonly conversations: number;
  readonly counts: FeedCounts;
  /** When the last sweep that succeeded came to its end, in milliseconds since the epoch. */
  readonly sweptAt: number;
  /** How long ago that was, in milliseconds: until the next one, what no wake-up told of is not delivered. */
  readonly sweepAgeMs: number;
  /** Tells that something has moved beside the log (`ChangeKind.moving`), committed as well: here and on the other nodes. */
  announceMove(row: ChangeRow): void;
  /** Tells what is fleeting (`ChangeKind.fleeting`) to who listens just now, here and on the other nodes. */
  tell(change: Change): void;
  /**
   * Begins to listen; resolves when no change that commits from then on is missed.
   * @returns what ends it; calling it again does nothing.
   */
  listen(listener: Listener): Promise<() => void>;
  /** Few people replay at a time: to be asked before `missed`. */
  readonly replays: Replays;
  /**
   * What a listener missed since a cursor: in its present state, without `data` where nothing is left to tell. In
   * batches, so that nobody has to hold it all.
   * @throws {ChatError} CURSOR_EXPIRED with the field `after`.
   */
  missed(listener: Listener, since: SyncCursor): Promise<AsyncIterator<Change[]>>;
  /** Resolves when all that was committed when it was called has been delivered here. */
  sweep(): Promise<void>;
  /**
   * Calls with the ids of logs in which there are changes of these types, whether or not anybody listens to them: on
   * every node, as soon as it is notified of the change, and otherwise in the next sweep. It must not throw.
   */
  observe(types: readonly string[], observer: (ids: readonly string[]) => void): void;
  /** Calls when what was read from the database before may be lost: after `onLost` of all who listened. */
  onReset(listener: () => void): void;
  close(): Promise<void>;
}

/** What became of the feed's work since the node started. */
interface FeedCounts {
  /** Changes that were delivered in a lane: heard of, or read. */
  changes: number;
  /** Holes that were filled from the log, and the changes that it took: those of which no wake-up told in time. */
  gapFills: number;
  filled: number;
  sweeps: number;
  sweepsFailed: number;
  /** Streams that took up where they were, what they were told of what they had missed, and those that came too late. */
  resumes: number;
  replayed: number;
  expired: number;
  /** How often all streams had to begin anew, for the database was failed over or restored. */
  resets: number;
}

/** How long a hole may be filled by wake-ups that are merely late, in milliseconds, before the log is read. */
const HOLE_PATIENCE_MS = 15;
/** A sweep whose answers came too late may take twice as long the next time, up to so many times its limit. */
const PATIENCE_MAX = 16;
/** So long after the last sweep that succeeded live streams count as late, and how often that is logged then, in milliseconds. */
export const SWEEP_LATE_MS = 15_000;
const LATE_LOGGED_EVERY_MS = 60_000;
/** Changes read from the log, and given their data, at a time. */
const BATCH = 500;
/** Missed changes that are read, and given their data, at a time: each replay that is under way holds so many. */
const REPLAY_BATCH = 100;
/** Batches of replays that are read at once, of all together: others need the connections too. */
const REPLAY_READS_MAX = 3;
/** Conversations that are read at a time. */
const LANES_AT_ONCE = 200;
/** Reads of the log for one conversation each that are under way at once: others need the connections too. */
const READS_MAX = 3;
/** How long what is under way when the feed ends is waited for, in milliseconds. */
const CLOSE_MS = 2_000;
const CHANNEL = 'changes';

/** The log of a conversation, or of a person, that somebody on this node listens to. */
interface Lane {
  id: string;
  /** Whether it is a person's own, whose id it has then. */
  isPersonal: boolean;
  /** The change delivered last; undefined while it is being looked up, when changes only queue. */
  position: number | undefined;
  /** Resolves when the position is known. */
  placing: Promise<void> | undefined;
  /** Changes that came, by number, not yet delivered. */
  early: Map<number, Change>;
  /** Those who listen to this conversation only, and the users here who listen to all of theirs. */
  listeners: Set<Listener>;
  users: Set<string>;
  /** Of the listeners those who hear of what is beside the log, by user. */
  watchers: Map<string, Set<Listener>>;
  /** Up to which message what was said is not for whom: of everyone here who does not see all, and who came since. */
  hidden: Map<string, number>;
  /** Users who are being let in. */
  admissions: Map<string, Promise<void>>;
  patience: NodeJS.Timeout | undefined;
  filling: Promise<void> | undefined;
}

interface Person {
  listeners: Set<Listener>;
  /** Those of them who hear of what is beside the log. */
  watchers: Set<Listener>;
  lanes: Set<Lane>;
  /** Resolves when their lanes are known and placed. */
  known: Promise<void>;
}

/** Whether a listener receives the changes of the user's own log. */
const isOwnLog = ({ userId, conversationId }: Listener): boolean => conversationId === userId;

/** Of what was missed so many at a time. */
function* inBatches(
  missed: readonly Missed[],
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

/** Starts the feed of a node. It needs the database once, for its first snapshot. */
export async function startFeed(options: {
  database: Database;
  bus: Bus;
  kinds: readonly ChangeKind[];
  sweepIntervalMs: number;
  /** How long a sweep may wait for what the database has of changes, before the connection counts as dead. */
  sweepTimeoutMs: number;
  /** Most changes that one listener may have missed. */
  replayMax: number;
  log: Logger;
  /** The change log is another one, or is back in its past: the database was restored under this node, which cannot go on. */
  onReplaced: () => void;
  /** A sweep that succeeded has taken so many milliseconds. */
  onSwept?: (ms: number) => void;
}): Promise<Feed> {
  const { database, bus, log } = options;
  const { db, generation } = database;
  const kinds = new Map(options.kinds.flatMap((kind) => kind.types.map((type) => [type, kind])));
  const typesWhere = (has: (kind: ChangeKind) => unknown) => options.kinds.filter(has).flatMap(({ types }) => types);
  const joinTypes = new Set(typesWhere((kind) => kind.joined));
  const leaveTypes = typesWhere((kind) => kind.left);
  const movingTypes = new Set(typesWhere((kind) => kind.moving));
  const besideTheLog = new Set([...movingTypes, ...typesWhere((kind) => kind.fleeting)]);
  const watches = ({ types }: Listener) => types.some((type) => besideTheLog.has(type));
  const hears = (watchers: Iterable<Listener> = [], type: string) => {
    for (const { types } of watchers) if (types.includes(type)) return true;
    return false;
  };
  const channel = `${generation}:${CHANNEL}`;
  const lanes = new Map<string, Lane>();
  const people = new Map<string, Person>();
  const listeners = new Set<Listener>();
  /** Listeners whose access is being looked up, with what was delivered meanwhile. */
  const held = new Map<Listener, { offers: Offer[]; leftAt: number }>();
  /** The change by which a listener to one conversation was known to be a member: an earlier departure is undone. */
  const memberAt = new WeakMap<Listener, number>();
  let at = (await readProgress(database, undefined, options.sweepTimeoutMs)).at;
  /** Epochs that the feed has left: what other nodes tell from them may be lost. */
  const left = new Set<string>();
  const resetListeners: (() => void)[] = [];
  /** Grows with each reset: what was asked for before one is not taken after it. */
  let resets = 0;
  /** Longer after each that came too late: a database that is merely slow is to be read some time. */
  let { sweepTimeoutMs } = options;
  let now: Moment = { change: null, cursor: encodeSyncCursor(at), made: new Map() };
  let sweeping: Promise<void> | undefined;
  let sweptAt = Date.now();
  /** The same by a clock that nobody sets. */
  let sweptAtUptime = performance.now();
  const sweepAge = () => Math.round(performance.now() - sweptAtUptime);
  let closed = false;
  const reading = pLimit(READS_MAX);
  const replaying = pLimit(REPLAY_READS_MAX);
  const replays = createReplays();
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
  /** Listeners who hear of what moves. */
  let watching = 0;
  const observers: { types: readonly string[]; observer: (ids: readonly string[]) => void }[] = [];
  const observedTypes = new Set<string>();
  /** Up to which change of which log the observers were notified: since the last sweep, and since the one before. */
  let notified = new Map<string, number>();
  let notifiedBefore = new Map<string, number>();

  const joinedBy = (change: Change) => kinds.get(change.type)?.joined?.(change) ?? [];
  /** Who is gone again already sees nothing. */
  const hiddenTo = (change: Change, userId: string) =>
    change.data === null ? Number.POSITIVE_INFINITY : (kinds.get(change.type)?.hiddenTo?.(change, userId) ?? 0);
  const messageSeqOf = (change: Change) => kinds.get(change.type)?.messageSeq?.(change);
  const leftBy = (change: Change) => kinds.get(change.type)?.left?.(change) ?? [];

  // ── lanes ──

  function laneOf(id: string, isPersonal = false): Lane {
    let lane = lanes.get(id);
    if (!lane) {
      lane = {
        id,
        isPersonal,
        position: undefined,
        placing: undefined,
        early: new Map(),
        listeners: new Set(),
        users: new Set(),
        watchers: new Map(),
        hidden: new Map(),
        admissions: new Map(),
        patience: undefined,
        filling: undefined,
      };
      lanes.set(id, lane);
    }
    return lane;
  }

  function dropIfUnused(lane: Lane): void {
    if (lane.listeners.size > 0 || lane.users.size > 0) return;
    clearTimeout(lane.patience);
    // A lane of the same conversation may have been opened since.
    if (lanes.get(lane.id) === lane) lanes.delete(lane.id);
  }

  function addUser(lane: Lane, userId: string): void {
    const person = people.get(userId);
    if (!person) return;
    lane.users.add(userId);
    person.lanes.add(lane);
  }

  function removeUser(lane: Lane, userId: string): void {
    lane.users.delete(userId);
    people.get(userId)?.lanes.delete(lane);
  }

  /** Finds out where lanes stand that were just opened; what came meanwhile is in `early`. */
  async function place(opened: readonly Lane[]): Promise<void> {
    const fresh = opened.filter((lane) => lane.position === undefined && !lane.placing);
    if (fresh.length > 0) {
      const placing = placeAll(fresh);
      for (const lane of fresh) lane.placing = placing;
    }
    await Promise.all(new Set(opened.map((lane) => lane.placing)));
  }

  const findPositionsOf = (some: readonly Lane[]) =>
    findPositions(database.sql, {
      conversationIds: some.filter((lane) => !lane.isPersonal).map(({ id }) => id),
      userIds: some.filter((lane) => lane.isPersonal).map(({ id }) => id),
    });

  async function placeAll(fresh: readonly Lane[]): Promise<void> {
    try {
      const found = await findPositionsOf(fresh);
      for (const lane of fresh) lane.position ??= found.get(lane.id) ?? 0;
    } finally {
      for (const lane of fresh) {
        lane.placing = undefined;
        for (const changeSeq of lane.early.keys()) {
          if (changeSeq <= (lane.position ?? 0)) lane.early.delete(changeSeq);
        }
        deliverNext(lane);
      }
    }
  }

  // ── delivery ──

  function offer(change: Change): void {
    if (observedTypes.has(change.type)) notifyObservers([{ ...change, toSeq: change.changeSeq, types: [change.type] }]);
    const newcomers = joinedBy(change).filter((userId) => people.has(userId));
    let lane = lanes.get(change.conversationId);
    if (newcomers.length > 0 && !lane) {
      // Nobody here was in it before this change.
      lane = laneOf(change.conversationId);
      lane.position = change.changeSeq - 1;
    }
    if (!lane) return;
    if (lane.position !== undefined && change.changeSeq <= lane.position) {
      // Delivered before its wake-up came; those whom it brings in may have begun to listen in between.
      for (const userId of newcomers) {
        if (!lane.users.has(userId)) void admit(lane, userId, change.changeSeq - 1).catch(retryInSweep);
      }
      return;
    }
    lane.early.set(change.changeSeq, change);
    deliverNext(lane);
  }

  const retryInSweep = (error: unknown) =>
    log.warn({ err: error }, 'change log could not be read; the next sweep retries');

  /** Notifies the observers of changes of their types that they were not notified of. */
  function notifyObservers(changed: readonly Pick<Progress, 'conversationId' | 'toSeq' | 'types'>[]): void {
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

  /** Delivers what is next in line; what is beyond a hole waits a moment, then the hole is read. */
  function deliverNext(lane: Lane): void {
    if (lane.position === undefined || lane.filling) return;
    for (let next = lane.early.get(lane.position + 1); next; next = lane.early.get(lane.position + 1)) {
      deliver(lane, next);
    }
    if (lane.early.size > 0 && !lane.patience) {
      lane.patience = setTimeout(() => void fill(lane).catch(retryInSweep), HOLE_PATIENCE_MS);
    }
  }

  function deliver(lane: Lane, change: Change): void {
    lane.position = change.changeSeq;
    lane.early.delete(change.changeSeq);
    counts.changes += 1;
    for (const userId of joinedBy(change)) {
      lane.hidden.set(userId, hiddenTo(change, userId));
      addUser(lane, userId);
    }
    const left = leftBy(change);
    if (change.data !== null) {
      const moment = momentOf(change, lane);
      for (const listener of lane.listeners) hand(listener, moment);
      for (const userId of lane.users) handAll(userId, moment);
    }
    for (const userId of left) {
      removeUser(lane, userId);
      lane.hidden.delete(userId);
    }
    for (const listener of left.length > 0 ? [...lane.listeners] : []) {
      if (left.includes(listener.userId)) depart(lane, listener, change.changeSeq);
    }
    if (left.length > 0) dropIfUnused(lane);
  }

  /** Ends a listener whose user has left, unless they had joined again before it began to listen. */
  function depart(lane: Lane, listener: Listener, changeSeq: number): void {
    const waiting = held.get(listener);
    if (!waiting && changeSeq > (memberAt.get(listener) ?? 0)) {
      listener.onRemoved();
      return;
    }
    if (waiting) waiting.leftAt = changeSeq;
    // What happened while they were out is not for them, until the lane comes to their joining.
    lane.hidden.set(listener.userId, Number.POSITIVE_INFINITY);
  }

  const momentOf = (change: Change, lane: Lane): Offer => {
    const seq = messageSeqOf(change);
    const hidden = seq === undefined ? undefined : { seq, to: lane.hidden };
    return { change, cursor: now.cursor, made: new Map<symbol, unknown>(), hidden };
  };

  function handAll(userId: string, moment: Offer): void {
    for (const listener of people.get(userId)?.listeners ?? []) hand(listener, moment);
  }

  function hand(listener: Listener, moment: Offer): void {
    if (!listener.types.includes(moment.change.type)) return;
    const waiting = held.size > 0 ? held.get(listener) : undefined;
    if (waiting) {
      waiting.offers.push(moment);
      return;
    }
    // Judged now: once it waits in somebody's queue they may be out, or in once more.
    if (isHidden(moment, listener.userId)) return;
    try {
      listener.onChange(moment);
    } catch (error) {
      log.error({ err: error, type: moment.change.type }, 'stream listener failed');
    }
  }

  /**
   * Lets a user into a lane that has gone on without them: gives them what it has delivered since `joinedAfter`.
   * Only once caught up do they hear what it delivers.
   */
  function admit(lane: Lane, userId: string, joinedAfter: number): Promise<void> {
    let admission = lane.admissions.get(userId);
    if (!admission) {
      admission = admitNow(lane, userId, joinedAfter).finally(() => lane.admissions.delete(userId));
      lane.admissions.set(userId, admission);
    }
    return admission;
  }

  async function admitNow(lane: Lane, userId: string, joinedAfter: number): Promise<void> {
    const delivered: Change[] = [];
    for (let from = joinedAfter, more = true; more; ) {
      const changes = await complete(await readChangesAfter(db, lane.id, from, BATCH));
      // What is beyond the lane's position it delivers itself.
      const behind = changes.filter(({ changeSeq }) => changeSeq <= (lane.position ?? 0));
      delivered.push(...behind);
      from = behind.at(-1)?.changeSeq ?? from;
      more = behind.length > 0 && from < (lane.position ?? 0);
    }
    if (lane.users.has(userId) || !people.has(userId) || lanes.get(lane.id) !== lane) return;
    // They went again: what they were to hear they heard.
    if (delivered.some((change) => leftBy(change).includes(userId))) return;
    for (const change of delivered) {
      if (joinedBy(change).includes(userId)) lane.hidden.set(userId, hiddenTo(change, userId));
      if (change.data !== null) handAll(userId, momentOf(change, lane));
    }
    addUser(lane, userId);
  }

  /** Reads from the log all that the lane has not delivered. */
  function fill(lane: Lane): Promise<void> {
    clearTimeout(lane.patience);
    lane.patience = undefined;
    lane.filling ??= (async () => {
      let rows: ChangeRow[];
      do {
        if (lane.position === undefined || lanes.get(lane.id) !== lane) return;
        rows = await readChangesAfter(db, lane.id, lane.position, BATCH);
        const changes = await complete(rows, (row) => lane.early.get(row.changeSeq));
        if (lanes.get(lane.id) !== lane) return;
        const lacking = rows.filter(({ changeSeq }) => !lane.early.has(changeSeq)).length;
        if (lacking > 0) counts.gapFills += 1;
        counts.filled += lacking;
        for (const change of changes) deliver(lane, change);
      } while (rows.length === BATCH);
    })().finally(() => {
      lane.filling = undefined;
      // What is beyond a hole that could not be read is left to the sweep, lest this spins.
      if (lane.early.has((lane.position ?? 0) + 1)) deliverNext(lane);
    });
    return lane.filling;
  }

  /**
   * Reads from the log all that these lanes have not delivered, of many of them with each statement. What they hear of
   * meanwhile waits.
   */
  function fillTogether(some: readonly Lane[]): Promise<void> {
    const filling = (async () => {
      for (let more = true; more; ) {
        refuseIfClosed();
        const open = some.filter((lane) => lanes.get(lane.id) === lane);
        const rows = await readChangesOfMany(
          database.sql,
          open.map(({ id, position = 0 }) => ({ conversationId: id, changeSeq: position })),
          BATCH,
        );
        const earlyOf = ({ conversationId, changeSeq }: ChangeRow) => lanes.get(conversationId)?.early.get(changeSeq);
        const lacking = rows.filter((row) => !earlyOf(row)).length;
        if (lacking > 0) counts.gapFills += 1;
        counts.filled += lacking;
        const byId = new Map(open.map((lane) => [lane.id, lane]));
        await inSlices(await complete(rows, earlyOf), (change) => {
          const lane = byId.get(change.conversationId);
          if (lane && lanes.get(lane.id) === lane && change.changeSeq === (lane.position ?? 0) + 1)
            deliver(lane, change);
        });
        more = rows.length === BATCH;
      }
    })();
    return Promise.all(
      some.map((lane) => {
        clearTimeout(lane.patience);
        lane.patience = undefined;
        lane.filling = filling.finally(() => {
          lane.filling = undefined;
          if (lane.early.has((lane.position ?? 0) + 1)) deliverNext(lane);
        });
        return lane.filling;
      }),
    ).then(() => {});
  }

  /** What takes long ends with the feed. */
  function refuseIfClosed(): void {
    if (closed) throw new Error('the feed has ended');
  }

  /** Gives rows of the log their data, from wake-ups where these came, else from the database. */
  async function complete(
    rows: readonly ChangeRow[],
    earlyOf?: (row: ChangeRow) => Change | undefined,
  ): Promise<Change[]> {
    const changes: Change[] = rows.map((row) => earlyOf?.(row) ?? { ...row, data: null });
    const wanted = new Map<ChangeKind, Change[]>();
    for (const change of changes) {
      const kind = change.data === null ? kinds.get(change.type) : undefined;
      if (!kind) continue;
      const some = wanted.get(kind);
      if (some) some.push(change);
      else wanted.set(kind, [change]);
    }
    await Promise.all(
      [...wanted].map(async ([kind, lacking]) => {
        const data = await kind.load(db, lacking);
        for (const [index, change] of lacking.entries()) change.data = data[index] ?? null;
      }),
    );
    return changes;
  }

  // ── what moves beside the log ──

  const movements = createMovements({
    db,
    kinds: options.kinds,
    log,
    isListenedTo({ conversationId, type }) {
      const lane = watching > 0 ? lanes.get(conversationId) : undefined;
      if (!lane) return false;
      for (const watchers of lane.watchers.values()) if (hears(watchers, type)) return true;
      for (const userId of lane.users) if (hears(people.get(userId)?.watchers, type)) return true;
      return false;
    },
    async reach(conversationId, changeSeq) {
      const lane = lanes.get(conversationId);
      if (!lane || (lane.position ?? 0) >= changeSeq) return;
      // Its wake-ups may be on their way.
      await new Promise((resolve) => setTimeout(resolve, HOLE_PATIENCE_MS));
      await lane.placing;
      const isBehind = () => lanes.get(conversationId) === lane && (lane.position ?? 0) < changeSeq;
      // One that was filled already may have been read before that change: what is asked for next was not.
      if (isBehind()) await fill(lane);
      if (isBehind()) await fill(lane);
      if (isBehind()) throw new Error('a hole is left');
    },
    deliver: deliverBeside,
  });

  /** Gives who watches in the conversation, or one person only, what is not in the log. */
  function deliverBeside(change: Change, only?: string): void {
    const lane = lanes.get(change.conversationId);
    if (!lane) return;
    const moment = momentOf(change, lane);
    const handTo = (watchers: Iterable<Listener> = []) => {
      for (const listener of watchers) hand(listener, moment);
    };
    if (only !== undefined) {
      handTo(lane.watchers.get(only));
      if (lane.users.has(only)) handTo(people.get(only)?.watchers);
      return;
    }
    for (const watchers of lane.watchers.values()) handTo(watchers);
    for (const userId of lane.users) handTo(people.get(userId)?.watchers);
  }

  // ── the sweep ──

  async function sweepOnce(again = false): Promise<void> {
    const seen = await readProgress(database, at, sweepTimeoutMs);
    sweepTimeoutMs = options.sweepTimeoutMs;
    // Numbers are compared with those of a database that was dumped and restored, of which they say nothing.
    if (seen.at.generation !== generation) {
      options.onReplaced();
      throw new Error('the database was replaced or restored');
    }
    database.history.met(seen.timeline);
    if (!seen.begun) {
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
    await meetNewcomers(seen.progress);
    await catchUp(seen.progress);
    notifyObservers(seen.progress);
    notifiedBefore = notified;
    notified = new Map();
    // Read after `seen.at` was taken, so that nothing that it has seen is missed.
    if (watching > 0) await movements.sweep(at);
    moveTo(seen.at);
    for (const listener of listeners) listener.onProgress(now);
  }

  function moveTo(next: SyncCursor): void {
    if (next.epoch !== at.epoch) left.add(at.epoch);
    left.delete(next.epoch);
    at = next;
    now = { change: null, cursor: encodeSyncCursor(at), made: new Map() };
  }

  const transition = (next: SyncCursor) => ({ from: at.epoch, to: next.epoch, listeners: listeners.size });

  /** Whether a change was delivered here that the database does not have. */
  async function isAhead(): Promise<boolean> {
    const positions = new Map([...lanes.values()].map(({ id, position }) => [id, position ?? 0]));
    const found = await findPositionsOf([...lanes.values()]);
    return [...positions].some(([id, position]) => position > (found.get(id) ?? 0));
  }

  /**
   * Begins anew in another history of the database: whoever listens is told, and nothing that is known from before
   * counts any more. Their numbers would be taken for those of other changes.
   */
  function reset(next: SyncCursor): void {
    resets += 1;
    counts.resets += 1;
    const told = [...listeners];
    for (const lane of lanes.values()) {
      clearTimeout(lane.patience);
      lane.early.clear();
      lane.listeners.clear();
      lane.users.clear();
      lane.watchers.clear();
    }
    for (const gone of [listeners, lanes, people, held]) gone.clear();
    watching = 0;
    notified.clear();
    notifiedBefore.clear();
    movements.reset();
    moveTo(next);
    for (const listener of told) listener.onLost();
    for (const listener of resetListeners) listener();
  }

  /** Has all that is followed here delivered up to what was found in the log. */
  async function catchUp(progress: readonly Progress[]): Promise<void> {
    const followed = progress.flatMap(({ conversationId, toSeq }) => {
      const lane = lanes.get(conversationId);
      return lane ? [{ lane, toSeq }] : [];
    });
    await Promise.all(new Set(followed.map(({ lane }) => lane.placing)));
    const isBehind = ({ lane, toSeq }: (typeof followed)[number]) =>
      lanes.get(lane.id) === lane && (lane.position ?? -1) < toSeq;
    // What is being filled already may have been read before the last of it was written.
    await Promise.all(followed.filter(isBehind).map(({ lane }) => lane.filling));
    const behind = followed.filter((each) => isBehind(each) && each.lane.position !== undefined);
    for (let from = 0; from < behind.length; from += LANES_AT_ONCE) {
      const some = behind.slice(from, from + LANES_AT_ONCE).filter(isBehind);
      await Promise.all(some.map(({ lane }) => lane.filling));
      await fillTogether(some.filter((each) => isBehind(each) && !each.lane.filling).map(({ lane }) => lane));
    }
    for (const { lane } of followed) dropIfUnused(lane);
    // Unless nobody follows it any more, it must have come so far before the cursor moves.
    if (followed.some(isBehind)) throw new Error('a hole is left');
  }

  /** Lets users here into conversations that they came into without our hearing of it. */
  async function meetNewcomers(progress: readonly Progress[]): Promise<void> {
    if (people.size === 0) return;
    const suspects = progress.filter(({ types }) => types.some((type) => joinTypes.has(type)));
    for (let from = 0; from < suspects.length; from += LANES_AT_ONCE) {
      const some = suspects.slice(from, from + LANES_AT_ONCE);
      let next = some.map(({ conversationId, fromSeq }) => ({ conversationId, changeSeq: fromSeq - 1 }));
      while (next.length > 0) {
        refuseIfClosed();
        const rows = await readChangesOfMany(database.sql, next, BATCH, [...joinTypes]);
        await meet(await complete(rows));
        // Of the last conversation there may be more, and all of those behind it.
        const last = rows.length === BATCH ? rows.at(-1) : undefined;
        const at = next.findIndex(({ conversationId }) => conversationId === last?.conversationId);
        next = last && at >= 0 ? [last, ...next.slice(at + 1)] : [];
      }
    }
  }

  /** Lets in those whom these changes bring into conversations that have gone on without them. */
  async function meet(changes: readonly Change[]): Promise<void> {
    await Promise.all(new Set(changes.map(({ conversationId }) => lanes.get(conversationId)?.placing)));
    const admissions: Promise<void>[] = [];
    for (const change of changes) {
      for (const userId of joinedBy(change).filter((id) => people.has(id))) {
        let lane = lanes.get(change.conversationId);
        if (!lane) {
          // Placed before the first of them; it takes them in as it comes to where they joined.
          lane = laneOf(change.conversationId);
          lane.position = change.changeSeq - 1;
        }
        if (lane.users.has(userId) || (lane.position ?? 0) < change.changeSeq) continue;
        const joined = lane;
        admissions.push(reading(() => admit(joined, userId, change.changeSeq - 1)));
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
        sweepTimeoutMs = Math.min(2 * sweepTimeoutMs, PATIENCE_MAX * options.sweepTimeoutMs);
      }
      throw error;
    }
    sweptAt = Date.now();
    sweptAtUptime = performance.now();
    options.onSwept?.(performance.now() - began);
  }

  /** One sweep after another; who asks while one is under way waits for one that began later. */
  function sweep(): Promise<void> {
    const before = sweeping;
    const next = (before ?? Promise.resolve()).catch(() => {}).then(sweepCounted);
    const tracked = next.finally(() => {
      if (sweeping === tracked) sweeping = undefined;
    });
    sweeping = tracked;
    return tracked;
  }

  /** Whether the last sweep failed: that is logged once, and when one succeeds again. */
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
  // Streams are not to wait for the timer to be told of it.
  database.history.onChange(sweepNow);

  /**
   * Whether another node tells of a change in the history that this one is in. What was told from before a failover may
   * never have been; where the other node is ahead, a sweep follows it. Nodes of older versions do not say.
   */
  function isOfNow(epoch: string | undefined): boolean {
    if (epoch === undefined || epoch === at.epoch) return true;
    if (!left.has(epoch)) sweepNow();
    return false;
  }

  // ── the bus: "<log> <json>", with "+" before it when all nodes must read it, so that most need no parsing; what    ──
  // ── moves beside the log: "~<conversation> <type> <subject> <number>"; what is fleeting: "^<conversation> <json>"   ──

  bus.subscribe(channel, (text) => {
    if (text.startsWith('^')) {
      const conversationId = text.slice(1, text.indexOf(' '));
      if (!lanes.has(conversationId)) return;
      const wire = JSON.parse(text.slice(text.indexOf(' ') + 1)) as Change;
      const data = kinds.get(wire.type)?.decode(wire.data);
      if (data !== undefined) deliverBeside({ ...wire, conversationId, data });
      return;
    }
    if (text.startsWith('~')) {
      const [conversationId = '', type = '', subjectId = '', changeSeq] = text.slice(1).split(' ');
      movements.heard(moveOf({ conversationId, type, subjectId, changeSeq: Number(changeSeq) }));
      return;
    }
    const isForAllNodes = text.startsWith('+');
    const conversationId = text.slice(isForAllNodes ? 1 : 0, text.indexOf(' '));
    if (!isForAllNodes && !lanes.has(conversationId)) return;
    const { epoch, ...wire } = JSON.parse(text.slice(text.indexOf(' ') + 1)) as Change & { epoch?: string };
    if (!isOfNow(epoch)) return;
    const kind = kinds.get(wire.type);
    const data = kind ? kind.decode(wire.data) : null;
    if (data !== undefined) offer({ ...wire, conversationId, data });
    else {
      const lane = lanes.get(conversationId);
      if (lane) void fill(lane).catch(retryInSweep);
    }
  });
  // What was published while it was lost is found at once, not only by the next sweep.
  bus.onConnected(() => void sweep().catch(retryInSweep));

  // ── listening ──

  /** Of those who come at the same time in one statement. */
  const lookUpPlaces = createLookup((userIds: readonly string[]) => findPlaces(database.sql, userIds));
  const lookUpAccess = createLookup((keys: readonly { conversationId: string; userId: string }[]) =>
    findAccess(database.sql, keys),
  );

  async function enter(userId: string): Promise<void> {
    const begun = resets;
    const places = await lookUpPlaces(userId);
    if (resets !== begun) return;
    const mine = places.map(({ conversationId, hiddenToSeq }) => {
      const lane = laneOf(conversationId);
      hide(lane, userId, hiddenToSeq);
      addUser(lane, userId);
      return lane;
    });
    await place(mine);
  }

  /** What the lane has heard of somebody since is newer than what was read. */
  function hide(lane: Lane, userId: string, hiddenToSeq: number): void {
    if (hiddenToSeq > 0 && !lane.hidden.has(userId)) lane.hidden.set(userId, hiddenToSeq);
  }

  /** Makes the listener one that changes reach; resolves when none is missed from here on. */
  async function attach(listener: Listener): Promise<void> {
    const { userId, conversationId } = listener;
    if (conversationId !== null) {
      const isOwn = isOwnLog(listener);
      const lane = laneOf(conversationId, isOwn);
      if (!isOwn) held.set(listener, { offers: [], leftAt: 0 });
      lane.listeners.add(listener);
      if (watches(listener)) lane.watchers.set(userId, (lane.watchers.get(userId) ?? new Set()).add(listener));
      await place([lane]);
      // Nothing in a person's own log is hidden from them.
      if (isOwn) return;
      const { hiddenToSeq, changeSeq } = await lookUpAccess({ conversationId, userId });
      if (hiddenToSeq === null) {
        // Everything is hidden from somebody who is not a member, until they join.
        hide(lane, userId, Number.POSITIVE_INFINITY);
      } else {
        memberAt.set(listener, changeSeq);
        // A lane that lags behind knows less of them than the database.
        if ((lane.position ?? 0) < changeSeq) lane.hidden.set(userId, hiddenToSeq);
        else hide(lane, userId, hiddenToSeq);
      }
      const waiting = held.get(listener);
      held.delete(listener);
      if (waiting && waiting.leftAt > (memberAt.get(listener) ?? 0)) listener.onRemoved();
      else for (const moment of waiting?.offers ?? []) hand(listener, moment);
      return;
    }
    let person = people.get(userId);
    if (!person) {
      person = { listeners: new Set(), watchers: new Set(), lanes: new Set(), known: Promise.resolve() };
      people.set(userId, person);
      person.known = enter(userId);
    }
    person.listeners.add(listener);
    if (watches(listener)) person.watchers.add(listener);
    await person.known;
  }

  function detach(listener: Listener): void {
    held.delete(listener);
    const { userId, conversationId } = listener;
    if (conversationId !== null) {
      const lane = lanes.get(conversationId);
      const own = lane?.watchers.get(userId);
      if (own?.delete(listener) && own.size === 0) lane?.watchers.delete(userId);
      if (lane?.listeners.delete(listener)) dropIfUnused(lane);
      return;
    }
    const person = people.get(userId);
    person?.watchers.delete(listener);
    if (!person?.listeners.delete(listener) || person.listeners.size > 0) return;
    people.delete(userId);
    for (const lane of person.lanes) {
      lane.users.delete(userId);
      dropIfUnused(lane);
    }
  }

  /** Delivers a committed change to the listeners of this node at once, and to the other nodes. */
  function announce(change: Change): void {
    change.committedAt ??= Date.now();
    const { conversationId, ...rest } = change;
    const wire = JSON.stringify({ ...rest, data: kinds.get(change.type)?.encode(change.data), epoch: at.epoch });
    const isForAllNodes = observedTypes.has(change.type) || joinedBy(change).length > 0;
    bus.publish(channel, `${isForAllNodes ? '+' : ''}${conversationId} ${wire}`);
    offer(change);
  }

  // In slices, for each change may have thousands of listeners.
  database.onCommitted(changesCommitted, (changes) => inSlices(changes, announce));

  return {
    get now() {
      return now;
    },
    get listeners() {
      return listeners.size;
    },
    get conversations() {
      return [...lanes.values()].filter((lane) => !lane.isPersonal).length;
    },
    counts,
    get sweptAt() {
      return sweptAt;
    },
    get sweepAgeMs() {
      return sweepAge();
    },

    tell(change) {
      const { conversationId, ...rest } = change;
      const wire = JSON.stringify({ ...rest, data: kinds.get(change.type)?.encode(change.data) });
      bus.publish(channel, `^${conversationId} ${wire}`);
      deliverBeside(change);
    },

    announceMove(row) {
      bus.publish(channel, `~${row.conversationId} ${row.type} ${row.subjectId} ${row.changeSeq}`);
      movements.heard(row);
    },

    async listen(listener) {
      listeners.add(listener);
      const own = listener.types.some((type) => movingTypes.has(type)) ? 1 : 0;
      watching += own;
      const stop = () => {
        if (!listeners.delete(listener)) return;
        watching -= own;
        detach(listener);
      };
      try {
        await attach(listener);
      } catch (error) {
        stop();
        throw error;
      }
      return stop;
    },

    replays,

    async missed(listener, since) {
      const { userId, conversationId, types } = listener;
      const ids =
        conversationId === null ? [...(people.get(userId)?.lanes ?? [])].map((lane) => lane.id) : [conversationId];
      const logged = types.filter((type) => !movingTypes.has(type));
      const missed = await replaying(() =>
        readMissed(database, since, {
          conversationIds: ids,
          types: logged,
          leaver: conversationId === null ? userId : null,
          leaveTypes: leaveTypes.filter((type) => types.includes(type)),
          limit: options.replayMax,
        }),
      );
      const audience = { userId, conversationIds: ids, limit: options.replayMax };
      const moved = await replaying(() => movements.missed(audience, types, since));
      /** Those of a batch that are theirs as it is read, which may be long after they asked for it. */
      const theirsOf = async (changes: readonly Change[]): Promise<Change[]> => {
        if (isOwnLog(listener)) return [...changes];
        const conversations = [...new Set(changes.map((change) => change.conversationId))];
        const access = await findAccess(
          database.sql,
          conversations.map((id) => ({ conversationId: id, userId })),
        );
        const hiddenIn = new Map(conversations.map((id, index) => [id, access[index]?.hiddenToSeq ?? null]));
        return changes.filter((change) => {
          const hiddenTo = hiddenIn.get(change.conversationId) ?? null;
          if (hiddenTo === null) return leftBy(change).includes(userId);
          const seq = change.data === null ? undefined : messageSeqOf(change);
          return seq === undefined || seq > hiddenTo;
        });
      };
      return (async function* () {
        for (const keys of inBatches(missed, REPLAY_BATCH)) {
          yield replaying(async () => theirsOf(await complete(await readChangesAt(database.sql, keys))));
        }
        for (const rows of movements.inBatches(moved, REPLAY_BATCH)) {
          yield replaying(async () => theirsOf(await movements.load(rows)));
        }
      })();
    },

    sweep,

    observe(types, observer) {
      observers.push({ types, observer });
      for (const type of types) observedTypes.add(type);
    },

    onReset: (listener) => void resetListeners.push(listener),

    async close() {
      closed = true;
      clearInterval(timer);
      for (const listener of [...listeners]) listener.onEnd();
      for (const lane of lanes.values()) clearTimeout(lane.patience);
      const underWay = [sweeping, ...[...lanes.values()].map((lane) => lane.filling)];
      // A database that does not answer is not waited for.
      const tooLate = new AbortController();
      await Promise.race([
        Promise.allSettled(underWay),
        delay(CLOSE_MS, undefined, { signal: tooLate.signal, ref: false }).catch(() => {}),
      ]);
      tooLate.abort();
    },
  };
}
