import type { Db } from '../../infra/database/database.js';

/** The number of rows deleted per statement, so that locks are short. */
const TRIM_BATCH = 5_000;

/** Deletes sessions that ended or expired longer ago than the retention. Returns the number of deleted rows. */
export async function trimSessions(db: Db, retentionMs: number): Promise<number> {
  for (let trimmed = 0; ; ) {
    const count = await db.$executeRaw`
      DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions
        WHERE ended_at < clock_timestamp() - ${retentionMs} * interval '1 millisecond'
           OR expires_at < clock_timestamp() - ${retentionMs} * interval '1 millisecond'
        LIMIT ${TRIM_BATCH}
      )`;
    trimmed += count;
    if (count < TRIM_BATCH) return trimmed;
  }
}
