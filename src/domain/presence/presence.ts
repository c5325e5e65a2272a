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
  findSeen,
  type SeenUser,
  storeLastSeen,
} from './presence.store.js';

type PresenceStatus = 'ONLINE' | 'AWAY' | 'BUSY' | 'OFFLINE';

export interface PresenceState {
  status: PresenceStatus;
  /** When they were last there, of who is OFFLINE: null for who is there, and who never was. */
  lastSeenAt: Date | null;
}

/** A person as they are now. One and the same object for all who are told of it. */
export interface PresenceChange {
  user: SeenUser & { presence: PresenceState };
}

/**
 * Who is there. A person is while any connection of theirs is, on any node; and for a grace after the last has gone,
 * so that coming back does not blink. What others see of it is their availability.
 */
export interface Presence {
  /** A connection of the person's begins; what it returns ends it. */
  connect(userId: string): () => void;
  /** What others see of them; undefined while it cannot be known. */
  statusOf(userId: string): PresenceStatus | undefined;
  /** To be called when what they want others to see is stored. */
  availabilityChanged(userId: string, availability: Availability): void;
  /** To be called when what else is told of them (their name, their picture) is stored: those who watch hear of it. */
  personChanged(userId: string): void;
  /** To be called on each node when it is heard that these people may see others than before, or others them; null: all. */
  sightChanged(userIds: readonly string[] | null): void;
  /** Calls when whom the person may see may be others than before, until what it returns is called. */
  onSight(userId: string, listener: () => void): () => void;
  /**
   * Tells of each of these people's changes, within a moment, until what it returns is called; null: who may see them
   * may be others than before.
   */
  watch(userIds: readonly string[], onChange: (change: PresenceChange | null) => void): () => void;
  /** How people are now, in their order; null of who does not exist. Undefined while it cannot be known. */
  read(userIds: readonly string[]): Promise<(PresenceChange | null)[]> | undefined;
  /** Calls when the last connection of a person has gone, as far as is known here: at once, without grace. */
  onGone(listener: (userId: string) => void): void;
  /** Calls on each node when somebody has turned invisible. */
  onInvisible(listener: (userId: string) => void): void;
  /** Whether others may see them as there, as far as is known here. */
  isThere(userId: string): boolean;
  /** Connections here, and people who are watched here. */
  readonly size: { people: number; watched: number };
  /** Lets the other nodes know that this one's people are on their way to them. */
  leave(): void;
  close(): Promise<void>;
}

/** What changes within so many milliseconds is told once: a storm is a few events, and what blinks is none. */
const COLLECT_MS = 100;
/** How often it is noted that people are there: so old what is known may be where all nodes have died at once. */
const NOTE_MS = 5 * 60_000;
/** How long what was read of somebody is told to others who begin to watch. */
const REUSE_MS = 5_000;
const CHANNEL = 'availability';
const PEOPLE_CHANNEL = 'people';

const seenAs = { ONLINE: 'ONLINE', AWAY: 'AWAY', BUSY: 'BUSY', INVISIBLE: 'OFFLINE' } as const;

/** Somebody who is connected here. */
interface Local {
  connections: number;
  /** Whether what they want others to see is known. */
  isKnown: boolean;
  grace: NodeJS.Timeout | undefined;
  goneAt: number;
  /** When it was last noted that they are here. */
  notedAt: number;
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
  const locals = new Map<string, Local>();
  const watchers = new Map<string, Set<(change: PresenceChange | null) => void>>();
  /** What those who watch were told last, and when that was read. */
  const told = new Map<string, { change: PresenceChange; at: number }>();
  const lookUpSeen = createLookup((ids: readonly string[]) => findSeen(database.sql, ids));
  const goneListeners: ((userId: string) => void)[] = [];
  const invisibleListeners: ((userId: string) => void)[] = [];
  const lookers = new Map<string, Set<() => void>>();
  const lookUpAvailability = createLookup((ids: readonly string[]) => findAvailabilities(database.sql, ids));
  const noteSeen = createLookup(async (seen: readonly { userId: string; agoMs: number }[]) => {
    await storeLastSeen(database.sql, seen);
    return seen.map(() => undefined);
  });
  const channel = `${database.generation}:${CHANNEL}`;
  let due = new Set<string>();
  /** Those of them who are told of anew though their status is the same. */
  let renewed = new Set<string>();
  let telling: NodeJS.Timeout | undefined;
  let underWay: Promise<unknown> = Promise.resolve();
  let closed = false;

  const roster = createRoster({
    bus,
    generation: database.generation,
    nodeId,
    intervalMs: presenceIntervalMs,
    alone: config.redisUrl === undefined,
    onChange: tellSoon,
    onLost(userIds, silentMs) {
      // Whoever of the other nodes notes it first: all note the same.
      const gone = userIds.filter((userId) => !locals.has(userId) && !roster.isElsewhere(userId));
      void note(gone, silentMs);
    },
    onKnown: () => tellSoon([...watchers.keys()]),
  });

  const note = (userIds: readonly string[], agoMs: number) =>
    Promise.all(userIds.map((userId) => noteSeen({ userId, agoMs }))).catch((error: unknown) => {
      if (!closed) log.warn({ err: error }, 'last seen times could not be stored');
    });

  // ── who is here ──

  /** Tells what they want others to see. Until that is known nobody sees them. */
  async function enter(userId: string, local: Local): Promise<void> {
    const availability = await lookUpAvailability(userId);
    // What was said meanwhile is newer.
    if (locals.get(userId) === local && !local.isKnown) setHere(userId, availability);
  }

  async function goAway(userId: string, local: Local): Promise<void> {
    // What is told of them tells when they were last seen: that is noted before.
    if (!roster.isElsewhere(userId)) await note([userId], performance.now() - local.goneAt);
    if (local.connections > 0 || locals.get(userId) !== local) return;
    locals.delete(userId);
    roster.set(userId, undefined);
  }

  /** When people were last seen is noted when they go: nobody does where every node dies. */
  function noteHere(): void {
    const now = performance.now();
    const due = [...locals].filter(([, { connections, notedAt }]) => connections > 0 && now - notedAt >= NOTE_MS);
    for (const [, local] of due) local.notedAt = now;
    void note(
      due.map(([userId]) => userId),
      0,
    );
  }

  function setHere(userId: string, availability: Availability): void {
    const local = locals.get(userId);
    if (!local) return;
    local.isKnown = true;
    roster.set(userId, availability);
  }

  function hear(userId: string, availability: Availability): void {
    setHere(userId, availability);
    if (availability === 'INVISIBLE') for (const listener of invisibleListeners) listener(userId);
  }
  bus.subscribe(channel, (text) => {
    const [userId = '', availability] = text.split(' ');
    hear(userId, availability as Availability);
  });

  const peopleChannel = `${database.generation}:${PEOPLE_CHANNEL}`;
  bus.subscribe(peopleChannel, renew);

  /** What was told of them is not so any more. */
  function renew(userId: string): void {
    if (watchers.has(userId)) renewed.add(userId);
    tellSoon([userId]);
  }

  // A notice may be lost; and who could not be looked up when they came is not seen yet.
  const check = setInterval(() => {
    if (locals.size === 0) return;
    noteHere();
    findChangedAvailabilities(database.sql, 4 * presenceIntervalMs + 10_000)
      .then((changed) => {
        for (const { userId, availability } of changed) hear(userId, availability);
        return Promise.all([...locals].filter(([, { isKnown }]) => !isKnown).map(([id, local]) => enter(id, local)));
      })
      .catch((error: unknown) => log.warn({ err: error }, 'availabilities could not be checked; retrying'));
  }, presenceIntervalMs);

  // ── telling of it ──

  function statusOf(userId: string): PresenceStatus | undefined {
    if (!roster.isKnown) return undefined;
    const availability = roster.get(userId) as Availability | undefined;
    return availability === undefined ? 'OFFLINE' : seenAs[availability];
  }

  function tellSoon(userIds: readonly string[]): void {
    for (const userId of userIds) if (watchers.has(userId)) due.add(userId);
    if (due.size > 0 && !closed) telling ??= setTimeout(tell, COLLECT_MS);
  }

  function tell(): void {
    const isNew = renewed;
    const isToTell = (userId: string, status: PresenceStatus | undefined) =>
      status !== undefined && (isNew.has(userId) || status !== told.get(userId)?.change.user.presence.status);
    const userIds = [...due].filter((userId) => isToTell(userId, statusOf(userId)));
    due = new Set();
    renewed = new Set();
    telling = undefined;
    if (userIds.length === 0) return;
    // One after another: what is told last is what was read last.
    underWay = underWay
      .then(() => Promise.all(userIds.map(load)))
      .then((changes) => {
        for (const change of changes) {
          if (!change) continue;
          const { id, presence } = change.user;
          if (!isToTell(id, presence.status)) continue;
          told.set(id, { change, at: performance.now() });
          for (const onChange of watchers.get(id) ?? []) onChange(change);
        }
      })
      .catch((error: unknown) => {
        if (closed) return;
        log.warn({ err: error }, 'changed presence could not be read; retrying');
        for (const userId of isNew) renewed.add(userId);
        tellSoon(userIds);
      });
  }

  async function load(userId: string): Promise<PresenceChange | null> {
    const user = await lookUpSeen(userId);
    const status = statusOf(userId);
    if (!user || !status) return null;
    return { user: { ...user, presence: { status, lastSeenAt: status === 'OFFLINE' ? user.lastSeenAt : null } } };
  }

  /** For who begins to watch: in a rush of many who watch the same person all are told one and the same. */
  async function readOne(userId: string): Promise<PresenceChange | null> {
    const known = told.get(userId);
    const isSame = known?.change.user.presence.status === statusOf(userId);
    if (known && isSame && performance.now() - known.at < REUSE_MS) return known.change;
    const change = await load(userId);
    // Where it changed meanwhile, those who watch already are still to be told.
    if (change && watchers.has(userId) && (isSame || !told.has(userId))) {
      told.set(userId, { change, at: performance.now() });
    }
    return change;
  }

  return {
    connect(userId) {
      let local = locals.get(userId);
      if (!local) {
        local = { connections: 0, isKnown: false, grace: undefined, goneAt: 0, notedAt: Number.NEGATIVE_INFINITY };
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
        if (!roster.isElsewhere(userId)) for (const listener of goneListeners) listener(userId);
        if (!closed) own.grace = setTimeout(() => void goAway(userId, own), presenceGraceMs);
      };
    },
    statusOf,
    availabilityChanged(userId, availability) {
      bus.publish(channel, `${userId} ${availability}`);
      hear(userId, availability);
    },
    personChanged(userId) {
      bus.publish(peopleChannel, userId);
      renew(userId);
    },
    sightChanged(userIds) {
      for (const userId of userIds ?? [...lookers.keys()]) {
        for (const listener of [...(lookers.get(userId) ?? [])]) listener();
        for (const onChange of [...(watchers.get(userId) ?? [])]) onChange(null);
      }
    },
    onSight(userId, listener) {
      addTo(lookers, userId, listener);
      return () => {
        const those = lookers.get(userId);
        if (those?.delete(listener) && those.size === 0) lookers.delete(userId);
      };
    },
    watch(userIds, onChange) {
      for (const userId of userIds) addTo(watchers, userId, onChange);
      return () => {
        for (const userId of userIds) {
          const those = watchers.get(userId);
          if (!those?.delete(onChange) || those.size > 0) continue;
          watchers.delete(userId);
          told.delete(userId);
        }
      };
    },
    read: (userIds) => (roster.isKnown ? Promise.all(userIds.map(readOne)) : undefined),
    onGone: (listener) => void goneListeners.push(listener),
    onInvisible: (listener) => void invisibleListeners.push(listener),
    isThere: (userId) => {
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
      clearTimeout(telling);
      for (const { grace } of locals.values()) clearTimeout(grace);
      roster.close();
      await underWay;
      const now = performance.now();
      const gone = [...locals].filter(([userId]) => !roster.isElsewhere(userId));
      await Promise.all(
        gone.map(([userId, { connections, goneAt }]) => note([userId], connections > 0 ? 0 : now - goneAt)),
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
