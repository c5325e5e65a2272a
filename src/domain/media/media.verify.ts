import { Prisma } from '../../generated/prisma/client.js';
import type { MediaStore } from '../../infra/media/store.js';
import type { Deps } from '../../platform/deps.js';
import { originalOf, type Served } from './media.store.js';

/** The number of keys or rows that are compared at once. */
const BATCH = 500;

/** The differences between the store and the database. */
export interface Verified {
  /** The number of attachments that are READY. */
  attachments: number;
  /** The keys of bytes that belong to no attachment and are not about to be deleted. */
  orphans: string[];
  /** Attachments of which an object is missing or has another size. */
  damaged: { id: string; object: string; expected: number; found: number | undefined }[];
}

/** Compares the bytes in the store with the attachments in the database. It changes nothing. */
export async function verifyMedia({ database: { sql } }: Pick<Deps, 'database'>, store: MediaStore): Promise<Verified> {
  const result: Verified = { attachments: 0, orphans: [], damaged: [] };
  const compareKeys = async (keys: string[]) => {
    const rows = await sql.query<{ key: string }>(Prisma.sql`
      SELECT key FROM unnest(${keys}::text[]) AS key
      WHERE NOT EXISTS (SELECT FROM attachments WHERE store_key = key)
        AND NOT EXISTS (SELECT FROM media_deletions WHERE store_key = key)`);
    result.orphans.push(...rows.map(({ key }) => key));
  };
  let keys: string[] = [];
  for await (const key of store.keys()) {
    keys.push(key);
    if (keys.length < BATCH) continue;
    await compareKeys(keys);
    keys = [];
  }
  if (keys.length > 0) await compareKeys(keys);
  let after = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const rows = await sql.query<Served>(Prisma.sql`
      SELECT id::text, store_key AS "storeKey", kind::text, byte_size AS "byteSize", variants FROM attachments
      WHERE state = 'READY' AND id > ${after}::uuid ORDER BY id LIMIT ${BATCH}`);
    for (const row of rows) {
      const objects = [{ name: originalOf(row), byteSize: row.byteSize }, ...row.variants];
      for (const { name, byteSize: expected } of objects) {
        const found = await store.size(row.storeKey, name);
        if (found !== expected) result.damaged.push({ id: row.id, object: name, expected, found });
      }
    }
    result.attachments += rows.length;
    const last = rows.at(-1);
    if (rows.length < BATCH || !last) return result;
    after = last.id;
  }
}

/** Orders the deletion of bytes that belong to no attachment. */
export async function deleteOrphans({ database: { sql } }: Pick<Deps, 'database'>, keys: readonly string[]) {
  await sql.query(Prisma.sql`
    INSERT INTO media_deletions (store_key) SELECT unnest(${keys}::text[]) ON CONFLICT DO NOTHING`);
}
