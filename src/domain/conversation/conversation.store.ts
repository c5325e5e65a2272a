import { newId } from '../../core/ids.js';
import { afterKeyset, type PageRequest } from '../../core/page.js';
import { foldWords, prefixQuery } from '../../core/text/fold.js';
import { type Conversation, type Membership, Prisma, type User } from '../../generated/prisma/client.js';
import { createKeyedQueue } from '../../infra/async/keyed-queue.js';
import { columnsOf } from '../../infra/database/columns.js';
import type { Db, Sql, Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineLookup, defineService } from '../../platform/service.js';
import { findReachable } from '../user/reach.store.js';
import { nameSearchOf, userColumns } from '../user/user.store.js';
import type { Counterpart } from './conversation.policy.js';

export type { Conversation, Membership };

/** The key under which the direct conversation of two users is unique, in whichever order they are given. */
export const directKeyOf = (oneId: string, otherId: string) => [oneId, otherId].sort().join(':');

/** The other user of such a key. */
export const otherOf = (directKey: string, userId: string): string =>
  directKey.split(':').find((id) => id !== userId) ?? userId;

/** The columns of a conversation by field, for statements of plain SQL. */
const conversationFields = {
  id: 'id::text',
  kind: 'kind::text',
  visibility: 'visibility::text',
  title: 'title',
  description: 'description',
  imageUrl: 'image_url',
  historyVisibility: 'history_visibility::text',
  directKey: 'direct_key',
  createdById: 'created_by_id::text',
  clientGroupId: 'client_group_id',
  inputHash: 'NULL::bytea',
  createdAt: 'created_at',
  lastActivityAt: 'last_activity_at',
  latestSeq: 'latest_seq',
  changeSeq: 'change_seq',
  memberCount: 'member_count',
  encryption: 'encryption::text',
  groupGeneration: 'group_generation',
  groupEpoch: 'group_epoch',
  // These columns are only used by searches.
  searchWords: 'ARRAY[]::text[]',
} satisfies Record<keyof Conversation, string>;

export const conversationColumns = Prisma.raw(
  Object.entries(conversationFields)
    .map(([field, column]) => `${column} AS "${field}"`)
    .join(', '),
);

/** Reads an expression that selects `conversationColumns`, in statements that join. */
export const conversationColumnsOf = (name: string) =>
  columnsOf<Conversation>(
    name,
    Object.fromEntries(Object.keys(conversationFields).map((field) => [field, `${name}."${field}"`])) as Record<
      keyof Conversation,
      string
    >,
  );

/** The columns of `memberships` as `own`, in statements that join. */
export const membershipColumns = columnsOf<Membership>('own', {
  id: 'own.id::text',
  conversationId: 'own.conversation_id::text',
  userId: 'own.user_id::text',
  role: 'own.role::text',
  joinedAt: 'own.joined_at',
  hiddenToSeq: 'own.hidden_to_seq',
});

/**
 * Runs changes of the same conversation one after another: they need the same row lock, and would otherwise each
 * occupy a database connection while they wait for it.
 */
export const conversationQueue = defineService('conversation queue', () => createKeyedQueue({ atOnce: 1 }));

/**
 * Runs a change of a conversation in a transaction, after the preceding changes of the same conversation in this
 * process.
 */
export function changeConversation<T>(
  deps: Pick<Deps, 'database' | 'services'>,
  id: string,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  return conversationQueue.of(deps).run(id, () => deps.database.transaction(work));
}

/**
 * Locks a conversation until the end of the transaction and increments its change number. Authorization must be read
 * afterwards, in a separate statement: only then does it stay true while the lock is held.
 * @returns the conversation with the new number; undefined if it does not exist.
 */
export async function lockAndNumber(tx: Tx, id: string): Promise<Conversation | undefined> {
  const [row] = await tx.$queryRaw<Conversation[]>`
    UPDATE conversations SET change_seq = change_seq + 1 WHERE id = ${id}::uuid RETURNING ${conversationColumns}`;
  return row;
}

/** Locks a conversation until the end of the transaction; undefined if it does not exist. See `lockAndNumber`. */
export async function lock(tx: Tx, id: string): Promise<Conversation | undefined> {
  const [row] = await tx.$queryRaw<Conversation[]>`
    SELECT ${conversationColumns} FROM conversations WHERE id = ${id}::uuid FOR NO KEY UPDATE`;
  return row;
}

/**
 * Locks those of the conversations that are not locked by others, until the end of the transaction. Returns their ids.
 */
export async function lockAvailable(tx: Tx, ids: readonly string[]): Promise<string[]> {
  const rows = await tx.$queryRaw<{ id: string }[]>`
    SELECT id::text FROM conversations WHERE id = ANY (${ids}::uuid[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED`;
  return rows.map(({ id }) => id);
}

/** Locks the direct conversation of two users until the end of the transaction; undefined if it does not exist. */
export async function lockDirect(tx: Tx, oneId: string, otherId: string): Promise<Conversation | undefined> {
  const [row] = await tx.$queryRaw<Conversation[]>`
    SELECT ${conversationColumns} FROM conversations
    WHERE direct_key = ${directKeyOf(oneId, otherId)} FOR NO KEY UPDATE`;
  return row;
}

/**
 * Whether a member was added to a group by somebody else, in SQL about a membership and its conversation. For memberships
 * from before this was stored, it is inferred from the group.
 */
export const isAdded = Prisma.sql`
  CASE WHEN added_by_id IS NULL THEN visibility = 'PRIVATE' AND created_by_id <> user_id ELSE added_by_id <> user_id END`;

/** Whether a user is in the maximum number of groups that they created or joined themselves. */
export async function isAtGroupLimit(tx: Db | Tx, userId: string, groupsMax: number): Promise<boolean> {
  const [row] = await tx.$queryRaw<[{ count: number }]>`
    SELECT count(*)::int AS count FROM memberships JOIN conversations ON conversations.id = conversation_id
    WHERE user_id = ${userId}::uuid AND kind = 'GROUP' AND NOT ${isAdded}`;
  return row.count >= groupsMax;
}

/** The share of `groupsAddedMax` of a user that one other user can use. */
const SHARE_OF_ONE = 0.1;

/**
 * Returns which of these users the actor cannot add to another group. `isService`: the actor is the service key, which
 * may use all of `groupsAddedMax`.
 */
export async function findUsersAtGroupLimit(
  tx: Db | Tx,
  userIds: readonly string[],
  adder: { userId: string; isService?: true },
  groupsAddedMax: number,
): Promise<Set<string>> {
  const ofOneMax = adder.isService ? groupsAddedMax : Math.ceil(groupsAddedMax * SHARE_OF_ONE);
  const rows = await tx.$queryRaw<{ userId: string }[]>`
    SELECT user_id::text AS "userId"
    FROM memberships JOIN conversations ON conversations.id = conversation_id
    WHERE user_id = ANY (${userIds}::uuid[]) AND kind = 'GROUP' AND ${isAdded}
    GROUP BY user_id
    HAVING count(*) >= ${groupsAddedMax}::int
      OR count(*) FILTER (WHERE added_by_id = ${adder.userId}::uuid) >= ${ofOneMax}::int`;
  return new Set(rows.map(({ userId }) => userId));
}

/** Increments the change number of each of these locked conversations. */
export const numberAll = (tx: Tx, ids: readonly string[]): Promise<Conversation[]> =>
  tx.$queryRaw<Conversation[]>`
    UPDATE conversations SET change_seq = change_seq + 1 WHERE id = ANY (${ids}::uuid[]) RETURNING ${conversationColumns}`;

/** The maximum number of owners and admins whose ids are included in the events of a group's messages. */
const MODERATORS_MAX = 100;

/** The moderators of a conversation (`canModerate`). */
export interface Moderated {
  /** Their ids; null if there are too many. */
  moderatorIds: readonly string[] | null;
}

/**
 * Selects, from `conversations`, the column that `moderatorIdsOf` reads. A partial index contains exactly these
 * members.
 */
export const moderatorIds = Prisma.sql`
  CASE WHEN kind = 'GROUP' THEN ARRAY(
    SELECT user_id::text FROM memberships
    WHERE conversation_id = conversations.id AND role <> 'MEMBER' LIMIT ${MODERATORS_MAX + 1}::int
  ) ELSE '{}' END`;

export const moderatorIdsOf = (selected: readonly string[]): Moderated['moderatorIds'] =>
  selected.length > MODERATORS_MAX ? null : selected;

/** The moderators of conversations by their ids. */
export async function findModeratorIds(
  db: Db | Tx,
  ids: readonly string[],
): Promise<Map<string, Moderated['moderatorIds']>> {
  const rows = await db.$queryRaw<{ id: string; moderatorIds: string[] }[]>`
    SELECT id::text, ${moderatorIds} AS "moderatorIds" FROM conversations WHERE id = ANY (${[...new Set(ids)]}::uuid[])`;
  return new Map(rows.map((row) => [row.id, moderatorIdsOf(row.moderatorIds)]));
}

/** Whether the user moderates each of these groups, in the same order. */
export async function findModerating(db: Db, userId: string, ids: readonly string[]): Promise<boolean[]> {
  const rows = await db.membership.findMany({
    where: { userId, conversationId: { in: [...ids] }, role: { not: 'MEMBER' }, conversation: { kind: 'GROUP' } },
    select: { conversationId: true },
  });
  const moderated = new Set(rows.map(({ conversationId }) => conversationId));
  return ids.map((id) => moderated.has(id));
}

/**
 * Inserts memberships into a conversation, which must be locked or new. The read marks start at its newest message, so
 * that earlier messages are not unread. The rows of the users must be locked (`lockUsersForShare`). `byId` is the user who
 * adds them; a group counts as joined voluntarily for `byId` itself.
 */
export async function insertMembers(
  tx: Tx,
  { id: conversationId, latestSeq, historyVisibility }: Pick<Conversation, 'id' | 'latestSeq' | 'historyVisibility'>,
  members: readonly { userId: string; role?: Membership['role'] }[],
  byId: string,
): Promise<Membership[]> {
  const hiddenToSeq = historyVisibility === 'SINCE_JOINED' ? latestSeq : 0;
  const rows = await tx.$queryRaw<Record<string, unknown>[]>`
    WITH own AS (
      INSERT INTO memberships (id, conversation_id, user_id, role, hidden_to_seq, added_by_id)
      SELECT id, ${conversationId}::uuid, user_id, role::"MemberRole", ${hiddenToSeq}::int, ${byId}::uuid
      FROM unnest(${members.map(() => newId())}::uuid[], ${members.map(({ userId }) => userId)}::uuid[],
                  ${members.map(({ role }) => role ?? 'MEMBER')}::text[]) AS member (id, user_id, role)
      RETURNING *
    ),
    mark AS (
      INSERT INTO marks (conversation_id, user_id, start_seq, delivered_seq, read_seq)
      SELECT conversation_id, user_id, ${latestSeq}::int, ${latestSeq}::int, ${latestSeq}::int FROM own
    )
    SELECT ${membershipColumns.select} FROM own`;
  return rows.flatMap((row) => membershipColumns.of(row) ?? []);
}

/** Increments the counters of a locked conversation by these numbers of changes, messages and members. */
export async function countChanges(
  tx: Tx,
  id: string,
  { changes, members = 0, messages = 0 }: { changes: number; members?: number; messages?: number },
): Promise<Conversation> {
  const [row] = await tx.$queryRaw<[Conversation]>`
    UPDATE conversations
    SET change_seq = change_seq + ${changes}, member_count = member_count + ${members}, latest_seq = latest_seq + ${messages},
        last_activity_at = CASE
          WHEN ${messages} > 0 THEN greatest(last_activity_at, clock_timestamp())::timestamptz(3) ELSE last_activity_at
        END
    WHERE id = ${id}::uuid RETURNING ${conversationColumns}`;
  return row;
}

/** The conversations with these ids, in any order. */
export const findAll = (sql: Sql, ids: readonly string[]): Promise<Conversation[]> =>
  sql.query(Prisma.sql`SELECT ${conversationColumns} FROM conversations WHERE id = ANY (${ids}::uuid[])`);

/** The conversations with these ids, in the same order; null for those that do not exist. */
export async function findByIds(db: Db, ids: readonly string[]): Promise<(Conversation | null)[]> {
  const conversations = await db.conversation.findMany({ where: { id: { in: [...ids] } } });
  const byId = new Map(conversations.map((conversation) => [conversation.id, conversation]));
  return ids.map((id) => byId.get(id) ?? null);
}

export function findMembership(db: Db | Tx, conversationId: string, userId: string): Promise<Membership | null> {
  return db.membership.findUnique({ where: { conversationId_userId: { conversationId, userId } } });
}

/** Those of these users who are members of a conversation, in the order of `userIds`. */
export async function findMembersAmong(
  db: Db | Tx,
  conversationId: string,
  userIds: readonly string[],
): Promise<string[]> {
  if (userIds.length === 0) return [];
  const rows = await db.membership.findMany({
    where: { conversationId, userId: { in: [...userIds] } },
    select: { userId: true },
  });
  const members = new Set(rows.map(({ userId }) => userId));
  return userIds.filter((id) => members.has(id));
}

/**
 * The membership of a user, with a shared lock, so that it does not end before the transaction does; null if they are
 * not a member. It does not wait for the lock of the conversation, so that changing what belongs to a member alone does
 * not delay messages.
 */
export async function lockMembershipShared(tx: Tx, conversationId: string, userId: string): Promise<Membership | null> {
  const [row] = await tx.$queryRaw<Record<string, unknown>[]>`
    SELECT ${membershipColumns.select} FROM memberships own
    WHERE own.conversation_id = ${conversationId}::uuid AND own.user_id = ${userId}::uuid FOR KEY SHARE`;
  return (row && membershipColumns.of(row)) ?? null;
}

/** The other user of a direct conversation; undefined for a group. */
export async function findCounterpart(
  tx: Tx,
  { directKey }: Pick<Conversation, 'directKey'>,
  userId: string,
): Promise<Counterpart | undefined> {
  if (directKey === null) return undefined;
  const [isReachable] = await findReachable(tx, userId, [otherOf(directKey, userId)]);
  return { isReachable: isReachable === true };
}

/**
 * Chooses the next owner of a group without one: the longest-standing member, admins first. Bots are chosen only if
 * there are no persons, suspended users only if there is nobody else, deleted accounts never.
 */
export async function findNextOwner(
  tx: Tx,
  conversationId: string,
): Promise<(Membership & { user: User }) | undefined> {
  // Enums sort in the order of their declaration: PERSON, BOT; OWNER, ADMIN, MEMBER.
  const [row] = await tx.$queryRaw<Record<string, unknown>[]>`
    SELECT ${membershipColumns.select}, ${userColumns.select}
    FROM memberships own JOIN users person ON person.id = own.user_id
    WHERE own.conversation_id = ${conversationId}::uuid AND person.deleted_at IS NULL
    ORDER BY person.suspended_at IS NOT NULL, person.kind, own.role, own.joined_at, own.id LIMIT 1`;
  const membership = row && membershipColumns.of(row);
  const user = row && userColumns.of(row);
  return membership && user && { ...membership, user };
}

/** Conditions for the members to list; null for no condition. */
export interface MembersFilter {
  /** The beginnings of a username or of words of the display name. */
  search: string | null;
  role: Membership['role'] | null;
}

/** A page of members, in the order of joining. */
export interface MembersPage extends MembersFilter {
  /** The time in ISO 8601 and the id of the row after which the page starts; null for the first page. */
  after: readonly [joinedAt: string, id: string] | null;
  limit: number;
}

/** A condition by which the planner recognizes that a partial index contains all members with this role. */
const inModeratorIndex = (role: Membership['role']) =>
  role === 'MEMBER' ? Prisma.empty : Prisma.sql`AND role <> 'MEMBER'`;

/** If at least this many users match a search, the members are scanned; otherwise each of these users is looked up. */
const FEW_NAMED = 1_000;

/** The same page of members of each of these conversations, in the same order. */
export async function findMembers(
  sql: Sql,
  conversationIds: readonly string[],
  { after: from, limit, search, role }: MembersPage,
): Promise<Membership[][]> {
  const named = search === null ? undefined : nameSearchOf(search);
  if (search !== null && !named) return conversationIds.map(() => []);
  const beyond = from
    ? Prisma.sql`AND (joined_at, id) > (${from[0]}::text::timestamptz, ${from[1]}::uuid)`
    : Prisma.empty;
  const withRole =
    role === null ? Prisma.empty : Prisma.sql`AND role = ${role}::text::"MemberRole" ${inModeratorIndex(role)}`;
  const member = Prisma.sql`SELECT * FROM memberships WHERE conversation_id = wanted.id ${beyond} ${withRole}`;
  const inOrder = Prisma.sql`ORDER BY joined_at, id LIMIT ${limit}::int`;
  const candidates = named
    ? Prisma.sql`
      WITH candidates AS MATERIALIZED (${named.candidates(FEW_NAMED)}),
      size AS MATERIALIZED (SELECT count(*) < ${FEW_NAMED}::int AS is_few FROM candidates),
      people AS MATERIALIZED (
        SELECT person.id FROM candidates CROSS JOIN LATERAL (
          SELECT * FROM users WHERE users.username_key = candidates.username_key OFFSET 0
        ) AS person
        WHERE (SELECT is_few FROM size) AND ${named.matches}
      )`
    : Prisma.empty;
  const members = named
    ? Prisma.sql`
      (SELECT own.* FROM people CROSS JOIN LATERAL (${member} AND user_id = people.id OFFSET 0) AS own
       WHERE (SELECT is_few FROM size) ${inOrder})
      UNION ALL
      (${member} AND NOT (SELECT is_few FROM size)
         AND EXISTS (SELECT FROM users person WHERE person.id = user_id AND ${named.matches}) ${inOrder})`
    : Prisma.sql`${member} ${inOrder}`;
  const rows = await sql.query<Record<string, unknown>>(Prisma.sql`
    ${candidates}
    SELECT ${membershipColumns.select}
    FROM unnest(${conversationIds}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (${members}) own
    ORDER BY own.joined_at, own.id`);
  const byConversation = new Map<string, Membership[]>(conversationIds.map((id) => [id, []]));
  for (const row of rows) {
    const membership = membershipColumns.of(row);
    if (membership) byConversation.get(membership.conversationId)?.push(membership);
  }
  return conversationIds.map((id) => byConversation.get(id) ?? []);
}

/**
 * The membership of a user in each of these conversations, in the same order; null if the user is not a member, or if
 * the viewer can see neither the conversation nor its members.
 */
export async function findMembershipsOf(
  sql: Sql,
  viewerId: string,
  userId: string,
  conversationIds: readonly string[],
): Promise<(Membership | null)[]> {
  const rows = await sql.query<Record<string, unknown>>(Prisma.sql`
    SELECT ${membershipColumns.select}
    FROM memberships own JOIN conversations ON conversations.id = own.conversation_id
    WHERE own.conversation_id = ANY (${conversationIds}::uuid[]) AND own.user_id = ${userId}::uuid
      AND (visibility = 'PUBLIC' OR EXISTS (
        SELECT FROM memberships viewer WHERE viewer.conversation_id = conversations.id AND viewer.user_id = ${viewerId}::uuid))`);
  const byConversation = new Map<string, Membership>();
  for (const row of rows) {
    const membership = membershipColumns.of(row);
    if (membership) byConversation.set(membership.conversationId, membership);
  }
  return conversationIds.map((id) => byConversation.get(id) ?? null);
}

/** Whether a user can see each of these conversations, in the same order: `visibleTo` for many. */
export async function findVisible(sql: Sql, userId: string, ids: readonly string[]): Promise<boolean[]> {
  const rows = await sql.query<{ id: string }>(Prisma.sql`
    SELECT id::text FROM conversations
    WHERE id = ANY (${ids}::uuid[]) AND (visibility = 'PUBLIC' OR EXISTS (
      SELECT FROM memberships WHERE conversation_id = conversations.id AND user_id = ${userId}::uuid))`);
  const visible = new Set(rows.map(({ id }) => id));
  return ids.map((id) => visible.has(id));
}

/** Whether a user can see each of these memberships, because the conversation is visible to them. */
export async function findVisibleMemberships(sql: Sql, userId: string, ids: readonly string[]): Promise<boolean[]> {
  const rows = await sql.query<{ id: string }>(Prisma.sql`
    SELECT memberships.id::text FROM memberships JOIN conversations ON conversations.id = conversation_id
    WHERE memberships.id = ANY (${ids}::uuid[]) AND (visibility = 'PUBLIC' OR EXISTS (
      SELECT FROM memberships own WHERE own.conversation_id = conversations.id AND own.user_id = ${userId}::uuid))`);
  const visible = new Set(rows.map(({ id }) => id));
  return ids.map((id) => visible.has(id));
}

/** The properties that determine whether a user can read a conversation. */
export interface Readability {
  conversation: Pick<Conversation, 'visibility'>;
  membership: Membership | null;
}

/**
 * Lists public groups, latest activity first. With `search`, only those with a title in which words begin with the
 * words of `search`.
 */
export async function listPublic(
  db: Db,
  search: string | null,
  page: PageRequest<readonly ['date', 'uuid']>,
  query: object,
): Promise<Conversation[]> {
  const words = search === null ? undefined : prefixQuery(foldWords(search));
  if (search !== null && words === undefined) return [];
  const [at, id] = page.from ?? [];
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT id::text FROM conversations
    WHERE visibility = 'PUBLIC' AND kind = 'GROUP'
      AND (${words ?? null}::text IS NULL OR array_to_tsvector(search_words) @@ ${words ?? null}::text::tsquery)
      AND (${id ?? null}::text IS NULL
           OR (last_activity_at, id) < (${at?.toISOString() ?? null}::text::timestamptz, ${id ?? null}::text::uuid))
    ORDER BY last_activity_at DESC, id DESC LIMIT ${page.size + 1}`;
  return db.conversation.findMany({
    ...query,
    where: { id: { in: rows.map((row) => row.id) } },
    orderBy: [{ lastActivityAt: 'desc' }, { id: 'desc' }],
  });
}

/** The readability of each pair of user and conversation; null if the conversation does not exist. */
async function findReadabilities(
  sql: Sql,
  keys: readonly { conversationId: string; userId: string }[],
): Promise<(Readability | null)[]> {
  type Row = Membership & Pick<Conversation, 'visibility'> & { index: number; id: string | null };
  const rows = await sql.query<Row>(Prisma.sql`
    SELECT key.index::int AS index, visibility::text AS visibility, memberships.id::text AS id, role::text AS role,
           joined_at AS "joinedAt", hidden_to_seq AS "hiddenToSeq"
    FROM unnest(${keys.map((key) => key.conversationId)}::uuid[], ${keys.map((key) => key.userId)}::uuid[])
           WITH ORDINALITY AS key (conversation_id, user_id, index)
    JOIN conversations ON conversations.id = key.conversation_id
    LEFT JOIN memberships
           ON memberships.conversation_id = key.conversation_id AND memberships.user_id = key.user_id`);
  const found = new Array<Readability | null>(keys.length).fill(null);
  for (const { index, visibility, ...membership } of rows) {
    const key = keys[index - 1];
    if (!key) continue;
    found[index - 1] = {
      conversation: { visibility },
      membership: membership.id === null ? null : { ...membership, ...key },
    };
  }
  return found;
}

/** Reads whether a user can read a conversation, in batches. */
export const readabilityLookup = defineLookup(
  'readability',
  ({ database }, keys: readonly { conversationId: string; userId: string }[]) => findReadabilities(database.sql, keys),
);

/**
 * The number of unread messages of a member, from `conversations` and the member's row of `marks`: messages of others
 * after the read mark, without deleted and system messages. The messages that do not count are subtracted: they are few
 * and indexed, so the cost does not depend on the distance between the mark and the newest message.
 */
export const unreadMessages = Prisma.sql`
  greatest(0, conversations.latest_seq - marks.read_seq
    - (SELECT count(*) FROM messages
       WHERE conversation_id = conversations.id AND sender_id = marks.user_id AND seq > marks.read_seq
         AND deleted_at IS NULL AND kind = 'USER')
    - (SELECT count(*) FROM messages
       WHERE conversation_id = conversations.id AND seq > marks.read_seq AND (deleted_at IS NOT NULL OR kind <> 'USER'))
  )::int`;

/** Conditions for the conversations of a member to list. */
export interface ConversationsFilter {
  /** Null for both kinds. */
  kind: Conversation['kind'] | null;
  unreadOnly: boolean;
}

/** Lists a member's conversations, latest activity first. `query` selects their fields. */
export async function listOfMember(
  db: Db,
  userId: string,
  { kind, unreadOnly }: ConversationsFilter,
  page: PageRequest<readonly ['date', 'uuid']>,
  query: object,
): Promise<Conversation[]> {
  const where = unreadOnly
    ? { id: { in: await findUnreadOfMember(db, userId, kind, page) } }
    : { ...(kind && { kind }), ...afterKeyset(page.from, 'lastActivityAt', 'id', 'latest first') };
  return db.conversation.findMany({
    ...query,
    where: { memberships: { some: { userId } }, ...where },
    orderBy: [{ lastActivityAt: 'desc' }, { id: 'desc' }],
    take: page.size + 1,
  });
}

/** The ids of a page of the conversations in which a member has unread messages. */
async function findUnreadOfMember(
  db: Db,
  userId: string,
  kind: Conversation['kind'] | null,
  { from, size }: PageRequest<readonly ['date', 'uuid']>,
): Promise<string[]> {
  const [at, id] = from ?? [];
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT conversations.id::text
    FROM memberships JOIN marks USING (conversation_id, user_id)
    JOIN conversations ON conversations.id = memberships.conversation_id
    WHERE memberships.user_id = ${userId}::uuid AND conversations.latest_seq > marks.read_seq
      AND (${kind}::text IS NULL OR conversations.kind::text = ${kind}::text)
      AND (${id ?? null}::text IS NULL OR (conversations.last_activity_at, conversations.id)
           < (${at?.toISOString() ?? null}::text::timestamptz, ${id ?? null}::text::uuid))
      AND ${unreadMessages} > 0
    ORDER BY conversations.last_activity_at DESC, conversations.id DESC LIMIT ${size + 1}`;
  return rows.map((row) => row.id);
}

/** The direct conversations with these keys, in the same order; null for those that do not exist. */
export async function findByDirectKeys(db: Db, directKeys: readonly string[]): Promise<(Conversation | null)[]> {
  const conversations = await db.conversation.findMany({ where: { directKey: { in: [...directKeys] } } });
  const byKey = new Map(conversations.map((conversation) => [conversation.directKey, conversation]));
  return directKeys.map((directKey) => byKey.get(directKey) ?? null);
}
