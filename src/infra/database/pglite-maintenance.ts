import { setTimeout } from 'node:timers/promises';
import type { Logger } from '../telemetry/log.js';
import type { GuardedPGlite } from './guarded-pglite.js';

/** The interval of maintenance runs, in milliseconds. */
const INTERVAL_MS = 60_000;
/** After this many runs, a table is vacuumed even if the database is not idle, and all tables are analyzed. */
const RUNS_MAX = 10;
/** The database is idle if at most this many bytes of its log were written in this time, in milliseconds. */
const IDLE_MS = 2_000;
const IDLE_BYTES = 65_536;
/** The size of the log since the last checkpoint, in bytes, that triggers a checkpoint. */
const CHECKPOINT_BYTES = 33_554_432;
/** A table is vacuumed if it has more dead rows than this number plus this share of its live rows. */
const DEAD_ROWS = 1_000;
const DEAD_SHARE = 0.1;
/** The size of the embedded database in bytes above which a warning recommends PostgreSQL: about 200,000 messages. */
const LARGE_BYTES = 268_435_456;

/**
 * Runs the maintenance that a PostgreSQL server does in the background and PGlite does not: checkpoints, so that the
 * log does not grow without bound; VACUUM, so that the space of deleted rows is reused; and ANALYZE, without which
 * lists are read four times slower. Each step blocks all other statements, so steps are small: one table at a time,
 * when nothing is being written.
 * @param current returns the open database, which changes when it is reopened.
 */
export function startMaintenance(
  current: () => GuardedPGlite,
  log: Logger,
  { intervalMs = INTERVAL_MS, idleMs = IDLE_MS }: { intervalMs?: number; idleMs?: number } = {},
): { close(): Promise<void> } {
  let runs = 0;
  let postponed = 0;
  let isLargeLogged = false;
  let running = Promise.resolve();
  const closing = new AbortController();
  const queryRow = async <Row>(sql: string): Promise<Row | undefined> => (await current().query<Row>(sql)).rows[0];
  const position = async () =>
    Number((await queryRow<{ at: string }>(`SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::text AS at`))?.at);

  async function isIdle(): Promise<boolean> {
    const before = await position();
    // Closing aborts the wait.
    await setTimeout(idleMs, undefined, { signal: closing.signal }).catch(() => {});
    return !closing.signal.aborted && (await position()) - before <= IDLE_BYTES;
  }

  async function runOnce(): Promise<void> {
    runs += 1;
    const [state] = (
      await current().query<{ behind: number; size: number }>(
        `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), redo_lsn)::float8 AS behind,
                pg_database_size(current_database())::float8 AS size FROM pg_control_checkpoint()`,
      )
    ).rows;
    if (!state) return;
    if (state.size > LARGE_BYTES && !isLargeLogged) {
      isLargeLogged = true;
      log.warn(
        { bytes: state.size },
        'embedded database has grown large and becomes slower: move it to PostgreSQL (npm run move)',
      );
    }
    if (state.behind > CHECKPOINT_BYTES) await current().exec('CHECKPOINT');
    // VACUUM writes as well.
    if (!current().hasFreeSpace) return;
    const table = await queryRow<{ name: string }>(
      `SELECT quote_ident(relname) AS name FROM pg_stat_user_tables
       WHERE n_dead_tup > ${DEAD_ROWS} + ${DEAD_SHARE} * n_live_tup ORDER BY n_dead_tup DESC LIMIT 1`,
    );
    postponed = table ? postponed + 1 : 0;
    if (table && (postponed >= RUNS_MAX || (await isIdle()))) {
      await current().exec(`VACUUM (ANALYZE, TRUNCATE) ${table.name}`);
      postponed = 0;
    }
    if (runs % RUNS_MAX === 0) await current().exec('ANALYZE');
  }

  const timer = setInterval(() => {
    running = running.then(() =>
      closing.signal.aborted
        ? undefined
        : runOnce().catch((error) => log.warn({ err: error }, 'maintenance of the embedded database failed')),
    );
  }, intervalMs);
  timer.unref();
  return {
    close() {
      closing.abort();
      clearInterval(timer);
      return running;
    },
  };
}
