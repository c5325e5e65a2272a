import type { PageRequest } from '../../core/page.js';
import { foldWords, prefixQuery } from '../../core/text/fold.js';
import { isUsername } from '../../core/usernames.js';
import { Prisma } from '../../generated/prisma/client.js';
import type { Database, Db, Sql } from '../../infra/database/database.js';
import type { Place, Templates } from './search.query.js';
import { PART, PART_BITS, PART_ID_CHARS } from './search.terms.js';

/**
 * Of a search that matches more messages than this, so many are ranked: those of the parts of conversations (some
 * thousand messages each) in which something was said last, of each the newest.
 */
export const RANKED_MAX = 1_000;
/** So many messages with all the words are looked at for whether they stand beside each other: of more, the same. */
const LOOKED_AT_MAX = 20_000;

/** What the place of a match in its list is made of; and until when messages were sent that are in that list. */
export const matchKeys = ['date', 'int', 'date', 'uuid'] as const;

export interface Match {
  id: string;
  rank: number;
  createdAt: Date;
  /** When the list's first page was read: what was sent later is not in it. */
  listedAt: Date;
}

export interface MatchRequest {
  userId: string;
  /** Only in these; undefined: in all of the person's. */
  within: readonly string[] | undefined;
  notWithin: readonly string[];
  since: Date | undefined;
  until: Date | undefined;
  templates: Templates;
  rankTemplates: readonly [loose: string, exact: string] | undefined;
}

const timestamp = (date: Date | undefined) => Prisma.sql`${date?.toISOString() ?? null}::text::timestamptz`;
const ofPart = (template: string, key: string) =>
  Prisma.sql`replace(${template}, ${PART}, ${Prisma.raw(key)})::tsquery`;

/**
 * What finds the messages of a page of a search: those that the person may read, the best first, of equals the newest.
 *
 * The index begins everything that it holds with the key of a part of a conversation. So each part of the person's
 * conversations is asked for itself, which takes some 10 µs and meets nobody else's messages; the parts in which
 * something was said last come first, and when RANKED_MAX matches are found, no more is read.
 */
export function matchStatement(
  { userId, within, notWithin, since, until, templates, rankTemplates }: MatchRequest,
  page: PageRequest<typeof matchKeys>,
): Prisma.Sql {
  const [listedAt, rank, createdAt, id] = page.from ?? [];
  const [loose, exact] = rankTemplates ?? [];
  const bounds = Prisma.sql`
    ${listedAt ? Prisma.sql`AND message.created_at <= ${timestamp(listedAt)}` : Prisma.empty}
    ${since ? Prisma.sql`AND message.created_at >= ${timestamp(since)}` : Prisma.empty}
    ${until ? Prisma.sql`AND message.created_at < ${timestamp(until)}` : Prisma.empty}`;
  const first = Prisma.raw(`part.number << ${PART_BITS}`);
  const last = Prisma.raw(`least(((part.number + 1) << ${PART_BITS}) - 1, own.latest_seq)`);
  // When something was said there last, as it was for the list's first page: a part keeps its place.
  const newest = Prisma.sql`
    SELECT created_at FROM messages
    WHERE conversation_id = own.conversation_id AND seq >= ${first} AND seq <= ${last}
      ${listedAt ? Prisma.sql`AND created_at <= ${timestamp(listedAt)}` : Prisma.empty}
    ORDER BY seq DESC LIMIT 1`;
  return Prisma.sql`
    WITH own AS MATERIALIZED (
      SELECT m.conversation_id, m.hidden_to_seq, c.latest_seq, c.last_activity_at
      FROM memberships m JOIN conversations c ON c.id = m.conversation_id
      WHERE m.user_id = ${userId}::uuid AND c.latest_seq > m.hidden_to_seq
        ${within ? Prisma.sql`AND m.conversation_id = ANY (${within}::uuid[])` : Prisma.empty}
        ${notWithin.length > 0 ? Prisma.sql`AND m.conversation_id <> ALL (${notWithin}::uuid[])` : Prisma.empty}
        ${since ? Prisma.sql`AND c.last_activity_at >= ${timestamp(since)}` : Prisma.empty}
    ),
    part AS MATERIALIZED (
      SELECT own.conversation_id, own.hidden_to_seq,
             right(own.conversation_id::text, ${PART_ID_CHARS}::int) || part.number AS key
      FROM own
      CROSS JOIN LATERAL generate_series((own.hidden_to_seq + 1) >> ${PART_BITS}::int,
                                         own.latest_seq >> ${PART_BITS}::int) AS part (number)
      CROSS JOIN LATERAL (
        SELECT CASE
          WHEN part.number = own.latest_seq >> ${PART_BITS}::int
            ${listedAt ? Prisma.sql`AND own.last_activity_at <= ${timestamp(listedAt)}` : Prisma.empty}
          THEN own.last_activity_at ELSE (${newest}) END AS at
        -- Found out once.
        OFFSET 0
      ) said
      WHERE said.at IS NOT NULL
        ${since ? Prisma.sql`AND said.at >= ${timestamp(since)}` : Prisma.empty}
        ${
          until
            ? Prisma.sql`AND ${timestamp(until)} > (
                SELECT created_at FROM messages
                WHERE conversation_id = own.conversation_id AND seq = greatest(${first}, 1) LIMIT 1)`
            : Prisma.empty
        }
      ORDER BY least(said.at, ${timestamp(until)}) DESC, own.conversation_id, part.number DESC
    ),
    found AS MATERIALIZED (
      SELECT * FROM (
        SELECT message.id, message.created_at, message.search, part.key
        FROM part CROSS JOIN LATERAL (
          SELECT * FROM (
            -- OFFSET keeps the other conditions out: by this one the index is read, and by no other.
            SELECT id, conversation_id, seq, created_at, search FROM messages
            WHERE search @@ ${ofPart(templates.loose, 'part.key')} OFFSET 0
          ) message
          WHERE message.conversation_id = part.conversation_id AND message.seq > part.hidden_to_seq ${bounds}
          ORDER BY message.seq DESC
        ) message
        LIMIT ${LOOKED_AT_MAX}::int
      ) candidate
      ${templates.exact === undefined ? Prisma.empty : Prisma.sql`WHERE search @@ ${ofPart(templates.exact, 'key')}`}
      LIMIT ${RANKED_MAX}::int
    ),
    ranked AS (
      SELECT id, created_at, ${
        loose !== undefined && exact !== undefined
          ? Prisma.sql`round(1000 * (ts_rank(search, ${ofPart(loose, 'key')}) + ts_rank(search, ${ofPart(exact, 'key')})))::int`
          : Prisma.sql`0`
      } AS rank,
        ${listedAt ? timestamp(listedAt) : Prisma.sql`greatest(statement_timestamp(), max(created_at) OVER ())`} AS listed_at
      FROM found
    )
    SELECT id::text, rank, created_at AS "createdAt", listed_at AS "listedAt" FROM ranked
    ${
      rank !== undefined && createdAt && id !== undefined
        ? Prisma.sql`WHERE (rank, created_at, id) < (${rank}::int, ${timestamp(createdAt)}, ${id}::uuid)`
        : Prisma.empty
    }
    ORDER BY rank DESC, created_at DESC, ranked.id DESC LIMIT ${page.size + 1}::int`;
}

/**
 * How the statement is planned: by indexes, whatever the tables' sizes; and not compiled, which takes longer than all
 * else, and is what its estimate asks for: that knows nothing of how little a part's key leaves.
 */
export const planning = Prisma.sql`
  SELECT set_config('jit', 'off', true), set_config('plan_cache_mode', 'auto', true),
         set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'on', true),
         set_config('max_parallel_workers_per_gather', '0', true)`;

/** A page of what a search finds: up to one more than its size. */
export const findMatches = (
  { sql }: Pick<Database, 'sql'>,
  request: MatchRequest,
  page: PageRequest<typeof matchKeys>,
): Promise<Match[]> =>
  sql.transaction(async (tx) => {
    await tx.query(planning);
    return tx.query<Match>(matchStatement(request, page));
  });

/** Ids of the people with these usernames (in lower case), in no order. */
export async function findSenders(db: Db, names: readonly string[]): Promise<string[]> {
  const usernameKeys = names.filter(isUsername);
  if (usernameKeys.length === 0) return [];
  const users = await db.user.findMany({ where: { usernameKey: { in: usernameKeys } }, select: { id: true } });
  return users.map(({ id }) => id);
}

/** Ids of the person's conversations that are named so: the direct one with somebody, groups by words of their titles. */
export async function findPlaces(sql: Sql, userId: string, places: readonly Place[]): Promise<string[]> {
  if (places.length === 0) return [];
  const usernames = places.flatMap((place) =>
    'username' in place && isUsername(place.username) ? [place.username] : [],
  );
  const titles = places.flatMap((place) => ('title' in place ? (prefixQuery(foldWords(place.title)) ?? []) : []));
  const rows = await sql.query<{ id: string }>(Prisma.sql`
    SELECT c.id::text FROM memberships own JOIN conversations c ON c.id = own.conversation_id
    WHERE own.user_id = ${userId}::uuid AND (
      c.kind = 'GROUP' AND EXISTS (
        SELECT FROM unnest(${titles}::text[]) AS title WHERE array_to_tsvector(c.search_words) @@ title::tsquery)
      OR c.kind = 'DIRECT' AND EXISTS (
        SELECT FROM memberships other JOIN users ON users.id = other.user_id
        WHERE other.conversation_id = c.id AND other.user_id <> own.user_id AND users.username_key = ANY (${usernames}::text[])))`);
  return rows.map(({ id }) => id);
}
