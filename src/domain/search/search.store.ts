import type { PageRequest } from '../../core/page.js';
import { foldWords, prefixQuery } from '../../core/text/fold.js';
import { isUsername } from '../../core/usernames.js';
import { Prisma } from '../../generated/prisma/client.js';
import type { Database, Db, Sql } from '../../infra/database/database.js';
import type { NamedConversation, Templates } from './search.query.js';
import { PART, PART_BITS, PART_ID_CHARS } from './search.terms.js';

/**
 * The maximum number of matches that are ranked: the newest ones of each of the parts of conversations with the most
 * recent messages, where a part contains some thousand messages.
 */
export const RANKED_MAX = 1_000;
/**
 * Index entries of matches, in bytes as they are stored, of which the ranks are calculated. That takes about 1 ms for 2 MB
 * of uncompressed entries, and only long messages have entries of this size. The matches after them have rank 0.
 */
const RANKED_BYTES_MAX = 4 * 1024 * 1024;
/**
 * The maximum number of messages with all terms that are checked for adjacent terms. If there are more, those with the
 * most recent messages are checked, as for RANKED_MAX.
 */
export const CANDIDATES_MAX = 20_000;

/** The types of a match's cursor: the time of the list's first page, the rank, the time of the message, and its id. */
export const matchKeys = ['date', 'int', 'date', 'uuid'] as const;

export interface Match {
  id: string;
  rank: number;
  createdAt: Date;
  /** When the list's first page was read. Messages that were sent later are not in the list. */
  listedAt: Date;
}

export interface MatchRequest {
  userId: string;
  /** The ids of the conversations to search, or undefined for all of the user's conversations. */
  within: readonly string[] | undefined;
  notWithin: readonly string[];
  since: Date | undefined;
  until: Date | undefined;
  templates: Templates;
  rankTemplates: readonly [loose: string, exact: string] | undefined;
  /**
   * The maximum number of bytes of index entries, as they are stored, that are checked for adjacent terms: the check
   * reads whole entries. Only long messages reach this limit before CANDIDATES_MAX; those after them are not found.
   */
  phraseBytesMax: number;
}

const timestamp = (date: Date | undefined) => Prisma.sql`${date?.toISOString() ?? null}::text::timestamptz`;
/** The stored size of the index entries of this and all earlier rows. It is known without reading the entries. */
const storedBytes = Prisma.sql`sum(pg_column_size(search)) OVER (ROWS UNBOUNDED PRECEDING)`;
const ofPart = (template: string, key: string) =>
  Prisma.sql`replace(${template}, ${PART}, ${Prisma.raw(key)})::tsquery`;

/**
 * A statement that finds a page of the messages that the user can read, best match first, and newest first among equal
 * matches.
 *
 * All index entries begin with the key of a part of a conversation. The statement therefore searches each part of the
 * user's conversations separately, which takes about 10 µs per part and never reads messages of other conversations.
 * Parts with the most recent messages come first, and the statement stops after RANKED_MAX matches.
 */
export function matchStatement(
  { userId, within, notWithin, since, until, templates, rankTemplates, phraseBytesMax }: MatchRequest,
  page: PageRequest<typeof matchKeys>,
): Prisma.Sql {
  const [listedAt, rank, createdAt, id] = page.from ?? [];
  const bounds = Prisma.sql`
    ${listedAt ? Prisma.sql`AND message.created_at <= ${timestamp(listedAt)}` : Prisma.empty}
    ${since ? Prisma.sql`AND message.created_at >= ${timestamp(since)}` : Prisma.empty}
    ${until ? Prisma.sql`AND message.created_at < ${timestamp(until)}` : Prisma.empty}`;
  const first = Prisma.raw(`part.number << ${PART_BITS}`);
  const last = Prisma.raw(`least(((part.number + 1) << ${PART_BITS}) - 1, own.latest_seq)`);
  // The time of the newest message of the part when the list's first page was read, so that the order of parts is the
  // same for all pages.
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
        -- OFFSET 0 evaluates the subquery only once.
        OFFSET 0
      ) activity
      WHERE activity.at IS NOT NULL
        ${since ? Prisma.sql`AND activity.at >= ${timestamp(since)}` : Prisma.empty}
        ${
          until
            ? Prisma.sql`AND ${timestamp(until)} > (
                SELECT created_at FROM messages
                WHERE conversation_id = own.conversation_id AND seq = greatest(${first}, 1) LIMIT 1)`
            : Prisma.empty
        }
      ORDER BY least(activity.at, ${timestamp(until)}) DESC, own.conversation_id, part.number DESC
    ),
    found AS MATERIALIZED (
      SELECT * FROM (
        SELECT message.id, message.created_at, message.search, part.key
          ${templates.exact === undefined ? Prisma.empty : Prisma.sql`, ${storedBytes} AS bytes`}
        FROM part CROSS JOIN LATERAL (
          SELECT * FROM (
            -- OFFSET 0 makes the planner read the index by this condition and by no other.
            SELECT id, conversation_id, seq, created_at, search FROM messages
            WHERE search @@ ${ofPart(templates.loose, 'part.key')} OFFSET 0
          ) message
          WHERE message.conversation_id = part.conversation_id AND message.seq > part.hidden_to_seq ${bounds}
          ORDER BY message.seq DESC
        ) message
        LIMIT ${CANDIDATES_MAX}::int
      ) candidate
      ${
        templates.exact === undefined
          ? Prisma.empty
          : // CASE decides which condition is evaluated first.
            Prisma.sql`
              WHERE CASE WHEN bytes <= ${phraseBytesMax}::int THEN search @@ ${ofPart(templates.exact, 'key')} END`
      }
      LIMIT ${RANKED_MAX}::int
    ),
    ranked AS (
      SELECT id, created_at, ${rankTemplates ? rankSql(rankTemplates) : Prisma.sql`0`} AS rank,
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

/** The rank of a match: that of the words of the query, plus that of the last word as an exact match. */
function rankSql([loose, exact]: readonly [loose: string, exact: string]): Prisma.Sql {
  const rankOf = (template: string) => Prisma.sql`ts_rank(search, ${ofPart(template, 'key')})`;
  // Each call reads the whole index entry of the message.
  const sum = loose === exact ? Prisma.sql`2 * ${rankOf(loose)}` : Prisma.sql`(${rankOf(loose)} + ${rankOf(exact)})`;
  return Prisma.sql`
    CASE WHEN ${storedBytes} <= ${RANKED_BYTES_MAX}::int
      THEN round(1000 * ${sum})::int ELSE 0 END`;
}

/**
 * Settings of the planner for the statement: it uses indexes whatever the sizes of the tables, and no JIT compilation,
 * which would take longer than the query. The planner would choose it because its estimate ignores how selective the
 * key of a part is.
 */
export const planning = Prisma.sql`
  SELECT set_config('jit', 'off', true), set_config('plan_cache_mode', 'auto', true),
         set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'on', true),
         set_config('max_parallel_workers_per_gather', '0', true)`;

/** A page of matches, with up to one more than its size. */
export const findMatches = (
  { sql }: Pick<Database, 'sql'>,
  request: MatchRequest,
  page: PageRequest<typeof matchKeys>,
): Promise<Match[]> =>
  sql.transaction(async (tx) => {
    await tx.query(planning);
    return tx.query<Match>(matchStatement(request, page));
  });

/** The ids of the users with these usernames (in lower case), in no particular order. */
export async function findSenders(db: Db, names: readonly string[]): Promise<string[]> {
  const usernameKeys = names.filter(isUsername);
  if (usernameKeys.length === 0) return [];
  const users = await db.user.findMany({ where: { usernameKey: { in: usernameKeys } }, select: { id: true } });
  return users.map(({ id }) => id);
}

/**
 * The ids of the user's conversations with these names: the direct conversation with a user, and groups by words of
 * their titles.
 */
export async function findNamedConversations(
  sql: Sql,
  userId: string,
  places: readonly NamedConversation[],
): Promise<string[]> {
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
