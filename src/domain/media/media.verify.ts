import pLimit from 'p-limit';
import { Prisma } from '../../generated/prisma/client.js';
import type { MediaStore } from '../../infra/media/store.js';
import type { Deps } from '../../platform/deps.js';
import { orderDeletions } from './media.deletions.js';
import { originalOf, type Served } from './media.store.js';

/** The number of keys or rows that are compared at once. */
const BATCH = 500;
/** The number of questions to the store at once. */
const AT_ONCE_MAX = 32;

/** The differences between the store and the database. */
export interface Verified {
  /** The number of attachments that are READY. */
  attachments: number;
  /**
   * The keys of bytes that belong to no attachment and are not about to be deleted, and `key/upload` of uploads of which
   * only the version without metadata should exist.
   */
  orphans: string[];
  /** Attachments of which an object is missing or has another size. */
  damaged: { id: string; object: string; expected: number; found: number | undefined }[];
}

/** Compares the bytes in the store with the attachments in the database. It changes nothing. */
export async function verifyMedia({ database: { sql } }: Pick<Deps, 'database'>, store: MediaStore): Promise<Verified> {
  const atOnce = pLimit(AT_ONCE_MAX);
  const result: Verified = { attachments: 0, orphans: [], damaged: [] };
  const compareKeys = async (keys: string[]) => {
    const rows = await sql.query<{ key: string }>(Prisma.sql`
      SELECT key FROM unnest(${keys}::text[]) AS key
      WHERE NOT EXISTS (SELECT FROM attachments WHERE store_key = key)
        AND NOT EXISTS (SELECT FROM media_deletions WHERE store_key = key)`);
    result.orphans.push(...rows.map(({ key }) => key));
  };
  let keys = new Set<string>();
  for await (const key of store.keys()) {
    keys.add(key);
    if (keys.size < BATCH) continue;
    await compareKeys([...keys]);
    keys = new Set();
  }
  if (keys.size > 0) await compareKeys([...keys]);
  let after = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const rows = await sql.query<Served>(Prisma.sql`
      SELECT id::text, store_key AS "storeKey", kind::text, byte_size AS "byteSize", variants FROM attachments
      WHERE state = 'READY' AND id > ${after}::uuid ORDER BY id LIMIT ${BATCH}`);
    const compared = await Promise.all(
      rows.flatMap((row) =>
        [{ name: originalOf(row), byteSize: row.byteSize }, ...row.variants].map(
          ({ name: object, byteSize: expected }) =>
            atOnce(async () => ({ id: row.id, object, expected, found: await store.size(row.storeKey, object) })),
        ),
      ),
    );
    result.damaged.push(...compared.filter(({ expected, found }) => found !== expected));
    const replaced = rows.filter((row) => originalOf(row) !== 'upload').map(({ storeKey }) => storeKey);
    const left = await Promise.all(
      replaced.map((key) =>
        atOnce(async () => ((await store.size(key, 'upload')) === undefined ? [] : [`${key}/upload`])),
      ),
    );
    await compareKeys(left.flat());
    result.attachments += rows.length;
    const last = rows.at(-1);
    if (rows.length < BATCH || !last) break;
    after = last.id;
  }
  result.orphans = [...new Set(result.orphans)];
  return result;
}

/** Orders the deletion of bytes that should not exist. */
export const deleteOrphans = ({ database: { sql } }: Pick<Deps, 'database'>, keys: readonly string[]): Promise<void> =>
  orderDeletions(sql, keys);
