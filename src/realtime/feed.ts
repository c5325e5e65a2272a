import { decodeSyncCursor, encodeSyncCursor } from '../core/sync-cursor.js';
import type { Database } from '../infra/database.js';
import type { Logger } from '../infra/log.js';
import type { Bus } from './bus.js';
import type { Change, ChangeKind, ChangeRow } from './change.js';
import { type Progress, readChangesAfter, readMissed, readProgress } from './change-log.js';

/** Who wants to hear of changes. */
interface Listener {
  userId: string;
  /** Of this conversation, or (null) of all that the user is in, those joined later too. */
  conversationId: string | null;
  /** The types of changes it is for; the others pass by. */
  types: readonly string[];
  /** Called for each change, in order within a conversation, each once. `cursor` resumes after it. */
  onChange(change: Change, delivery: { cursor: string; replayed: boolean }): void;
  /** Called once, when all that was missed has come and the listener is live. */
  onCaughtUp(cursor: string): void;
}

/**
 * Every change of every conversation, as one node sees it: in order, without a hole.
 *
 * What other nodes publish is only a wake-up; the change log is the truth. A change that comes out of order or not at
 * all is read from the log: at once when a later one shows the hole, else by the sweep.
 */
export interface Feed {
  /** Tells a change that is committed: to the listeners here at once, and to the other nodes. */
  announce(change: Change): void;
  /**
   * Begins to listen; resolves when live. With `after`, what that cursor has not seen is delivered first.
   * @returns what ends it; to be called exactly once.
   * @throws {ChatError} BAD_USER_INPUT or CURSOR_EXPIRED with the field `after`.
   */
  listen(listener: Listener, after?: string | null): Promise<() => void>;
  /** Who listens here at present. */
  readonly listeners: number;
  /** Conversations that are followed here at present: those of the listeners. */
  readonly conversations: number;
  /** Resolves when all that is committed by now has been delivered here. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

/** How long a hole may be filled by wake-ups that are merely late, in milliseconds, before the log is read. */
const HOLE_PATIENCE_MS = 15;
/** Changes read from the log at a time. */
const BATCH = 500;
const CHANNEL = 'changes';

/** One conversation that somebody here listens to. */
interface Lane {
  id: string;
  /** The change delivered last; undefined while it is being looked up, when changes only queue. */
  position: number | undefined;
  /** Changes that came, by number, not yet delivered. */
  early: Map<number, Change>;
  /** Those who listen to this conversation only, and the users here who listen to all of theirs. */
  listeners: Set<Listener>;
  users: Set<string>;
  patience: NodeJS.Timeout | undefined;
  filling: Promise<void> | undefined;
}

interface Person {
  listeners: Set<Listener>;
  lanes: Set<Lane>;
  /** Resolves when their lanes are known. */
  known: Promise<void>;
}

/** Starts the feed of a node. It needs the database once, for its first snapshot. */
export async function startFeed(options: {
  database: Database;
  bus: Bus;
  kinds: readonly ChangeKind[];
  sweepIntervalMs: number;
  log: Logger;
}): Promise<Feed> {
  const { database, bus, log } = options;
  const { db, generation } = database;
  const kinds = new Map(options.kinds.flatMap((kind) => kind.types.map((type) => [type, kind])));
  const joining = new Set(options.kinds.filter((kind) => kind.joined).flatMap((kind) => kind.types));
  const channel = `${generation}:${CHANNEL}`;
  const lanes = new Map<string, Lane>();
  const people = new Map<string, Person>();
  let snapshot = (await readProgress(db, undefined)).snapshot;
  let cursor = encodeSyncCursor({ generation, snapshot });
  let sweeping: Promise<void> | undefined;
  let closed = false;
  let listening = 0;

  // ── lanes ──

  function laneOf(id: string, position?: number): Lane {
    let lane = lanes.get(id);
    if (!lane) {
      lane = {
        id,
        position,
        early: new Map(),
        listeners: new Set(),
        users: new Set(),
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

  /** Finds out where lanes stand that were just opened; what came meanwhile is in `early`. */
  async function locate(unplaced: readonly Lane[]): Promise<void> {
    const missing = unplaced.filter((lane) => lane.position === undefined);
    if (missing.length === 0) return;
    const rows = await db.conversation.findMany({
      where: { id: { in: missing.map((lane) => lane.id) } },
      select: { id: true, changeSeq: true },
    });
    const found = new Map(rows.map((row) => [row.id, row.changeSeq]));
    for (const lane of missing) {
      if (lane.position !== undefined) continue;
      lane.position = found.get(lane.id) ?? 0;
      for (const changeSeq of lane.early.keys()) if (changeSeq <= lane.position) lane.early.delete(changeSeq);
      advance(lane);
    }
  }

  // ── delivery ──

  function offer(change: Change): void {
    const joined = change.data === null ? undefined : kinds.get(change.type)?.joined?.(change.data);
    const here = joined?.filter((userId) => people.has(userId)) ?? [];
    const lane =
      here.length > 0 ? laneOf(change.conversationId, change.changeSeq - 1) : lanes.get(change.conversationId);
    if (!lane) return;
    if (lane.position !== undefined && change.changeSeq <= lane.position) return;
    lane.early.set(change.changeSeq, change);
    advance(lane);
  }

  /** Delivers what is next in line; what is beyond a hole waits a moment, then the hole is read. */
  function advance(lane: Lane): void {
    if (lane.position === undefined || lane.filling) return;
    for (let next = lane.early.get(lane.position + 1); next; next = lane.early.get(lane.position + 1))
      deliver(lane, next);
    if (lane.early.size > 0 && !lane.patience) {
      lane.patience = setTimeout(() => void fill(lane), HOLE_PATIENCE_MS);
    }
  }

  function deliver(lane: Lane, change: Change): void {
    lane.position = change.changeSeq;
    lane.early.delete(change.changeSeq);
    if (change.data === null) return;
    for (const userId of kinds.get(change.type)?.joined?.(change.data) ?? []) addUser(lane, userId);
    for (const listener of lane.listeners) hand(listener, change);
    for (const userId of lane.users) {
      for (const listener of people.get(userId)?.listeners ?? []) hand(listener, change);
    }
  }

  function hand(listener: Listener, change: Change): void {
    if (!listener.types.includes(change.type)) return;
    try {
      listener.onChange(change, { cursor, replayed: false });
    } catch (error) {
      log.error({ err: error, type: change.type }, 'a listener failed');
    }
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
        const changes = await complete(rows, lane.early);
        for (const change of changes) deliver(lane, change);
      } while (rows.length === BATCH);
    })()
      .catch((error: unknown) => log.warn({ err: error }, 'a hole could not be read; the next sweep tries again'))
      .finally(() => {
        lane.filling = undefined;
        // What is beyond a hole that could not be read is left to the sweep, lest this spins.
        if (lane.early.has((lane.position ?? 0) + 1)) advance(lane);
      });
    return lane.filling;
  }

  /** Gives rows of the log their data, from wake-ups where these came, else from the database. */
  async function complete(rows: readonly ChangeRow[], early?: ReadonlyMap<number, Change>): Promise<Change[]> {
    const changes: Change[] = rows.map((row) => early?.get(row.changeSeq) ?? { ...row, data: null });
    const wanted = new Map<ChangeKind, Change[]>();
    for (const change of changes) {
      const kind = change.data === null ? kinds.get(change.type) : undefined;
      if (kind) wanted.set(kind, [...(wanted.get(kind) ?? []), change]);
    }
    await Promise.all(
      [...wanted].map(async ([kind, lacking]) => {
        const data = await kind.load(db, lacking);
        for (const [index, change] of lacking.entries()) change.data = data[index] ?? null;
      }),
    );
    return changes;
  }

  // ── the sweep ──

  async function sweepOnce(): Promise<void> {
    const seen = await readProgress(db, snapshot);
    await meetNewcomers(seen.progress);
    await Promise.all(
      seen.progress.map(async ({ conversationId, toSeq }) => {
        const lane = lanes.get(conversationId);
        if (!lane) return;
        if (lane.position !== undefined && lane.position < toSeq) await fill(lane);
        if (lane.position !== undefined && lane.position < toSeq)
          throw new Error('not all that was missed could be read');
      }),
    );
    snapshot = seen.snapshot;
    cursor = encodeSyncCursor({ generation, snapshot });
  }

  /** Opens lanes for users here who came into a conversation without our hearing of it. */
  async function meetNewcomers(progress: readonly Progress[]): Promise<void> {
    const suspects = progress.filter(({ types }) => types.some((type) => joining.has(type)));
    if (suspects.length === 0 || people.size === 0) return;
    const rows = await db.membership.findMany({
      where: { conversationId: { in: suspects.map((row) => row.conversationId) }, userId: { in: [...people.keys()] } },
      select: { conversationId: true, userId: true },
    });
    const firstMissed = new Map(suspects.map((row) => [row.conversationId, row.fromSeq]));
    for (const { conversationId, userId } of rows) {
      if (!people.has(userId)) continue;
      addUser(laneOf(conversationId, (firstMissed.get(conversationId) ?? 1) - 1), userId);
    }
  }

  function sweep(): Promise<void> {
    sweeping ??= sweepOnce().finally(() => {
      sweeping = undefined;
    });
    return sweeping;
  }

  const timer = setInterval(() => {
    sweep().catch((error: unknown) => {
      if (!closed) log.warn({ err: error }, 'the sweep failed; the next one tries again');
    });
  }, options.sweepIntervalMs);

  // ── the bus: "<conversation> <json>", with "+" before it when somebody joins, so that most need no parsing ──

  bus.subscribe(channel, (text) => {
    const joins = text.startsWith('+');
    const conversationId = text.slice(joins ? 1 : 0, text.indexOf(' '));
    if (!joins && !lanes.has(conversationId)) return;
    const wire = JSON.parse(text.slice(text.indexOf(' ') + 1)) as Change;
    const kind = kinds.get(wire.type);
    const data = kind ? kind.decode(wire.data) : null;
    if (data !== undefined) offer({ ...wire, conversationId, data });
    else {
      const lane = lanes.get(conversationId);
      if (lane) void fill(lane);
    }
  });

  // ── listening ──

  async function enter(userId: string): Promise<void> {
    const rows = await db.membership.findMany({ where: { userId }, select: { conversationId: true } });
    const mine = rows.map((row) => laneOf(row.conversationId));
    for (const lane of mine) addUser(lane, userId);
    await locate(mine);
  }

  function leave(userId: string): void {
    const person = people.get(userId);
    if (!person || person.listeners.size > 0) return;
    people.delete(userId);
    for (const lane of person.lanes) {
      lane.users.delete(userId);
      dropIfUnused(lane);
    }
  }

  /** Makes the listener one that live changes reach; resolves when none is missed from here on. */
  async function attach(listener: Listener): Promise<void> {
    const { userId, conversationId } = listener;
    if (conversationId !== null) {
      const lane = laneOf(conversationId);
      lane.listeners.add(listener);
      await locate([lane]);
      return;
    }
    let person = people.get(userId);
    if (!person) {
      person = { listeners: new Set(), lanes: new Set(), known: Promise.resolve() };
      people.set(userId, person);
      person.known = enter(userId);
    }
    person.listeners.add(listener);
    await person.known;
  }

  function detach(listener: Listener): void {
    listening -= 1;
    const { userId, conversationId } = listener;
    if (conversationId === null) {
      people.get(userId)?.listeners.delete(listener);
      leave(userId);
    } else {
      const lane = lanes.get(conversationId);
      if (lane?.listeners.delete(listener)) dropIfUnused(lane);
    }
  }

  return {
    announce(change) {
      const kind = kinds.get(change.type);
      const joins = (kind?.joined?.(change.data) ?? []).length > 0;
      const { conversationId, ...rest } = change;
      const wire = JSON.stringify({ ...rest, data: kind?.encode(change.data) });
      bus.publish(channel, `${joins ? '+' : ''}${conversationId} ${wire}`);
      offer(change);
    },

    async listen(listener, after) {
      const from = after == null ? undefined : decodeSyncCursor(after, 'after', generation);
      // While what was missed is read, what happens live waits its turn.
      const waiting: [Change, string][] = [];
      let live = false;
      const gate: Listener = {
        ...listener,
        onChange(change, delivery) {
          if (live) listener.onChange(change, delivery);
          else waiting.push([change, delivery.cursor]);
        },
      };
      listening += 1;
      try {
        await attach(gate);
        const replayed = new Map<string, number>();
        if (from !== undefined && after != null) {
          const ids =
            listener.conversationId === null
              ? [...(people.get(listener.userId)?.lanes ?? [])].map((lane) => lane.id)
              : [listener.conversationId];
          const rows = await readMissed(db, from.snapshot, ids, listener.types);
          for (const change of await complete(rows)) {
            replayed.set(change.conversationId, change.changeSeq);
            if (change.data !== null) listener.onChange(change, { cursor: after, replayed: true });
          }
        }
        listener.onCaughtUp(cursor);
        for (const [change, at] of waiting) {
          if (change.changeSeq > (replayed.get(change.conversationId) ?? 0)) {
            listener.onChange(change, { cursor: at, replayed: false });
          }
        }
        live = true;
      } catch (error) {
        detach(gate);
        throw error;
      }
      return () => detach(gate);
    },

    get listeners() {
      return listening;
    },

    get conversations() {
      return lanes.size;
    },

    sweep,

    async close() {
      closed = true;
      clearInterval(timer);
      for (const lane of lanes.values()) clearTimeout(lane.patience);
      await sweeping?.catch(() => {});
      await Promise.all([...lanes.values()].map((lane) => lane.filling));
    },
  };
}
