import type { Config } from '../../infra/config/config.js';
import type { Database } from '../../infra/database/database.js';
import type { Logger } from '../../infra/telemetry/log.js';
import type { Bus } from '../../realtime/bus.js';
import { findStandingChanges, type ListChangeType, type StandingChange, standingsChanged } from './standing.store.js';

/** What became of somebody's own list. */
export interface ListChange {
  type: ListChangeType;
  aboutId: string;
}

/**
 * Who stands to whom another way than before: contacts, blocks, suspensions, deletions. Each is heard of once on every
 * node: at once as a rule, and where the notice was lost by the next look into what was written of it (SWEEP_INTERVAL).
 */
export interface Standings {
  /** Calls with those who may see others than before, or others them; null: anyone may. */
  onSight(listener: (userIds: readonly string[] | null) => void): void;
  /**
   * Calls when the person's own list has changed, until what it returns is called; null: nobody knows what has
   * changed of it.
   */
  listen(userId: string, listener: (change: ListChange | null) => void): () => void;
  /** To be called when the database was restored or failed over: whoever listens is told that nobody knows what changed. */
  reset(): void;
  close(): Promise<void>;
}

/** How long changes are kept, in milliseconds. */
export const STANDINGS_KEPT_MS = 60 * 60_000;
const CHANNEL = 'standings';

/** Needs the database once, for its first snapshot. */
export async function startStandings(options: {
  config: Pick<Config, 'sweepIntervalMs'>;
  database: Database;
  bus: Bus;
  log: Logger;
}): Promise<Standings> {
  const { config, database, bus, log } = options;
  const channel = `${database.generation}:${CHANNEL}`;
  const sightListeners: ((userIds: readonly string[] | null) => void)[] = [];
  const listeners = new Map<string, Set<(change: ListChange | null) => void>>();
  /** Null: nothing before the next look counts. */
  let since: string | null = (await findStandingChanges(database.sql, null)).snapshot;
  let sweptAt = performance.now();
  /** Those that were heard of since the last sweep, and since the one before. */
  let known = new Set<string>();
  let knownBefore = new Set<string>();
  let sweeping: Promise<void> | undefined;
  let closed = false;

  function hear(changes: readonly StandingChange[]): void {
    const fresh = changes.filter(({ id }) => !known.has(id) && !knownBefore.has(id));
    if (fresh.length === 0) return;
    for (const { id } of fresh) known.add(id);
    const userIds = [...new Set(fresh.map(({ userId }) => userId))];
    for (const listener of sightListeners) listener(userIds);
    for (const { userId, type, aboutId } of fresh) {
      if (type === null || aboutId === null) continue;
      for (const listener of [...(listeners.get(userId) ?? [])]) listener({ type, aboutId });
    }
  }

  function tellUnknown(): void {
    for (const listener of sightListeners) listener(null);
    for (const those of listeners.values()) for (const listener of [...those]) listener(null);
  }

  async function sweepOnce(): Promise<void> {
    const begunAt = since;
    const { snapshot, changes } = await findStandingChanges(database.sql, since);
    // Read before a reset: it may be of another history.
    if (since !== begunAt) return;
    // So long after the last time, some may have been forgotten.
    if (performance.now() - sweptAt > STANDINGS_KEPT_MS / 2) tellUnknown();
    hear(changes);
    since = snapshot;
    sweptAt = performance.now();
    knownBefore = known;
    known = new Set();
  }

  function sweep(): void {
    sweeping ??= sweepOnce()
      .catch((error: unknown) => {
        if (!closed) log.warn({ err: error }, 'changes of contacts and blocks could not be read; it is tried again');
      })
      .finally(() => {
        sweeping = undefined;
      });
  }

  // "<id> <user> <type> <about>", where "-" is nothing, with commas between several.
  const written = ({ id, userId, type, aboutId }: StandingChange) => `${id} ${userId} ${type ?? '-'} ${aboutId ?? '-'}`;
  const read = (text: string): StandingChange => {
    const [id = '', userId = '', type, aboutId] = text.split(' ').map((part) => (part === '-' ? null : part));
    return {
      id: id ?? '',
      userId: userId ?? '',
      type: (type ?? null) as StandingChange['type'],
      aboutId: aboutId ?? null,
    };
  };
  bus.subscribe(channel, (text) => hear(text.split(',').map(read)));
  // What was published while it was lost is found at once, not only by the next sweep.
  bus.onConnected(sweep);
  // The embedded database is of one node, which tells itself.
  const timer = database.footing === 'embedded' ? undefined : setInterval(sweep, config.sweepIntervalMs);

  database.onCommitted(standingsChanged, (changes) => {
    bus.publish(channel, changes.map(written).join(','));
    hear(changes);
  });

  return {
    onSight: (listener) => void sightListeners.push(listener),
    listen(userId, listener) {
      const those = listeners.get(userId) ?? new Set();
      listeners.set(userId, those.add(listener));
      return () => {
        if (those.delete(listener) && those.size === 0 && listeners.get(userId) === those) listeners.delete(userId);
      };
    },
    reset() {
      known = new Set();
      knownBefore = new Set();
      since = null;
      tellUnknown();
    },
    async close() {
      closed = true;
      clearInterval(timer);
      await sweeping;
    },
  };
}
