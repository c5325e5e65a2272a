import { randomBytes } from 'node:crypto';
import type { SqlSession } from './driver.js';

/**
 * SQL for the generation: a hash of the cluster, the database and the table of the change log. A restore into the same
 * cluster recreates the table and thereby changes the generation. A copy of the files has the same generation; epochs
 * distinguish it.
 */
export const generationSql = `md5(concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
  (SELECT oid FROM pg_database WHERE datname = current_database()), 'changes'::regclass::oid))`;

/**
 * Makes sure that the change log belongs to this database; the caller holds the lock. A change log from another
 * database (a dump) contains transaction ids that have another meaning here, so it is emptied, and all older cursors
 * expire. The same applies to rows added from a data-only dump, whose transaction ids may be in the future here.
 * @returns the generation, 12 hexadecimal digits.
 */
export async function adoptChangeLog(session: SqlSession): Promise<string> {
  const [present] = await session.query<{ generation: string }>(`SELECT ${generationSql} AS generation`);
  const generation = (present as { generation: string }).generation.slice(0, 12);
  const [kept] = await session.query<{ generation: string; foreign: boolean }>(
    `SELECT generation, EXISTS (SELECT FROM epochs WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()))
       OR EXISTS (SELECT FROM changes WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())) AS "foreign"
     FROM log_state`,
  );
  if (kept?.generation !== generation || kept.foreign) {
    await session.run(`BEGIN; DELETE FROM changes; DELETE FROM epochs; DELETE FROM log_state;
      INSERT INTO log_state (generation) VALUES ('${generation}'); COMMIT`);
  }
  return generation;
}

/** SQL expressions that identify the server. Both are null on a standby in recovery. */
export interface ServerSql {
  /**
   * PostgreSQL's timeline, as eight hexadecimal digits. A promotion begins a new timeline, in which transactions that
   * the standby had not received are lost. A restart keeps the timeline and loses nothing.
   */
  timeline: string;
  /** The run of the server: its start time and its timeline, separated by a slash. */
  run: string;
}

const serverSql = (timeline: string): ServerSql => ({
  timeline,
  run: `(extract(epoch FROM pg_postmaster_start_time())::text || '/' || ${timeline})`,
});

const byTimeline = serverSql(
  `(CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END)`,
);

/** The expressions for servers whose timeline cannot be read: each start counts as a promotion. */
const byStart = serverSql(
  `(CASE WHEN pg_is_in_recovery() THEN NULL ELSE extract(epoch FROM pg_postmaster_start_time())::text END)`,
);

/** SQLSTATEs of a function that is forbidden, unsupported or missing, as on managed services. */
const MISSING_FUNCTION = ['42501', '0A000', '42883'];

/**
 * Determines how the timeline of this server can be read.
 * @returns `precise`: false if the server does not reveal it. Every restart then expires all cursors, as a promotion
 *   does.
 */
export async function findServerSql(
  session: Pick<SqlSession, 'query'>,
): Promise<{ server: ServerSql; precise: boolean }> {
  try {
    await session.query(`SELECT ${byTimeline.timeline}`);
    return { server: byTimeline, precise: true };
  } catch (error) {
    if (!MISSING_FUNCTION.includes(String((error as { code?: unknown }).code))) throw error;
    return { server: byStart, precise: false };
  }
}

/** SQL for the timeline in the `run` of an epoch. */
const timelineOf = (run: string) => `split_part(${run}, '/', 2)`;
/** SQL for whether an epoch was begun because transactions were lost on the same timeline: see `beginBreak`. */
const isBreak = (run: string) => `split_part(${run}, '/', 3) <> ''`;

/**
 * SQL for whether everything that was committed since an epoch began still exists: the server is on the epoch's
 * timeline, and no loss was detected since. `epoch` is an expression for the epoch's id. The result is null if the
 * epoch is unknown.
 */
export const intactSql = ({ timeline }: ServerSql, epoch: string) => `(
  SELECT coalesce(${timelineOf('mine.run')} = ${timeline}, false) AND NOT EXISTS (
    SELECT FROM epochs later WHERE later.xid > mine.xid
      AND (${timelineOf('later.run')} <> ${timelineOf('mine.run')} OR ${isBreak('later.run')}))
  FROM epochs mine WHERE mine.id = ${epoch})`;

/** The error of PostgreSQL for a write on a standby, where the epoch cannot be recorded. */
export const standbyError = () =>
  Object.assign(new Error('this PostgreSQL server is a standby in recovery and rejects writes'), {
    code: '25006',
    severity: 'ERROR',
  });

/**
 * Records the run of the connected server unless it is known: a start or a promotion of PostgreSQL begins a new epoch.
 * It is called first on every new connection, so that no change of a new epoch is committed before the epoch itself;
 * otherwise a cursor could not distinguish the restored past from its own. Behind a pooler, which can switch servers
 * unnoticed, the sweep calls it.
 * @returns the timeline of the server.
 * @throws an error with the code 25006 if the server is a standby in recovery.
 */
export async function beginEpoch(session: Pick<SqlSession, 'query'>, server: ServerSql): Promise<string> {
  const [row] = await session.query<{ timeline: string | null; known: boolean }>(
    `SELECT ${server.timeline} AS timeline, EXISTS (SELECT FROM epochs WHERE run = ${server.run}) AS known`,
  );
  const timeline = row?.timeline ?? null;
  if (timeline === null) throw standbyError();
  if (!row?.known) {
    const id = randomBytes(4).toString('hex');
    await session.query(`INSERT INTO epochs (id, run) VALUES ($1, ${server.run}) ON CONFLICT DO NOTHING`, [id]);
  }
  return timeline;
}

/**
 * Begins an epoch that invalidates all older cursors, because changes that were announced to clients have been lost.
 */
export async function beginBreak(session: Pick<SqlSession, 'query'>, server: ServerSql): Promise<void> {
  const id = randomBytes(4).toString('hex');
  await session.query(`INSERT INTO epochs (id, run) VALUES ($1, ${server.run} || '/' || $2::text)`, [id, id]);
}
