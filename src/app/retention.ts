import { by } from '../infra/telemetry/metrics.js';
import type { Deps, Retention } from '../platform/deps.js';
import { trimChangeLog } from '../realtime/change-log.js';

/** How often each node deletes expired rows. */
const INTERVAL_MS = 10 * 60_000;

const changeLog: Retention = {
  table: 'changes',
  trim: ({ database, config }) => trimChangeLog(database.db, config.changeRetentionMs),
};

/** Deletes expired rows of the change log and of all features periodically. Returns a function that stops it. */
export function startRetention(deps: Deps): () => void {
  const { features, log, metrics } = deps;
  const all = [changeLog, ...features.flatMap(({ retention = [] }) => retention)];
  const deleted = new Map<string, number>();
  metrics.read(
    'counter',
    'parley_trimmed_rows_total',
    'Expired rows that this node deleted, by table.',
    () => by('table', deleted),
    ['table'],
  );
  const failed = metrics.counter('parley_trim_failures_total', 'Failed deletions of expired rows, by table.', [
    'table',
  ]);

  async function run({ table, trim }: Retention): Promise<void> {
    try {
      const count = await trim(deps);
      deleted.set(table, (deleted.get(table) ?? 0) + count);
      if (count > 0) log.info({ count, table }, 'expired rows deleted');
    } catch (error) {
      failed({ table });
      log.warn({ err: error, table }, 'expired rows could not be deleted');
    }
  }

  const timer = setInterval(() => {
    for (const retention of all) void run(retention);
  }, INTERVAL_MS);
  return () => clearInterval(timer);
}
