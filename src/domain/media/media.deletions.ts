import { Prisma } from '../../generated/prisma/client.js';
import type { MediaStore } from '../../infra/media/store.js';
import type { Deps } from '../../platform/deps.js';

/** The number of keys that are deleted with one look. */
const BATCH = 100;
/** The pause after the first failure, in milliseconds. It doubles with each further one. */
const RETRY_MS = 5_000;
const RETRY_MAX_MS = 3_600_000;

/**
 * Deletes the bytes of attachments whose rows were deleted. An order is deleted after the bytes, so that no crash loses it;
 * two nodes can carry out the same one.
 * @returns the number of deleted attachments.
 */
export async function deleteOrdered({ database: { sql }, log }: Deps, store: MediaStore): Promise<number> {
  for (let deleted = 0; ; ) {
    const orders = await sql.query<{ storeKey: string; tries: number }>(Prisma.sql`
      SELECT store_key AS "storeKey", tries FROM media_deletions WHERE due_at <= clock_timestamp()
      ORDER BY due_at LIMIT ${BATCH}`);
    const done: string[] = [];
    for (const { storeKey, tries } of orders) {
      try {
        await store.deleteAll(storeKey);
        done.push(storeKey);
      } catch (error) {
        log.warn({ err: error, tries }, 'the bytes of a deleted file could not be deleted; retrying');
        const afterMs = Math.min(RETRY_MS * 2 ** tries, RETRY_MAX_MS);
        await sql.query(Prisma.sql`
          UPDATE media_deletions SET tries = tries + 1, due_at = clock_timestamp() + ${afterMs} * interval '1 millisecond'
          WHERE store_key = ${storeKey}`);
      }
    }
    if (done.length > 0) {
      await sql.query(Prisma.sql`DELETE FROM media_deletions WHERE store_key = ANY (${done}::text[])`);
    }
    deleted += done.length;
    if (orders.length < BATCH) return deleted;
  }
}
