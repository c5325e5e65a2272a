import type { Db } from '../../infra/database/database.js';

/** Rows deleted at a time, so that nobody waits for long. */
const TRIM_BATCH = 5_000;

/** Forgets sessions that ended or expired longer than that ago. @returns how many. */
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
