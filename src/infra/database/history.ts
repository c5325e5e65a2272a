import { randomBytes } from 'node:crypto';
import type { SqlSession } from './footing.js';

/**
 * Which database this is: its cluster, itself, and its change log's table. A restore into the same cluster makes the
 * table anew, so it is another one; a copy of the files is the same one, which is what epochs are for.
 */
export const generationSql = `md5(concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
  (SELECT oid FROM pg_database WHERE datname = current_database()), 'changes'::regclass::oid))`;

/**
 * Makes the change log this database's own, under the caller's lock. A log that came from another database (a dump)
 * carries transaction ids that mean nothing here: it is emptied, and every older cursor expires. So is one that was put
 * beside this database's own (a dump of data only): it tells of transactions that are still to come here.
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

/** SQL expressions that say which server answers. Both are null while it is a standby in recovery. */
export interface ServerSql {
  /**
   * PostgreSQL's timeline, as eight hexadecimal digits. A promotion begins another one: what the old primary had
   * committed and the standby had not received is lost. A restart stays on its timeline and loses nothing.
   */
  timeline: string;
  /** The run of the server: its start and its timeline, with a slash between them. */
  run: string;
}

const serverSql = (timeline: string): ServerSql => ({
  timeline,
  run: `(extract(epoch FROM pg_postmaster_start_time())::text || '/' || ${timeline})`,
});

const byTimeline = serverSql(
  `(CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END)`,
);

/** Where timelines cannot be asked for, each start of the server counts as a promotion. */
const byStart = serverSql(
  `(CASE WHEN pg_is_in_recovery() THEN NULL ELSE extract(epoch FROM pg_postmaster_start_time())::text END)`,
);

/** PostgreSQL's codes for a function that is forbidden, not supported or absent, as managed services have it. */
const MISSING_FUNCTION = ['42501', '0A000', '42883'];

/**
 * Finds out how to ask this server for its timeline.
 * @returns `precise`: false where it does not say; then every restart expires all cursors, as a promotion does.
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

/** The timeline of an epoch, from its `run`. */
const timelineOf = (run: string) => `split_part(${run}, '/', 2)`;
/** Whether an epoch was begun because history was lost on one and the same timeline: see `beginBreak`. */
const isBreak = (run: string) => `split_part(${run}, '/', 3) <> ''`;

/**
 * Whether all that was committed since an epoch began is still there: the server is on the epoch's timeline, and
 * nothing was found to be lost since. SQL; `epoch` is an expression for its id. Null when the epoch is unknown.
 */
export const intactSql = ({ timeline }: ServerSql, epoch: string) => `(
  SELECT coalesce(${timelineOf('mine.run')} = ${timeline}, false) AND NOT EXISTS (
    SELECT FROM epochs later WHERE later.xid > mine.xid
      AND (${timelineOf('later.run')} <> ${timelineOf('mine.run')} OR ${isBreak('later.run')}))
  FROM epochs mine WHERE mine.id = ${epoch})`;

/** What PostgreSQL answers to a write while it is a standby: there is nothing to write the epoch into. */
export const standbyError = () =>
  Object.assign(new Error('this PostgreSQL server is a standby in recovery and rejects writes'), {
    code: '25006',
    severity: 'ERROR',
  });

/**
 * Writes down the run of the server that this connection is to, unless it is known: a start of PostgreSQL or a
 * promotion begins an epoch. On every new connection before anything else, so that no change of a new epoch is
 * committed before the epoch itself; else a cursor could not tell a restored past from its own. Behind a pooler, which
 * changes servers without a word, the sweep does it.
 * @returns the server's timeline.
 * @throws an error with the code 25006 when the server is a standby in recovery.
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

/** Begins an epoch in which no older cursor is good: changes that clients were told of are found to be lost. */
export async function beginBreak(session: Pick<SqlSession, 'query'>, server: ServerSql): Promise<void> {
  const id = randomBytes(4).toString('hex');
  await session.query(`INSERT INTO epochs (id, run) VALUES ($1, ${server.run} || '/' || $2::text)`, [id, id]);
}
