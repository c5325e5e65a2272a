import { Prisma } from '../../generated/prisma/client.js';
import type { Sql } from '../../infra/database/database.js';
import { type MediaStore, type ObjectName, StoreUnavailable } from '../../infra/media/store.js';
import type { Deps } from '../../platform/deps.js';

/** The number of orders that are carried out at a time. */
const BATCH = 100;
/** The pause after the first failure, in milliseconds. It doubles with each further one. */
const RETRY_MS = 5_000;
const RETRY_MAX_MS = 3_600_000;

/** Orders the deletion of all bytes with these keys. */
export async function orderDeletions(sql: Sql, keys: readonly string[]): Promise<void> {
  await sql.query(Prisma.sql`
    INSERT INTO media_deletions (store_key) SELECT unnest(${keys}::text[]) ON CONFLICT DO NOTHING`);
}

/**
 * Deletes the bytes that are no longer needed. Triggers order this: of all objects of an attachment (`key`) when its
 * row was deleted or it was rejected, and of the upload alone (`key/upload`) when another object has replaced it. An order
 * is deleted after the bytes, so that no crash loses it; two nodes can carry out the same one.
 * @returns the number of deleted attachments.
 */
export async function deleteOrdered({ database: { sql }, log }: Deps, store: MediaStore): Promise<number> {
  for (let deleted = 0; ; ) {
    const orders = await sql.query<{ storeKey: string; tries: number }>(Prisma.sql`
      SELECT store_key AS "storeKey", tries FROM media_deletions WHERE due_at <= clock_timestamp()
      ORDER BY due_at LIMIT ${BATCH}`);
    const done: string[] = [];
    let isAvailable = true;
    for (const { storeKey, tries } of orders) {
      try {
        const [key = '', name] = storeKey.split('/');
        if (name === undefined) await store.deleteAll(key);
        else await store.remove(key, name as ObjectName);
        done.push(storeKey);
      } catch (error) {
        isAvailable = !(error instanceof StoreUnavailable);
        // The others would fail as well.
        if (!isAvailable) break;
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
    deleted += done.filter((key) => !key.includes('/')).length;
    if (!isAvailable || orders.length < BATCH) return deleted;
  }
}
