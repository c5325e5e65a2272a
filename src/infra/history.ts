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

/**
 * Writes down the run of the server that this connection is to, unless it is known: a start of PostgreSQL or a
 * promotion begins an epoch. On every new connection before anything else, so that no change of a new epoch is
 * committed before the epoch itself; else a cursor could not tell a restored past from its own.
 */
export async function beginEpoch(session: Pick<SqlSession, 'query'>): Promise<void> {
  const run = `(SELECT concat_ws('/', extract(epoch FROM pg_postmaster_start_time()), left(pg_walfile_name(pg_current_wal_lsn()), 8)))`;
  const [known] = await session.query(`SELECT 1 FROM epochs WHERE run = ${run}`);
  if (known) return;
  const id = randomBytes(4).toString('hex');
  await session.query(`INSERT INTO epochs (id, run) VALUES ($1, ${run}) ON CONFLICT DO NOTHING`, [id]);
}
