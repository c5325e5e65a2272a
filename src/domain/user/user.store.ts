import { unauthenticated } from '../../core/errors.js';
import type { PageRequest } from '../../core/page.js';
import { foldWords } from '../../core/text/fold.js';
import { Prisma, type User } from '../../generated/prisma/client.js';
import { columnsOf } from '../../infra/database/columns.js';
import { type Db, queryIn, type SqlTransaction, type Tx } from '../../infra/database/database.js';
import { isActive } from './user.policy.js';

/** The columns of `users` as `person`, in statements that join. */
export const userColumns = columnsOf<User>('user', {
  id: 'person.id::text',
  kind: 'person.kind::text',
  username: 'person.username',
  usernameKey: 'person.username_key',
  displayName: 'person.display_name',
  bio: 'person.bio',
  avatarUrl: 'person.avatar_url',
  searchWords: 'person.search_words',
  createdAt: 'person.created_at',
  deletedAt: 'person.deleted_at',
  serviceRole: 'person.service_role::text',
  suspendedAt: 'person.suspended_at',
});

export type { User };

/** The key under which a username or an email is unique: case is ignored. */
export const caseKey = (text: string) => text.toLowerCase();

/** The users with these ids, in the same order; null for those that do not exist. */
export async function findByIds(db: Db, ids: readonly string[]): Promise<(User | null)[]> {
  const users = await db.user.findMany({ where: { id: { in: [...ids] } } });
  const byId = new Map(users.map((user) => [user.id, user]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** The members of a conversation with these usernames (as returned by `caseKey`), in any order. */
export const findMembersByName = (
  db: Db | Tx,
  conversationId: string,
  usernameKeys: readonly string[],
): Promise<Pick<User, 'id' | 'usernameKey'>[]> =>
  db.$queryRaw`
    SELECT users.id::text, username_key AS "usernameKey"
    FROM users JOIN memberships ON memberships.user_id = users.id
    WHERE conversation_id = ${conversationId}::uuid AND username_key = ANY (${usernameKeys}::text[]) AND deleted_at IS NULL`;

/**
 * Locks users for share until the end of the transaction, and returns those with an account. To be called before they
 * are added to a conversation, so that a concurrent change of a user is also announced there.
 */
export async function lockUsersForShare(tx: Tx, ids: readonly string[]): Promise<User[]> {
  const rows = await tx.$queryRaw<Record<string, unknown>[]>`
    SELECT ${userColumns.select} FROM users person
    WHERE person.id = ANY (${ids}::uuid[]) AND person.deleted_at IS NULL ORDER BY person.id FOR SHARE`;
  return rows.flatMap((row) => userColumns.of(row) ?? []);
}

/**
 * Locks users for update until the end of the transaction, so that nobody adds them to a conversation in the meantime.
 */
export async function lockUsersForUpdate(tx: Tx, ids: readonly string[]): Promise<void> {
  await tx.$queryRaw`SELECT FROM users WHERE id = ANY (${ids}::uuid[]) ORDER BY id FOR NO KEY UPDATE`;
}

export const sessionEnded = () => unauthenticated('This session has ended.');

/**
 * Locks the viewer for share until the end of the transaction. To be called after locking what the viewer changes, so
 * that nothing is stored for the viewer after a suspension or a deletion, which lock the viewer as well.
 * @throws {ChatError} UNAUTHENTICATED: the account was suspended or deleted, even if the session still seems valid.
 */
export async function requireActiveViewer(tx: Tx, { userId }: { userId: string }): Promise<User> {
  const [user] = await lockUsersForShare(tx, [userId]);
  if (!user || !isActive(user)) throw sessionEnded();
  return user;
}

/**
 * Locks the viewer for update in the same way, so that nobody adds the viewer to a conversation in the meantime.
 * @throws {ChatError} UNAUTHENTICATED
 */
export async function lockActiveViewer(tx: Tx, { userId }: { userId: string }): Promise<User> {
  const user = await lockUserForUpdate(tx, userId);
  if (!user || !isActive(user)) throw sessionEnded();
  return user;
}

/** The kinds of rows whose number per user is limited, with the first key of their advisory locks. */
const counted = {
  groups: 7_071,
  contacts: 7_072,
  drafts: 7_073,
  uploads: 7_074,
  calls: 7_075,
  statuses: 7_076,
  devices: 7_077,
} as const;
/**
 * The number of advisory locks per kind, which users share, so that the number of locks of one transaction is bounded.
 */
const COUNT_LOCKS = 128;

/**
 * Prevents other transactions from counting the same kind of rows of these users until the end of the transaction; to
 * be called before a count that is compared with a limit. It does not lock the rows of the users, which would delay
 * their sends.
 */
export async function lockCounts(tx: Tx, what: keyof typeof counted, userIds: readonly string[]): Promise<void> {
  // Locked in a fixed order to avoid deadlocks.
  await tx.$queryRaw`
    SELECT lock FROM (
      SELECT DISTINCT hashtext(id) & ${COUNT_LOCKS - 1}::int AS lock FROM unnest(${userIds}::text[]) AS id
      ORDER BY lock OFFSET 0
    ) AS locks
    WHERE pg_advisory_xact_lock(${counted[what]}::int, lock) IS NOT NULL`;
}

/**
 * Locks the viewer like `requireActiveViewer` and counts like `lockCounts`, in one statement.
 * @throws {ChatError} UNAUTHENTICATED
 */
export async function lockActiveForCount(
  tx: Tx | SqlTransaction,
  what: keyof typeof counted,
  { userId }: { userId: string },
): Promise<void> {
  const rows = await queryIn(
    tx,
    Prisma.sql`
    SELECT pg_advisory_xact_lock(${counted[what]}::int, hashtext(${userId}::text) & ${COUNT_LOCKS - 1}::int)::text
    FROM users WHERE id = ${userId}::uuid AND deleted_at IS NULL AND suspended_at IS NULL FOR SHARE`,
  );
  if (rows.length === 0) throw sessionEnded();
}

/** The viewer's service-wide role. */
export async function readServiceRole(db: Db | Tx, { userId }: { userId: string }): Promise<User['serviceRole']> {
  return (await db.user.findUnique({ where: { id: userId }, select: { serviceRole: true } }))?.serviceRole ?? 'USER';
}

/** Locks a user for update until the end of the transaction and returns the row; null if there is none. */
export async function lockUserForUpdate(tx: Tx, id: string): Promise<User | null> {
  await lockUsersForUpdate(tx, [id]);
  return tx.user.findUnique({ where: { id, deletedAt: null } });
}

/** The words by which a user is found: the username, and each word of the display name. */
export const searchWordsOf = ({ username, displayName }: { username: string; displayName: string }) => [
  ...new Set([caseKey(username), ...foldWords(displayName)]),
];

/** The columns that are derived from the names of a user. */
export const namesOf = ({ username, displayName }: { username: string; displayName: string }) => ({
  username,
  usernameKey: caseKey(username),
  displayName,
  searchWords: searchWordsOf({ username, displayName }),
});

/** The number of characters of a word that are indexed, which `name_prefixes_of` in the database also uses. */
const WORD_MAX_CHARS = 32;

/** The words of a search, without those that are a prefix of another one, which match the same users. */
function searchedWords(search: string): string[] {
  const words = foldWords(search).map((word) => [...word].slice(0, WORD_MAX_CHARS).join(''));
  return [...new Set(words)].filter((word) => !words.some((other) => other !== word && other.startsWith(word)));
}

/**
 * Up to this number of users with a word, each is looked up in the lists of the other words (about 2 µs); otherwise,
 * the lists are joined.
 */
const FEW = 8_000;

/**
 * Counts, for each word of a search, the matching users after the start of the page, up to FEW, the rarest word first.
 * Undefined unless the search has several words.
 */
export function wordCountsStatement(search: string, page: PageRequest<readonly ['text']>): Prisma.Sql | undefined {
  const words = searchedWords(search);
  if (words.length < 2) return undefined;
  return Prisma.sql`
    SELECT word, (SELECT count(*)::int FROM (
      SELECT FROM name_prefixes WHERE prefix = word AND username_key > ${page.from?.[0] ?? ''} LIMIT ${FEW}) AS own) AS count
    FROM unnest(${words}::text[]) AS word ORDER BY count, word`;
}

export interface WordCount {
  word: string;
  count: number;
}

/**
 * The beginning of a username that a search can be, if its words do not express it: a username may contain "_.-", at
 * which words are split.
 */
function usernameBeginning(search: string): string | undefined {
  const asTyped = caseKey(search).trim();
  return /^[a-z0-9_.-]*[_.-][a-z0-9_.-]*$/.test(asTyped) ? asTyped : undefined;
}

/** A search for users among the rows of another table, as parts of a statement. */
export interface NameSearch {
  /** Whether the search matches a row of `users` as `person`. */
  matches: Prisma.Sql;
  /** Selects `username_key` of at most `max` users, which include all matches if there are fewer than `max`. */
  candidates(max: number): Prisma.Sql;
}

/** The search of `findPeople` for statements that join; undefined if it cannot match anybody. */
export function nameSearchOf(search: string): NameSearch | undefined {
  const words = searchedWords(search);
  const asTyped = usernameBeginning(search);
  const conditions: Prisma.Sql[] = [];
  if (words.length > 0) conditions.push(Prisma.sql`(${Prisma.join(words.map(beginsWord), ' AND ')})`);
  if (asTyped !== undefined) conditions.push(Prisma.sql`starts_with(person.username_key, ${asTyped}::text)`);
  if (conditions.length === 0) return undefined;
  return {
    matches: Prisma.sql`(person.deleted_at IS NULL AND (${Prisma.join(conditions, ' OR ')}))`,
    candidates(max) {
      const selects: Prisma.Sql[] = [];
      if (words.length > 0) {
        selects.push(Prisma.sql`
          (SELECT own.username_key
           FROM (
             SELECT word, (SELECT count(*) FROM (
               SELECT FROM name_prefixes WHERE prefix = word LIMIT ${max}::int) AS own) AS count
             FROM unnest(${words}::text[]) AS word ORDER BY count LIMIT 1
           ) AS rarest
           CROSS JOIN LATERAL (
             SELECT username_key FROM name_prefixes WHERE prefix = rarest.word LIMIT ${max}::int) AS own)`);
      }
      if (asTyped !== undefined) {
        selects.push(Prisma.sql`
          (SELECT username_key FROM users
           WHERE username_key >= ${asTyped} AND username_key < ${`${asTyped}~`} LIMIT ${max}::int)`);
      }
      return Prisma.sql`SELECT username_key FROM (${Prisma.join(selects, ' UNION ')}) AS found LIMIT ${max}::int`;
    },
  };
}

/** The words are matched against all search words as one text, separated by spaces, which is faster than one by one. */
const beginsWord = (word: string) =>
  Prisma.sql`strpos(' ' || array_to_string(person.search_words, ' '), ${` ${word}`}::text) > 0`;

/**
 * A statement that selects the usernames of a page of `findPeople`; undefined if the search has no words. The users
 * with a word are contiguous in an index, ordered by username, so only the page is read.
 * @param counts the result of `wordCountsStatement`.
 */
export function peopleStatement(
  search: string,
  page: PageRequest<readonly ['text']>,
  counts?: readonly WordCount[],
): Prisma.Sql | undefined {
  const from = page.from?.[0] ?? '';
  const rest = Prisma.sql`ORDER BY username_key LIMIT ${page.size + 1}`;
  const [first, ...others] = counts?.map(({ word }) => word) ?? searchedWords(search);
  const selects: Prisma.Sql[] = [];
  if (first !== undefined) {
    const few = (counts?.[0]?.count ?? 0) < FEW;
    // OFFSET 0 prevents the planner from joining the lists.
    const offset = few ? Prisma.sql`OFFSET 0` : Prisma.empty;
    const alsoIn = others.map(
      (word) => Prisma.sql`
        AND EXISTS (SELECT FROM name_prefixes other WHERE other.prefix = ${word} AND other.username_key > ${from}
                      AND other.username_key = own.username_key ${offset})`,
    );
    selects.push(Prisma.sql`
      (SELECT username_key FROM name_prefixes own WHERE prefix = ${first} AND username_key > ${from}
       ${alsoIn.length > 0 ? Prisma.join(alsoIn, ' ') : Prisma.empty} ${rest})`);
  }
  const asTyped = usernameBeginning(search);
  if (asTyped !== undefined) {
    // "~" sorts after all characters of usernames.
    selects.push(Prisma.sql`
      (SELECT username_key FROM users WHERE username_key >= ${asTyped} AND username_key < ${`${asTyped}~`}
         AND username_key > ${from} AND deleted_at IS NULL ${rest})`);
  }
  return selects.length < 2
    ? selects[0]
    : Prisma.sql`SELECT username_key FROM (${Prisma.join(selects, ' UNION ')}) AS found ${rest}`;
}

/**
 * Lists the users for whom every word of `search` is a prefix of the username or of a word of the display name, by
 * username. Only the first 32 characters of a word are used. An empty search matches nobody.
 */
export async function findPeople(db: Db, search: string, page: PageRequest<readonly ['text']>): Promise<User[]> {
  const counting = wordCountsStatement(search, page);
  const counts = counting && (await db.$queryRaw<WordCount[]>(counting));
  const statement = peopleStatement(search, page, counts);
  if (!statement) return [];
  const rows = await db.$queryRaw<{ username_key: string }[]>(statement);
  return db.user.findMany({
    where: { usernameKey: { in: rows.map((row) => row.username_key) } },
    orderBy: { usernameKey: 'asc' },
  });
}
