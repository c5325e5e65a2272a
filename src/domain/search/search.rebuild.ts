import { foldWords } from '../../core/text/fold.js';
import { Prisma } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import { findAttachments } from '../media/media.store.js';
import { searchWordsOf } from '../user/user.store.js';
import { readTextEntries, searchVectorFrom } from './search.terms.js';

// When the rules by which texts are folded and split (core/text) change, data that was derived with the old rules must
// be rebuilt; otherwise, the affected words are not found. A migration requests this by inserting a row into
// `search_rebuilds` for each table. Nodes then read the table in the background, from the newest row to the oldest, and
// write the rows whose derived data differs. Searches continue to work meanwhile.

/**
 * How long nodes of the previous version may still write after the migration, in milliseconds. Until then, each start
 * of a node checks the rows again.
 */
const UPDATE_MS = 30 * 24 * 3_600_000;
/** The maximum number of rows, and of characters of text, that are read at a time. */
const BATCH = 200;
const BATCH_CHARS = 200_000;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/** The progress for a table. Rows up to `doneTo` are done. Of the rows up to `top`, those from `before` on are done. */
interface Progress {
  what: What;
  askedAt: Date;
  beganAt: Date | null;
  doneTo: string | null;
  top: string | null;
  before: string | null;
}

type What = 'messages' | 'people' | 'groups';
type Range = { from: string; top: string; before: string | null };
/**
 * Rebuilds the newest rows of a range.
 * @returns the id of the last row that was read, or undefined if there was none.
 */
type Rebuild = (deps: Pick<Deps, 'database' | 'slices'>, range: Range) => Promise<string | undefined>;

const tables: Record<What, { table: string; rebuild: Rebuild }> = {
  messages: { table: 'messages', rebuild: rebuildMessages },
  people: { table: 'users', rebuild: rebuildPeople },
  groups: { table: 'conversations', rebuild: rebuildGroups },
};

/**
 * Runs one step of the requested rebuilds. Several nodes can run the same step at once with the same result.
 * @param startedAt when this node started.
 * @returns whether there may be more steps.
 */
export async function runRebuildStep(
  deps: Pick<Deps, 'database' | 'log' | 'slices'>,
  startedAt: Date,
): Promise<boolean> {
  const { sql } = deps.database;
  const all = await sql.query<Progress>(Prisma.sql`
    SELECT what, asked_at AS "askedAt", began_at AS "beganAt", done_to::text AS "doneTo", top::text, before::text
    FROM search_rebuilds ORDER BY what`);
  for (const progress of all) {
    const { what, doneTo, top, before } = progress;
    if (!(what in tables)) continue;
    const { table, rebuild } = tables[what];
    if (top === null) {
      if (isDone(progress, startedAt)) continue;
      // Covers the rows that exist now; later rows are written by nodes of this version with the new rules.
      await sql.query(Prisma.sql`
        UPDATE search_rebuilds
        SET began_at = now(), before = NULL,
            top = coalesce((SELECT id FROM ${Prisma.raw(table)} ORDER BY id DESC LIMIT 1), ${FIRST_ID}::uuid)
        WHERE what = ${what} AND top IS NULL`);
      return true;
    }
    const last = await rebuild(deps, { from: doneTo ?? FIRST_ID, top, before });
    if (last === undefined) {
      await sql.query(Prisma.sql`
        UPDATE search_rebuilds SET done_to = top, top = NULL, before = NULL WHERE what = ${what} AND top = ${top}::uuid`);
      deps.log.info({ what }, 'search index rebuilt');
    } else {
      await sql.query(Prisma.sql`
        UPDATE search_rebuilds SET before = ${last}::uuid
        WHERE what = ${what} AND top = ${top}::uuid AND before IS NOT DISTINCT FROM ${before}::uuid`);
    }
    return true;
  }
  return false;
}

const isDone = ({ doneTo, beganAt, askedAt }: Progress, startedAt: Date) =>
  doneTo !== null && beganAt !== null && (beganAt >= startedAt || startedAt.getTime() - askedAt.getTime() > UPDATE_MS);

const within = ({ from, top, before }: Range) => Prisma.sql`
  id > ${from}::uuid AND id <= ${top}::uuid AND (${before}::uuid IS NULL OR id < ${before}::uuid)`;

async function rebuildMessages({ database: { db, sql }, slices }: Parameters<Rebuild>[0], range: Range) {
  type Row = Parameters<typeof searchVectorFrom>[0] & { id: string; text: string | null; attachmentCount: number };
  const rows = await sql.query<Row>(Prisma.sql`
    SELECT id, "conversationId", seq, "senderId", text, "mentionedIds", "mentionsEveryone", "attachmentCount"
    FROM (
      SELECT id::text, conversation_id::text AS "conversationId", seq, sender_id::text AS "senderId", text,
             mentioned_ids::text[] AS "mentionedIds", mentions_everyone AS "mentionsEveryone",
             attachment_count AS "attachmentCount",
             sum(coalesce(length(text), 0)) OVER (ORDER BY id DESC) - coalesce(length(text), 0) AS read
      FROM (SELECT * FROM messages WHERE ${within(range)} ORDER BY id DESC LIMIT ${BATCH}) newest
    ) counted
    WHERE read < ${BATCH_CHARS} ORDER BY id DESC`);
  const attachments = await findAttachments(db, rows);
  const given: { id: string; text: string | null; search: string }[] = [];
  for (const [index, row] of rows.entries()) {
    const files = attachments[index] ?? [];
    if (row.text === null && files.length === 0) continue;
    const search = searchVectorFrom(row, await readTextEntries(slices, row.text ?? ''), files);
    given.push({ id: row.id, text: row.text, search });
  }
  if (given.length > 0) {
    // A message that was changed since it was read has been indexed by the change, or is not in the index yet.
    await sql.query(Prisma.sql`
      UPDATE messages SET search = given.search::tsvector
      FROM unnest(${given.map(({ id }) => id)}::uuid[], ${given.map(({ text }) => text)}::text[],
                  ${given.map(({ search }) => search)}::text[]) AS given (id, text, search)
      WHERE messages.id = given.id AND messages.text IS NOT DISTINCT FROM given.text AND messages.search IS NOT NULL
        AND messages.search <> given.search::tsvector`);
  }
  return rows.at(-1)?.id;
}

async function rebuildPeople({ database: { sql } }: Parameters<Rebuild>[0], range: Range) {
  const rows = await sql.query<{ id: string; username: string; displayName: string; words: string[] }>(Prisma.sql`
    SELECT id::text, username, display_name AS "displayName", search_words AS words
    FROM users WHERE ${within(range)} ORDER BY id DESC LIMIT ${BATCH}`);
  for (const { id, username, displayName, words: old } of rows) {
    const words = searchWordsOf({ username, displayName });
    // Deleted accounts have no search words.
    if (old.length === 0 || isSame(old, words)) continue;
    await sql.query(Prisma.sql`
      UPDATE users SET search_words = ${words}::text[]
      WHERE id = ${id}::uuid AND search_words = ${old}::text[] AND (username, display_name) = (${username}, ${displayName})`);
  }
  return rows.at(-1)?.id;
}

async function rebuildGroups({ database: { sql } }: Parameters<Rebuild>[0], range: Range) {
  const rows = await sql.query<{ id: string; title: string | null; words: string[] }>(Prisma.sql`
    SELECT id::text, title, search_words AS words
    FROM conversations WHERE ${within(range)} ORDER BY id DESC LIMIT ${BATCH}`);
  for (const { id, title, words: old } of rows) {
    const words = foldWords(title ?? '');
    if (isSame(old, words)) continue;
    await sql.query(Prisma.sql`
      UPDATE conversations SET search_words = ${words}::text[] WHERE id = ${id}::uuid AND title = ${title}`);
  }
  return rows.at(-1)?.id;
}

const isSame = (one: readonly string[], other: readonly string[]) =>
  one.length === other.length && one.every((word, index) => word === other[index]);
