import { inSlices } from '../../core/slices.js';
import { createLookup } from '../../infra/async/lookup.js';
import type { Config } from '../../infra/config/config.js';
import type { Database } from '../../infra/database/database.js';
import type { Logger } from '../../infra/telemetry/log.js';
import { defineService } from '../../platform/service.js';
import type { Bus } from '../../realtime/bus.js';
import { createRoster } from '../../realtime/roster.js';
import {
  type Availability,
  findAvailabilities,
  findChangedAvailabilities,
  findWithLastSeen,
  storeLastSeen,
  type UserWithLastSeen,
} from './presence.store.js';

type PresenceStatus = 'ONLINE' | 'AWAY' | 'BUSY' | 'OFFLINE';

export interface PresenceState {
  status: PresenceStatus;
  /** When an OFFLINE user was last connected. Null for connected users, and for users who have never connected. */
  lastSeenAt: Date | null;
}

/** The current state of a user. All recipients receive the same object. */
export interface PresenceChange {
  user: UserWithLastSeen & { presence: PresenceState };
}

/**
 * Tracks which users are connected, over all nodes. A user counts as connected while they have a connection to any node,
 * and for a grace period after the last one was closed, so that a reconnect causes no events. Others see the user's
 * availability while the user is connected.
 */
export interface Presence {
  /** Reports a new connection of a user. The returned function reports that it was closed. */
  connect(userId: string): () => void;
  /** How the user appears to others; undefined while that cannot be determined. */
  statusOf(userId: string): PresenceStatus | undefined;
  /** Must be called when a new availability has been committed. */
  availabilityChanged(userId: string, availability: Availability): void;
  /** Must be called when a change of a user's profile has been committed: watchers receive the new profile. */
  personChanged(userId: string): void;
  /**
   * Must be called on each node when the users whom these users may see, or who may see them, could have changed. Null
   * stands for all users.
   */
  visibilityChanged(userIds: readonly string[] | null): void;
  /** Calls `listener` when the users whom this user may see could have changed. The returned function removes it. */
  onVisibilityChanged(userId: string, listener: () => void): () => void;
  /**
   * Calls `onChange` after each change of one of these users, with null if the users who may see them could have changed.
   * The returned function stops this.
   */
  watch(userIds: readonly string[], onChange: (change: PresenceChange | null) => void): () => void;
  /**
   * The current states of users, in the same order; null for users who do not exist. Undefined while states cannot be
   * determined.
   */
  read(userIds: readonly string[]): Promise<(PresenceChange | null)[]> | undefined;
  /**
   * Calls `listener` when the last connection of a user was closed, according to the information of this node:
   * immediately, before the grace period.
   */
  onGone(listener: (userId: string) => void): void;
  /** Calls `listener`, on each node, when a user has become invisible. */
  onInvisible(listener: (userId: string) => void): void;
  /** Whether a user is connected and not invisible, according to the information of this node. */
  isVisible(userId: string): boolean;
  /** The numbers of users who are connected to this node, and of users who are watched on it. */
  readonly size: { people: number; watched: number };
  /** Announces to the other nodes that the users of this node are about to reconnect to them. */
  leave(): void;
  close(): Promise<void>;
}

/**
 * Changes within this time are sent as one event, in milliseconds. A reconnect within it causes no event, and a mass
 * reconnect causes few.
 */
const COLLECT_MS = 100;
/**
 * How often the time is stored at which connected users were last seen, in milliseconds. If all nodes crash at once, the
 * stored times are at most this old.
 */
const STORE_SEEN_MS = 5 * 60_000;
/** How long a state that was read is reused for new watchers, in milliseconds. */
const REUSE_MS = 5_000;
const CHANNEL = 'availability';
const PEOPLE_CHANNEL = 'people';

const statusByAvailability = { ONLINE: 'ONLINE', AWAY: 'AWAY', BUSY: 'BUSY', INVISIBLE: 'OFFLINE' } as const;

/** A user who is connected to this node. */
interface LocalUser {
  connections: number;
  /** Whether their availability has been read. */
  isKnown: boolean;
  grace: NodeJS.Timeout | undefined;
  goneAt: number;
  /** When it was last stored that they are connected. */
  storedAt: number;
}

function createPresence(options: {
  config: Config;
  database: Database;
  bus: Bus;
  nodeId: string;
  log: Logger;
}): Presence {
  const { config, database, bus, nodeId, log } = options;
  const { presenceGraceMs, presenceIntervalMs } = config;
  const locals = new Map<string, LocalUser>();
  const watchers = new Map<string, Set<(change: PresenceChange | null) => void>>();
  /** The state that watchers received last, and when it was read. */
  const sent = new Map<string, { change: PresenceChange; at: number }>();
  const lookUpUser = createLookup((ids: readonly string[]) => findWithLastSeen(database.sql, ids));
  const goneListeners: ((userId: string) => void)[] = [];
  const invisibleListeners: ((userId: string) => void)[] = [];
  const visibilityListeners = new Map<string, Set<() => void>>();
  const lookUpAvailability = createLookup((ids: readonly string[]) => findAvailabilities(database.sql, ids));
  const storeSeen = createLookup(async (seen: readonly { userId: string; agoMs: number }[]) => {
    await storeLastSeen(database.sql, seen);
    return seen.map(() => undefined);
  });
  const channel = `${database.generation}:${CHANNEL}`;
  /** Watched users whose states are about to be read and sent. */
  let due = new Set<string>();
  /** Those of them whose profile has changed: they are sent even if their status has not changed. */
  let renewed = new Set<string>();
  let sendTimer: NodeJS.Timeout | undefined;
  let sending: Promise<unknown> = Promise.resolve();
  let closed = false;

  const roster = createRoster({
    bus,
    generation: database.generation,
    nodeId,
    intervalMs: presenceIntervalMs,
    isSingleNode: config.redisUrl === undefined,
    onChange: sendSoon,
    onLost(userIds, silentMs) {
      // All other nodes store the same time, so that it does not matter which of them is first.
      const gone = userIds.filter((userId) => !locals.has(userId) && !roster.isOnOtherNode(userId));
      void storeLastSeenOf(gone, silentMs);
    },
    onKnown: () => sendSoon([...watchers.keys()]),
  });

  const storeLastSeenOf = (userIds: readonly string[], agoMs: number) =>
    Promise.all(userIds.map((userId) => storeSeen({ userId, agoMs }))).catch((error: unknown) => {
      if (!closed) log.warn({ err: error }, 'last seen times could not be stored');
    });

  // ── users of this node ──

  /** Reads the availability of a new user, who appears as offline until then. */
  async function enter(userId: string, local: LocalUser): Promise<void> {
    const availability = await lookUpAvailability(userId);
    // An availability that was set meanwhile is newer.
    if (locals.get(userId) === local && !local.isKnown) setLocal(userId, availability);
  }

  async function leaveLocal(userId: string, local: LocalUser): Promise<void> {
    // Stored first, because the event that follows contains when the user was last seen.
    if (!roster.isOnOtherNode(userId)) await storeLastSeenOf([userId], performance.now() - local.goneAt);
    if (local.connections > 0 || locals.get(userId) !== local) return;
    locals.delete(userId);
    roster.set(userId, undefined);
  }

  /**
   * Stores periodically that users are connected. Normally it is stored when they disconnect, but nobody does so if all
   * nodes crash.
   */
  function storeConnected(): void {
    const now = performance.now();
    const due = [...locals].filter(
      ([, { connections, storedAt }]) => connections > 0 && now - storedAt >= STORE_SEEN_MS,
    );
    for (const [, local] of due) local.storedAt = now;
    void storeLastSeenOf(
      due.map(([userId]) => userId),
      0,
    );
  }

  function setLocal(userId: string, availability: Availability): void {
    const local = locals.get(userId);
    if (!local) return;
    local.isKnown = true;
    roster.set(userId, availability);
  }

  function applyAvailability(userId: string, availability: Availability): void {
    setLocal(userId, availability);
    if (availability === 'INVISIBLE') for (const listener of invisibleListeners) listener(userId);
  }
  bus.subscribe(channel, (text) => {
    const [userId = '', availability] = text.split(' ');
    applyAvailability(userId, availability as Availability);
  });

  const peopleChannel = `${database.generation}:${PEOPLE_CHANNEL}`;
  bus.subscribe(peopleChannel, renew);

  /** Sends a user again, because the state that watchers have is outdated. */
  function renew(userId: string): void {
    if (watchers.has(userId)) renewed.add(userId);
    sendSoon([userId]);
  }

  // Notices can be lost, and the availability of a new user may not have been readable.
  const check = setInterval(() => {
    if (locals.size === 0) return;
    storeConnected();
    findChangedAvailabilities(database.sql, 4 * presenceIntervalMs + 10_000)
      .then((changed) => {
        for (const { userId, availability } of changed) applyAvailability(userId, availability);
        return Promise.all([...locals].filter(([, { isKnown }]) => !isKnown).map(([id, local]) => enter(id, local)));
      })
      .catch((error: unknown) => log.warn({ err: error }, 'availabilities could not be checked; retrying'));
  }, presenceIntervalMs);

  // ── watchers ──

  function statusOf(userId: string): PresenceStatus | undefined {
    if (!roster.isKnown) return undefined;
    const availability = roster.get(userId) as Availability | undefined;
    return availability === undefined ? 'OFFLINE' : statusByAvailability[availability];
  }

  function sendSoon(userIds: readonly string[]): void {
    for (const userId of userIds) if (watchers.has(userId)) due.add(userId);
    if (due.size > 0 && !closed) sendTimer ??= setTimeout(send, COLLECT_MS);
  }

  function send(): void {
    const isNew = renewed;
    const mustSend = (userId: string, status: PresenceStatus | undefined) =>
      status !== undefined && (isNew.has(userId) || status !== sent.get(userId)?.change.user.presence.status);
    const userIds = [...due].filter((userId) => mustSend(userId, statusOf(userId)));
    due = new Set();
    renewed = new Set();
    sendTimer = undefined;
    if (userIds.length === 0) return;
    // One after another, so that no state is sent after a newer one.
    sending = sending
      .then(() => Promise.all(userIds.map(load)))
      .then((changes) =>
        inSlices(changes, (change) => {
          if (!change) return;
          const { id, presence } = change.user;
          if (!mustSend(id, presence.status)) return;
          sent.set(id, { change, at: performance.now() });
          for (const onChange of watchers.get(id) ?? []) onChange(change);
        }),
      )
      .catch((error: unknown) => {
        if (closed) return;
        log.warn({ err: error }, 'changed presence could not be read; retrying');
        for (const userId of isNew) renewed.add(userId);
        sendSoon(userIds);
      });
  }

  async function load(userId: string): Promise<PresenceChange | null> {
    const user = await lookUpUser(userId);
    const status = statusOf(userId);
    if (!user || !status) return null;
    return { user: { ...user, presence: { status, lastSeenAt: status === 'OFFLINE' ? user.lastSeenAt : null } } };
  }

  /** Reads the state of a user for a new watcher. Simultaneous watchers of a user receive the same object. */
  async function readOne(userId: string): Promise<PresenceChange | null> {
    const known = sent.get(userId);
    const isSame = known?.change.user.presence.status === statusOf(userId);
    if (known && isSame && performance.now() - known.at < REUSE_MS) return known.change;
    const change = await load(userId);
    // If the status has changed meanwhile, the existing watchers have yet to receive it.
    if (change && watchers.has(userId) && (isSame || !sent.has(userId))) {
      sent.set(userId, { change, at: performance.now() });
    }
    return change;
  }

  return {
    connect(userId) {
      let local = locals.get(userId);
      if (!local) {
        local = { connections: 0, isKnown: false, grace: undefined, goneAt: 0, storedAt: Number.NEGATIVE_INFINITY };
        locals.set(userId, local);
        enter(userId, local).catch((error: unknown) => log.warn({ err: error }, 'availability could not be read'));
      }
      const own = local;
      clearTimeout(own.grace);
      own.connections += 1;
      let connected = true;
      return () => {
        if (!connected) return;
        connected = false;
        own.connections -= 1;
        if (own.connections > 0) return;
        own.goneAt = performance.now();
        if (!roster.isOnOtherNode(userId)) for (const listener of goneListeners) listener(userId);
        if (!closed) own.grace = setTimeout(() => void leaveLocal(userId, own), presenceGraceMs);
      };
    },
    statusOf,
    availabilityChanged(userId, availability) {
      bus.publish(channel, `${userId} ${availability}`);
      applyAvailability(userId, availability);
    },
    personChanged(userId) {
      bus.publish(peopleChannel, userId);
      renew(userId);
    },
    visibilityChanged(userIds) {
      for (const userId of userIds ?? [...visibilityListeners.keys()]) {
        for (const listener of [...(visibilityListeners.get(userId) ?? [])]) listener();
        for (const onChange of [...(watchers.get(userId) ?? [])]) onChange(null);
      }
    },
    onVisibilityChanged(userId, listener) {
      addTo(visibilityListeners, userId, listener);
      return () => {
        const those = visibilityListeners.get(userId);
        if (those?.delete(listener) && those.size === 0) visibilityListeners.delete(userId);
      };
    },
    watch(userIds, onChange) {
      for (const userId of userIds) addTo(watchers, userId, onChange);
      return () => {
        for (const userId of userIds) {
          const those = watchers.get(userId);
          if (!those?.delete(onChange) || those.size > 0) continue;
          watchers.delete(userId);
          sent.delete(userId);
        }
      };
    },
    read: (userIds) => (roster.isKnown ? Promise.all(userIds.map(readOne)) : undefined),
    onGone: (listener) => void goneListeners.push(listener),
    onInvisible: (listener) => void invisibleListeners.push(listener),
    isVisible: (userId) => {
      const availability = roster.get(userId);
      return availability !== undefined && availability !== 'INVISIBLE';
    },
    get size() {
      return { people: locals.size, watched: watchers.size };
    },
    leave: () => roster.leave(presenceGraceMs),
    async close() {
      closed = true;
      clearInterval(check);
      clearTimeout(sendTimer);
      for (const { grace } of locals.values()) clearTimeout(grace);
      roster.close();
      await sending;
      const now = performance.now();
      const gone = [...locals].filter(([userId]) => !roster.isOnOtherNode(userId));
      await Promise.all(
        gone.map(([userId, { connections, goneAt }]) => storeLastSeenOf([userId], connections > 0 ? 0 : now - goneAt)),
      );
    },
  };
}

export const presence = defineService('presence', createPresence);

function addTo<Listener>(listeners: Map<string, Set<Listener>>, userId: string, listener: Listener): void {
  const those = listeners.get(userId);
  if (those) those.add(listener);
  else listeners.set(userId, new Set([listener]));
}
