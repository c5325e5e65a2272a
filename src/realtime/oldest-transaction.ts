/** How long the oldest transaction of the whole cluster that has written something has been open, as a node sees it. */
export interface OldestTransaction {
  /** To be called with each newer snapshot of PostgreSQL (`pg_current_snapshot()`, "743:747:743"). */
  saw(snapshot: string): void;
  /** 0 while there is none. */
  ageSeconds(): number;
}

/**
 * Learned from the snapshots of the sweeps, and so as exact as their interval: what the server tells of other sessions
 * (`pg_stat_activity`) is not for every role to see.
 */
export function createOldestTransaction(now: () => number = () => performance.now()): OldestTransaction {
  let oldest: { id: string; since: number } | undefined;
  return {
    saw(snapshot) {
      const [xmin = '', , open = ''] = snapshot.split(':');
      if (open === '') oldest = undefined;
      else if (oldest?.id !== xmin) oldest = { id: xmin, since: now() };
    },
    ageSeconds: () => (oldest === undefined ? 0 : (now() - oldest.since) / 1_000),
  };
}
