import { Prisma } from '../../generated/prisma/client.js';
import type { Db } from './database.js';

/** The number of rows deleted per statement, so that locks are short. */
const BATCH = 5_000;

/**
 * Deletes the rows of a table with a column `id` whose time in `column` is longer ago than the retention.
 * @returns the number of deleted rows.
 */
export async function deleteOlder(db: Db, table: string, column: string, retentionMs: number): Promise<number> {
  const [from, time] = [Prisma.raw(table), Prisma.raw(column)];
  for (let deleted = 0; ; ) {
    const count = await db.$executeRaw`
      DELETE FROM ${from} WHERE id IN (
        SELECT id FROM ${from} WHERE ${time} < clock_timestamp() - ${retentionMs}::float8 * interval '1 millisecond'
        LIMIT ${BATCH}::int
      )`;
    deleted += count;
    if (count < BATCH) return deleted;
  }
}
