import { setTimeout } from 'node:timers/promises';
import type { Logger } from '../telemetry/log.js';
import type { GuardedPGlite } from './guarded-pglite.js';

/** How often it is looked whether there is something to do, in milliseconds. */
const INTERVAL_MS = 60_000;
/** After so many looks a table is vacuumed though the database is not idle, and all tables are analyzed. */
const LOOKS_MAX = 10;
/** For so long nothing may have been written for the database to count as idle, in milliseconds and bytes of its log. */
const IDLE_MS = 2_000;
const IDLE_BYTES = 65_536;
/** Bytes of the log since the last checkpoint, after which there is another one. */
const CHECKPOINT_BYTES = 33_554_432;
/** Rows that were removed or replaced, and their share of the table, for a VACUUM. */
const DEAD_ROWS = 1_000;
const DEAD_SHARE = 0.1;
/** Bytes of an embedded database past which the log says that it is time for PostgreSQL: some 200,000 messages. */
const LARGE_BYTES = 268_435_456;

/**
 * Does what a server of PostgreSQL does by itself and PGlite does not: checkpoints, so that its log does not grow
 * without end; VACUUM, so that the space of removed rows is used again; ANALYZE, without which lists are read four
 * times slower. Each holds up every other statement, so a step is small: one table at a time, when nothing is written.
 * @param current the database of now.
 */
export function startMaintenance(
  current: () => GuardedPGlite,
  log: Logger,
  { intervalMs = INTERVAL_MS, idleMs = IDLE_MS }: { intervalMs?: number; idleMs?: number } = {},
): { close(): Promise<void> } {
  let looks = 0;
  let waited = 0;
  let isLargeSaid = false;
  let running = Promise.resolve();
  const closing = new AbortController();
  const one = async <Row>(sql: string): Promise<Row | undefined> => (await current().query<Row>(sql)).rows[0];
  const position = async () =>
    Number((await one<{ at: string }>(`SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::text AS at`))?.at);

  async function isIdle(): Promise<boolean> {
    const before = await position();
    // Not when it is closed meanwhile.
    await setTimeout(idleMs, undefined, { signal: closing.signal }).catch(() => {});
    return !closing.signal.aborted && (await position()) - before <= IDLE_BYTES;
  }

  async function look(): Promise<void> {
    looks += 1;
    const [state] = (
      await current().query<{ behind: number; size: number }>(
        `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), redo_lsn)::float8 AS behind,
                pg_database_size(current_database())::float8 AS size FROM pg_control_checkpoint()`,
      )
    ).rows;
    if (!state) return;
    if (state.size > LARGE_BYTES && !isLargeSaid) {
      isLargeSaid = true;
      log.warn(
        { bytes: state.size },
        'embedded database has grown large and becomes slower: move it to PostgreSQL (npm run move)',
      );
    }
    if (state.behind > CHECKPOINT_BYTES) await current().exec('CHECKPOINT');
    // It writes as well.
    if (!current().hasRoom) return;
    const table = await one<{ name: string }>(
      `SELECT quote_ident(relname) AS name FROM pg_stat_user_tables
       WHERE n_dead_tup > ${DEAD_ROWS} + ${DEAD_SHARE} * n_live_tup ORDER BY n_dead_tup DESC LIMIT 1`,
    );
    waited = table ? waited + 1 : 0;
    if (table && (waited >= LOOKS_MAX || (await isIdle()))) {
      await current().exec(`VACUUM (ANALYZE, TRUNCATE) ${table.name}`);
      waited = 0;
    }
    if (looks % LOOKS_MAX === 0) await current().exec('ANALYZE');
  }

  const timer = setInterval(() => {
    running = running.then(() =>
      closing.signal.aborted
        ? undefined
        : look().catch((error) => log.warn({ err: error }, 'maintenance of the embedded database failed')),
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
