import { unauthenticated } from '../../core/errors.js';
import type { PageRequest } from '../../core/page.js';
import { foldWords } from '../../core/text/fold.js';
import { Prisma, type User } from '../../generated/prisma/client.js';
import { columnsOf } from '../../infra/database/columns.js';
import type { Db, Tx } from '../../infra/database/database.js';
import { isHere } from './user.policy.js';

/** Of `users` as `person`, in statements that join. */
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

/** What makes a username or an email unique: two that differ only in case are the same. */
export const caseKey = (text: string) => text.toLowerCase();

/** The people with these ids, in their order; null for who is not there. */
export async function findByIds(db: Db, ids: readonly string[]): Promise<(User | null)[]> {
  const users = await db.user.findMany({ where: { id: { in: [...ids] } } });
  const byId = new Map(users.map((user) => [user.id, user]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** Members of a conversation with these usernames (as `caseKey` gives them), in no order. */
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
 * People as they are, and stay until the transaction ends: before they are brought into a conversation, so that whoever
 * changes them tells it there as well. Who has no account any more is not among them.
 */
export async function holdPeople(tx: Tx, ids: readonly string[]): Promise<User[]> {
  const rows = await tx.$queryRaw<Record<string, unknown>[]>`
    SELECT ${userColumns.select} FROM users person
    WHERE person.id = ANY (${ids}::uuid[]) AND person.deleted_at IS NULL ORDER BY person.id FOR SHARE`;
  return rows.flatMap((row) => userColumns.of(row) ?? []);
}

/** Holds people until the transaction ends in such a way that nobody brings them into a conversation meanwhile. */
export async function holdToChange(tx: Tx, ids: readonly string[]): Promise<void> {
  await tx.$queryRaw`SELECT FROM users WHERE id = ANY (${ids}::uuid[]) ORDER BY id FOR NO KEY UPDATE`;
}

export const sessionOver = () => unauthenticated('This session has ended.');

/**
 * Who asks, held until the transaction ends: to be called under the lock of what they change, for a suspension or a
 * deletion holds them as well, and nothing of theirs is to be stored after it.
 * @throws {ChatError} UNAUTHENTICATED: they are not here any more, whatever their session looked like.
 */
export async function holdViewer(tx: Tx, { userId }: { userId: string }): Promise<User> {
  const [user] = await holdPeople(tx, [userId]);
  if (!user || !isHere(user)) throw sessionOver();
  return user;
}

/**
 * The same of who changes themselves, or whom they know: held so that nobody brings them into a conversation meanwhile.
 * @throws {ChatError} UNAUTHENTICATED
 */
export async function holdSelf(tx: Tx, { userId }: { userId: string }): Promise<User> {
  const user = await holdPerson(tx, userId);
  if (!user || !isHere(user)) throw sessionOver();
  return user;
}

/** What people can have only so many of, and the first number of its locks. */
const counted = { groups: 7_071, contacts: 7_072 } as const;
/** People share that many locks: what one transaction may hold of them is bounded, however many it brings in. */
const COUNT_LOCKS = 128;

/**
 * Until the transaction ends nobody else counts what these people have: to be called before a count that decides whether
 * they may have one more. No lock of their rows, which would make their sends wait.
 */
export async function lockCounts(tx: Tx, what: keyof typeof counted, userIds: readonly string[]): Promise<void> {
  // In one order for all.
  await tx.$queryRaw`
    SELECT lock FROM (
      SELECT DISTINCT hashtext(id) & ${COUNT_LOCKS - 1}::int AS lock FROM unnest(${userIds}::text[]) AS id
      ORDER BY lock OFFSET 0
    ) AS locks
    WHERE pg_advisory_xact_lock(${counted[what]}::int, lock) IS NOT NULL`;
}

/** What the viewer may do for the whole service. */
export async function readServiceRole(db: Db | Tx, { userId }: { userId: string }): Promise<User['serviceRole']> {
  return (await db.user.findUnique({ where: { id: userId }, select: { serviceRole: true } }))?.serviceRole ?? 'USER';
}

/** A person, held until the transaction ends. */
export async function holdPerson(tx: Tx, id: string): Promise<User | null> {
  await holdToChange(tx, [id]);
  return tx.user.findUnique({ where: { id, deletedAt: null } });
}

/** The words that find a person: the whole username, and each word of the display name. */
export const searchWordsOf = ({ username, displayName }: { username: string; displayName: string }) => [
  ...new Set([caseKey(username), ...foldWords(displayName)]),
];

/** What of a person's row follows from how they are called. */
export const namesOf = ({ username, displayName }: { username: string; displayName: string }) => ({
  username,
  usernameKey: caseKey(username),
  displayName,
  searchWords: searchWordsOf({ username, displayName }),
});

/** Characters of a word that count: as many as `name_prefixes_of` in the database takes. */
const WORD_MAX_CHARS = 32;

/** The words of a search, without those that another of them begins with: who is found by that one has them too. */
function searchedWords(search: string): string[] {
  const words = foldWords(search).map((word) => [...word].slice(0, WORD_MAX_CHARS).join(''));
  return [...new Set(words)].filter((word) => !words.some((other) => other !== word && other.startsWith(word)));
}

/** So few people have a word that each can be looked up in the other words' lists (some 2 µs): beyond, lists are joined. */
const FEW = 8_000;

/**
 * How many people behind the page's beginning each word of a search has, counted up to FEW, the rarest first;
 * undefined where there are not several words.
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
 * The beginning of a username that a search can be, where its words do not say it: a username may contain "_.-", at which
 * words are split.
 */
function usernameBeginning(search: string): string | undefined {
  const asTyped = caseKey(search).trim();
  return /^[a-z0-9_.-]*[_.-][a-z0-9_.-]*$/.test(asTyped) ? asTyped : undefined;
}

/** A search for users among the rows of another table, as parts of a statement. */
export interface NameSearch {
  /** Whether the search finds a row of `users` as `person`. */
  matches: Prisma.Sql;
  /**
   * Selects `username_key` of `max` users at most, among whom are all that the search finds if they are fewer than `max`.
   */
  candidates(max: number): Prisma.Sql;
}

/** What `findPeople` finds, for statements that join; undefined where the search finds nobody. */
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
      const ways: Prisma.Sql[] = [];
      if (words.length > 0) {
        ways.push(Prisma.sql`
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
        ways.push(Prisma.sql`
          (SELECT username_key FROM users
           WHERE username_key >= ${asTyped} AND username_key < ${`${asTyped}~`} LIMIT ${max}::int)`);
      }
      return Prisma.sql`SELECT username_key FROM (${Prisma.join(ways, ' UNION ')}) AS found LIMIT ${max}::int`;
    },
  };
}

/** Of search words, which contain no spaces, it is faster to look into all of them as one text than into each. */
const beginsWord = (word: string) =>
  Prisma.sql`strpos(' ' || array_to_string(person.search_words, ' '), ${` ${word}`}::text) > 0`;

/**
 * What finds the usernames of a page of `findPeople`; undefined where nothing is searched for. Each word's people are a
 * stretch of one index, by username: it is read from the page's beginning and no further than the page needs.
 * `counts`: what `wordCountsStatement` found.
 */
export function peopleStatement(
  search: string,
  page: PageRequest<readonly ['text']>,
  counts?: readonly WordCount[],
): Prisma.Sql | undefined {
  const from = page.from?.[0] ?? '';
  const rest = Prisma.sql`ORDER BY username_key LIMIT ${page.size + 1}`;
  const [first, ...others] = counts?.map(({ word }) => word) ?? searchedWords(search);
  const ways: Prisma.Sql[] = [];
  if (first !== undefined) {
    const few = (counts?.[0]?.count ?? 0) < FEW;
    // Only OFFSET keeps the planner from joining lists of whatever length.
    const offset = few ? Prisma.sql`OFFSET 0` : Prisma.empty;
    const alsoIn = others.map(
      (word) => Prisma.sql`
        AND EXISTS (SELECT FROM name_prefixes other WHERE other.prefix = ${word} AND other.username_key > ${from}
                      AND other.username_key = own.username_key ${offset})`,
    );
    ways.push(Prisma.sql`
      (SELECT username_key FROM name_prefixes own WHERE prefix = ${first} AND username_key > ${from}
       ${alsoIn.length > 0 ? Prisma.join(alsoIn, ' ') : Prisma.empty} ${rest})`);
  }
  const asTyped = usernameBeginning(search);
  if (asTyped !== undefined) {
    // "~" is behind all characters of a username.
    ways.push(Prisma.sql`
      (SELECT username_key FROM users WHERE username_key >= ${asTyped} AND username_key < ${`${asTyped}~`}
         AND username_key > ${from} AND deleted_at IS NULL ${rest})`);
  }
  return ways.length < 2
    ? ways[0]
    : Prisma.sql`SELECT username_key FROM (${Prisma.join(ways, ' UNION ')}) AS found ${rest}`;
}

/**
 * People of whom every word of `search` begins the username or a word of the display name, by username. Of a word its
 * first 32 characters count. An empty search finds nobody.
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
