import type { Logger } from '../infra/telemetry/log.js';
import type { Change, ChangeKind } from './change.js';
import type { Access, JoinedConversation } from './change-log.js';
import { type Lane, type Lanes, READ_BATCH } from './lane.js';

/**
 * A change, or none, and the feed's cursor when it was delivered. All listeners receive the same object, so that what is
 * derived from it is derived once.
 */
export interface FeedEvent {
  readonly change: Change | null;
  readonly cursor: string;
  /** Memoized values derived from it, each under a symbol of the module that derives it. */
  readonly memo: Map<symbol, unknown>;
}

/** Receives changes as they happen. Its functions are called one after another and must not throw. */
export interface Listener {
  readonly userId: string;
  /**
   * The log whose changes it receives: of this conversation, or (by the user's own id) the user's own; null: of all
   * conversations that the user is in, including those joined later.
   */
  readonly conversationId: string | null;
  /** The types of changes that it receives. */
  readonly types: readonly string[];
  /** A change, in order within its log, each once. */
  onChange(event: FeedEvent & { change: Change }): void;
  /** The feed's cursor has advanced: everything that it has seen was passed to `onChange`. About once a second. */
  onProgress(event: FeedEvent): void;
  /** The user has left the conversation (for a listener to one conversation). Nothing is called after this. */
  onRemoved(): void;
  /**
   * The database was restored or failed over: changes that were delivered may be lost, and no earlier cursor is valid.
   * Nothing is called after this.
   */
  onLost(): void;
  /** The feed was closed. Nothing is called after this. */
  onEnd(): void;
}

/** Whether a listener receives the changes of the user's personal log. */
export const isToPersonalLog = ({ userId, conversationId }: Listener): boolean => conversationId === userId;

/** Determines from a change of the log who may receive it, according to the kinds of changes. */
export interface ChangeEffects {
  /** The users who became members by this change. */
  joinedBy(change: Change): readonly string[];
  /** The users whose membership ended by this change. */
  leftBy(change: Change): readonly string[];
  /** The newest message that a user who joined may not see; 0 if they may see all. */
  historyFloorOf(change: Change, userId: string): number;
  /** The number of the message that was changed; undefined if the change concerns no message. */
  messageSeqOf(change: Change): number | undefined;
}

export function effectsOf(kinds: ReadonlyMap<string, ChangeKind>): ChangeEffects {
  return {
    joinedBy: (change) => kinds.get(change.type)?.joined?.(change) ?? [],
    leftBy: (change) => kinds.get(change.type)?.left?.(change) ?? [],
    historyFloorOf(change, userId) {
      // The user has left again since then, so they must not see anything.
      if (change.data === null) return Number.POSITIVE_INFINITY;
      return kinds.get(change.type)?.historyFloor?.(change, userId) ?? 0;
    },
    messageSeqOf: (change) => kinds.get(change.type)?.messageSeq?.(change),
  };
}

/** The receivers of one log's changes on this node. */
export interface Subscribers {
  /** Listeners to this log alone. */
  listeners: Set<Listener>;
  /** Members with a listener to all of their conversations. */
  users: Set<string>;
  /** Those of `listeners` that receive events outside the log, by user. */
  watchers: Map<string, Set<Listener>>;
  /**
   * The newest message that each user may not see. Contains the users who may not see all, and those who joined since
   * the lane was opened.
   */
  historyFloors: Map<string, number>;
  /** Users who are being added to `users`. */
  joining: Map<string, Promise<void>>;
}

export const createSubscribers = (): Subscribers => ({
  listeners: new Set(),
  users: new Set(),
  watchers: new Map(),
  historyFloors: new Map(),
  joining: new Map(),
});

/** A user with at least one listener to all of their conversations. */
interface Person {
  listeners: Set<Listener>;
  /** Those of them that receive events outside the log. */
  watchers: Set<Listener>;
  lanes: Set<Lane<Subscribers>>;
  /** Resolves when all of their lanes are known and placed. */
  entered: Promise<void>;
  /** Until then: the logs that they have left since the person was added, by id. */
  departures: Set<string> | undefined;
}

/** A change on its way to the subscribers of a lane. */
interface LaneEvent extends FeedEvent {
  readonly change: Change;
  /** If a message was changed: its number, and the history floors of the lane. */
  readonly visibility: { readonly seq: number; readonly floors: ReadonlyMap<string, number> } | undefined;
}

const isVisible = ({ visibility }: LaneEvent, userId: string): boolean =>
  visibility === undefined || visibility.floors.size === 0 || visibility.seq > (visibility.floors.get(userId) ?? 0);

const receives = (listeners: Iterable<Listener> | undefined, type: string): boolean => {
  for (const { types } of listeners ?? []) if (types.includes(type)) return true;
  return false;
};

/** Decides which listeners of this node receive a change, and follows who joins and leaves. */
export interface Audience {
  /** Adds a listener. Resolves when it misses no change that commits from then on. */
  add(listener: Listener): Promise<void>;
  remove(listener: Listener): void;
  /** The users among `userIds` who listen to all of their conversations. */
  present(userIds: readonly string[]): string[];
  readonly isEmpty: boolean;
  /** The logs that a listener receives. */
  logsOf(listener: Listener): string[];
  /** Delivers a change of the log: the members who join receive it, and those who leave receive nothing after it. */
  deliver(lane: Lane<Subscribers>, change: Change): void;
  /** Delivers an event outside the log: to everyone who watches the conversation, or to one user only. */
  deliverOutsideLog(change: Change, onlyFor?: string): void;
  /** Whether anybody would receive an event outside the log. */
  isWatched(conversationId: string, type: string): boolean;
  /**
   * Adds a user to a lane that has advanced past the change by which they joined: first they receive what the lane has
   * delivered after `position`.
   */
  admit(lane: Lane<Subscribers>, userId: string, position: number): Promise<void>;
  closeIfUnused(lane: Lane<Subscribers>): void;
  /** Removes all listeners and users. */
  clear(): void;
}

export function createAudience(options: {
  lanes: Lanes<Subscribers>;
  effects: ChangeEffects;
  /** The types of events outside the log. */
  typesOutsideLog: ReadonlySet<string>;
  /** The conversations that a user is in. */
  findJoinedConversations(userId: string): Promise<readonly JoinedConversation[]>;
  /** A user's access to a conversation, as the database contains it. */
  findAccess(key: { conversationId: string; userId: string }): Promise<Access>;
  /** The changes of a log after a position, in order. */
  readAfter(id: string, position: number, limit: number): Promise<Change[]>;
  /** The feed's cursor. */
  cursor(): string;
  log: Logger;
}): Audience {
  const { lanes, log } = options;
  const { joinedBy, leftBy, historyFloorOf, messageSeqOf } = options.effects;
  type LogLane = Lane<Subscribers>;
  const people = new Map<string, Person>();
  /** Listeners whose access is being looked up, with the changes that were delivered meanwhile. */
  const held = new Map<Listener, { events: LaneEvent[]; leftAt: number }>();
  /** The change at which the user of a listener to one conversation was a member: earlier departures do not count. */
  const memberAt = new WeakMap<Listener, number>();

  const isWatcher = ({ types }: Listener) => types.some((type) => options.typesOutsideLog.has(type));

  function addUser(lane: LogLane, userId: string): void {
    const person = people.get(userId);
    if (!person) return;
    lane.subscribers.users.add(userId);
    person.lanes.add(lane);
  }

  function removeUser(lane: LogLane, userId: string): void {
    lane.subscribers.users.delete(userId);
    people.get(userId)?.lanes.delete(lane);
  }

  const isUnused = ({ subscribers: { listeners, users } }: LogLane): boolean =>
    listeners.size === 0 && users.size === 0;

  /** Closes a lane without subscribers once it has no pending changes: a pending change can add a subscriber. */
  function closeIfUnused(lane: LogLane): void {
    if (!isUnused(lane)) return;
    lane.whenIdle(() => {
      if (isUnused(lane)) lanes.close(lane);
    });
  }

  // ── delivery ──

  function eventOf(change: Change, { subscribers }: LogLane): LaneEvent {
    const seq = messageSeqOf(change);
    const visibility = seq === undefined ? undefined : { seq, floors: subscribers.historyFloors };
    return { change, cursor: options.cursor(), memo: new Map<symbol, unknown>(), visibility };
  }

  function deliver(lane: LogLane, change: Change): void {
    const { listeners, users, historyFloors } = lane.subscribers;
    for (const userId of joinedBy(change)) {
      historyFloors.set(userId, historyFloorOf(change, userId));
      addUser(lane, userId);
    }
    const left = leftBy(change);
    if (change.data !== null) {
      const event = eventOf(change, lane);
      handAll(listeners, event);
      for (const userId of users) handAll(people.get(userId)?.listeners, event);
    }
    if (left.length === 0) return;
    for (const userId of left) {
      people.get(userId)?.departures?.add(lane.id);
      removeUser(lane, userId);
      historyFloors.delete(userId);
    }
    for (const listener of [...listeners]) {
      if (left.includes(listener.userId)) depart(lane, listener, change.changeSeq);
    }
    closeIfUnused(lane);
  }

  /** Ends a listener whose user has left, unless they had joined again before it was added. */
  function depart(lane: LogLane, listener: Listener, changeSeq: number): void {
    const waiting = held.get(listener);
    if (!waiting && changeSeq > (memberAt.get(listener) ?? 0)) {
      listener.onRemoved();
      return;
    }
    if (waiting) waiting.leftAt = changeSeq;
    // What happened while they were not a member is hidden, until the lane comes to the change by which they joined.
    lane.subscribers.historyFloors.set(listener.userId, Number.POSITIVE_INFINITY);
  }

  function handAll(listeners: Iterable<Listener> | undefined, event: LaneEvent): void {
    if (listeners) for (const listener of listeners) hand(listener, event);
  }

  function hand(listener: Listener, event: LaneEvent): void {
    if (!listener.types.includes(event.change.type)) return;
    const waiting = held.size > 0 ? held.get(listener) : undefined;
    if (waiting) {
      waiting.events.push(event);
      return;
    }
    // Decided now and not when the event is sent: by then the user may have left, or joined again.
    if (!isVisible(event, listener.userId)) return;
    try {
      listener.onChange(event);
    } catch (error) {
      log.error({ err: error, type: event.change.type }, 'stream listener failed');
    }
  }

  function deliverOutsideLog(change: Change, onlyFor?: string): void {
    const lane = lanes.get(change.conversationId);
    if (!lane) return;
    const { watchers, users } = lane.subscribers;
    const event = eventOf(change, lane);
    if (onlyFor !== undefined) {
      handAll(watchers.get(onlyFor), event);
      if (users.has(onlyFor)) handAll(people.get(onlyFor)?.watchers, event);
      return;
    }
    for (const listeners of watchers.values()) handAll(listeners, event);
    for (const userId of users) handAll(people.get(userId)?.watchers, event);
  }

  // ── users who join a lane that has advanced without them ──

  function admit(lane: LogLane, userId: string, position: number): Promise<void> {
    const { joining } = lane.subscribers;
    let admission = joining.get(userId);
    if (!admission) {
      admission = replayTo(lane, userId, position).finally(() => joining.delete(userId));
      joining.set(userId, admission);
    }
    return admission;
  }

  async function replayTo(lane: LogLane, userId: string, position: number): Promise<void> {
    const { users, historyFloors } = lane.subscribers;
    const delivered: Change[] = [];
    for (let from = position, more = true; more; ) {
      const changes = await options.readAfter(lane.id, from, READ_BATCH);
      // The lane itself delivers what is after its position.
      const behind = changes.filter(({ changeSeq }) => changeSeq <= (lane.position ?? 0));
      delivered.push(...behind);
      from = behind.at(-1)?.changeSeq ?? from;
      more = behind.length > 0 && from < (lane.position ?? 0);
    }
    if (users.has(userId) || !people.has(userId) || lane.isClosed) return;
    // They left again: they have received everything until then.
    if (delivered.some((change) => leftBy(change).includes(userId))) return;
    for (const change of delivered) {
      if (joinedBy(change).includes(userId)) historyFloors.set(userId, historyFloorOf(change, userId));
      if (change.data !== null) handAll(people.get(userId)?.listeners, eventOf(change, lane));
    }
    addUser(lane, userId);
  }

  // ── listeners ──

  async function enter(userId: string, person: Person): Promise<void> {
    const conversations = await options.findJoinedConversations(userId);
    // Their last listener may have been removed meanwhile, and others added since.
    if (people.get(userId) !== person) return;
    for (const { conversationId, hiddenToSeq, changeSeq } of conversations) {
      // If they have joined again, the lane adds them when it delivers the change by which they did.
      if (person.departures?.has(conversationId)) continue;
      const lane = lanes.open(conversationId);
      // A new lane delivers what comes after the read, so that it cannot miss a departure.
      lane.startAfter(changeSeq);
      setHistoryFloor(lane, userId, hiddenToSeq);
      addUser(lane, userId);
    }
    person.departures = undefined;
  }

  /** A floor that the lane has learned from a change is newer than one that was read. */
  function setHistoryFloor({ subscribers: { historyFloors } }: LogLane, userId: string, seq: number): void {
    if (seq > 0 && !historyFloors.has(userId)) historyFloors.set(userId, seq);
  }

  async function addToLog(listener: Listener, id: string): Promise<void> {
    const { userId } = listener;
    const isPersonal = isToPersonalLog(listener);
    const lane = lanes.open(id, isPersonal);
    const { listeners, watchers } = lane.subscribers;
    if (!isPersonal) held.set(listener, { events: [], leftAt: 0 });
    listeners.add(listener);
    if (isWatcher(listener)) watchers.set(userId, (watchers.get(userId) ?? new Set()).add(listener));
    await lanes.place([lane]);
    if (isPersonal) return;
    const { hiddenToSeq, changeSeq } = await options.findAccess({ conversationId: id, userId });
    if (hiddenToSeq === null) {
      // Everything is hidden from a user who is not a member until the change by which they join is delivered.
      setHistoryFloor(lane, userId, Number.POSITIVE_INFINITY);
    } else {
      memberAt.set(listener, changeSeq);
      // The information about the user in a lane that lags behind is older than that in the database.
      if ((lane.position ?? 0) < changeSeq) lane.subscribers.historyFloors.set(userId, hiddenToSeq);
      else setHistoryFloor(lane, userId, hiddenToSeq);
    }
    const waiting = held.get(listener);
    held.delete(listener);
    if (waiting && waiting.leftAt > (memberAt.get(listener) ?? 0)) listener.onRemoved();
    else for (const event of waiting?.events ?? []) hand(listener, event);
  }

  return {
    async add(listener) {
      const { userId, conversationId } = listener;
      if (conversationId !== null) return addToLog(listener, conversationId);
      let person = people.get(userId);
      if (!person) {
        person = {
          listeners: new Set(),
          watchers: new Set(),
          lanes: new Set(),
          entered: Promise.resolve(),
          departures: new Set(),
        };
        people.set(userId, person);
        person.entered = enter(userId, person);
      }
      person.listeners.add(listener);
      if (isWatcher(listener)) person.watchers.add(listener);
      await person.entered;
    },

    remove(listener) {
      held.delete(listener);
      const { userId, conversationId } = listener;
      if (conversationId !== null) {
        const lane = lanes.get(conversationId);
        if (!lane) return;
        const { listeners, watchers } = lane.subscribers;
        const own = watchers.get(userId);
        if (own?.delete(listener) && own.size === 0) watchers.delete(userId);
        if (listeners.delete(listener)) closeIfUnused(lane);
        return;
      }
      const person = people.get(userId);
      person?.watchers.delete(listener);
      if (!person?.listeners.delete(listener) || person.listeners.size > 0) return;
      people.delete(userId);
      for (const lane of person.lanes) {
        lane.subscribers.users.delete(userId);
        closeIfUnused(lane);
      }
    },

    present: (userIds) => userIds.filter((userId) => people.has(userId)),

    get isEmpty() {
      return people.size === 0;
    },

    logsOf({ userId, conversationId }) {
      if (conversationId !== null) return [conversationId];
      return [...(people.get(userId)?.lanes ?? [])].map(({ id }) => id);
    },

    deliver,
    deliverOutsideLog,

    isWatched(conversationId, type) {
      const subscribers = lanes.get(conversationId)?.subscribers;
      if (!subscribers) return false;
      for (const listeners of subscribers.watchers.values()) if (receives(listeners, type)) return true;
      for (const userId of subscribers.users) if (receives(people.get(userId)?.watchers, type)) return true;
      return false;
    },

    admit,
    closeIfUnused,

    clear() {
      for (const { subscribers } of lanes.all()) {
        subscribers.listeners.clear();
        subscribers.users.clear();
        subscribers.watchers.clear();
      }
      people.clear();
      held.clear();
    },
  };
}
