import type { PageRequest } from '../../core/page.js';
import { foldWords, prefixQuery } from '../../core/words.js';
import type { User } from '../../generated/prisma/client.js';
import { columnsOf } from '../../infra/columns.js';
import type { Db, Tx } from '../../infra/database.js';

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

/**
 * People of whom every word of `search` begins the username or a word of the display name, by username.
 * An empty search finds nobody.
 */
export async function findPeople(db: Db, search: string, page: PageRequest<readonly ['text']>): Promise<User[]> {
  // A username may hold "_.-", at which words are split: asked for as it is, it must be found too.
  const asTyped = caseKey(search).trim();
  const alternatives = [foldWords(search), /^[a-z0-9_.-]+$/.test(asTyped) ? [asTyped] : []].flatMap(
    (words) => prefixQuery(words) ?? [],
  );
  if (alternatives.length === 0) return [];
  const query = alternatives.join(' | ');
  const ids = await db.$queryRaw<{ id: string }[]>`
    SELECT id::text FROM users
    WHERE array_to_tsvector(search_words) @@ ${query}::tsquery AND deleted_at IS NULL
      AND (${page.from?.[0] ?? null}::text IS NULL OR username_key > ${page.from?.[0] ?? null}::text)
    ORDER BY username_key LIMIT ${page.size + 1}`;
  return db.user.findMany({ where: { id: { in: ids.map((row) => row.id) } }, orderBy: { usernameKey: 'asc' } });
}
