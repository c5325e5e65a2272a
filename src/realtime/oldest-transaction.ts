/** The age of the oldest open transaction of the database cluster that has written something, as a node observes it. */
export interface OldestTransaction {
  /** Must be called with each newer snapshot of PostgreSQL (`pg_current_snapshot()`, such as "743:747:743"). */
  observe(snapshot: string): void;
  /** 0 if there is no such transaction. */
  ageSeconds(): number;
}

/**
 * Derives the age from the snapshots of the sweeps, so that it is as precise as their interval. `pg_stat_activity` would
 * be more precise, but not every role may read it.
 */
export function createOldestTransaction(now: () => number = () => performance.now()): OldestTransaction {
  let oldest: { id: string; since: number } | undefined;
  return {
    observe(snapshot) {
      const [xmin = '', , open = ''] = snapshot.split(':');
      if (open === '') oldest = undefined;
      else if (oldest?.id !== xmin) oldest = { id: xmin, since: now() };
    },
    ageSeconds: () => (oldest === undefined ? 0 : (now() - oldest.since) / 1_000),
  };
}
