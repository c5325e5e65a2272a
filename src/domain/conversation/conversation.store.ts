import { newId } from '../../core/ids.js';
import { behind, type PageRequest } from '../../core/page.js';
import { foldWords, prefixQuery } from '../../core/text/fold.js';
import { type Conversation, type Membership, Prisma, type User } from '../../generated/prisma/client.js';
import { columnsOf } from '../../infra/database/columns.js';
import type { Db, Sql, Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineLookup } from '../../platform/service.js';
import { findReachable } from '../user/reach.store.js';
import { nameSearchOf, userColumns } from '../user/user.store.js';
import type { Counterpart } from './conversation.policy.js';

export type { Conversation, Membership };

/** What makes the direct conversation of two people unique, whoever of them opens it. */
export const directKeyOf = (oneId: string, otherId: string) => [oneId, otherId].sort().join(':');

/** Of such a key the other one. */
export const otherOf = (directKey: string, userId: string): string =>
  directKey.split(':').find((id) => id !== userId) ?? userId;

/** The fields of a conversation, and what of its table they are, for statements of plain SQL. */
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
  // They serve only the search.
  searchWords: 'ARRAY[]::text[]',
} satisfies Record<keyof Conversation, string>;

export const conversationColumns = Prisma.raw(
  Object.entries(conversationFields)
    .map(([field, column]) => `${column} AS "${field}"`)
    .join(', '),
);

/** Of an expression that selects `conversationColumns`, in statements that join. */
export const conversationColumnsOf = (name: string) =>
  columnsOf<Conversation>(
    name,
    Object.fromEntries(Object.keys(conversationFields).map((field) => [field, `${name}."${field}"`])) as Record<
      keyof Conversation,
      string
    >,
  );

/** Of `memberships` as `own`, in statements that join. */
export const membershipColumns = columnsOf<Membership>('own', {
  id: 'own.id::text',
  conversationId: 'own.conversation_id::text',
  userId: 'own.user_id::text',
  role: 'own.role::text',
  joinedAt: 'own.joined_at',
  hiddenToSeq: 'own.hidden_to_seq',
});

/** Runs a change of a conversation in a transaction, when the ones before it in this process are done. */
export function changeConversation<T>(
  { database, turns }: Pick<Deps, 'database' | 'turns'>,
  id: string,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  return turns(id, () => database.transaction(work));
}

/**
 * Locks the conversation until the transaction ends and gives it its next change number. Whatever is authorized must be
 * read after this, in a statement of its own: only then is it true while the lock is held.
 * @returns the conversation with the new number; undefined when there is none.
 */
export async function lockAndNumber(tx: Tx, id: string): Promise<Conversation | undefined> {
  const [row] = await tx.$queryRaw<Conversation[]>`
    UPDATE conversations SET change_seq = change_seq + 1 WHERE id = ${id}::uuid RETURNING ${conversationColumns}`;
  return row;
}

/** Locks the conversation until the transaction ends; undefined when there is none. See `lockAndNumber`. */
export async function lock(tx: Tx, id: string): Promise<Conversation | undefined> {
  const [row] = await tx.$queryRaw<Conversation[]>`
    SELECT ${conversationColumns} FROM conversations WHERE id = ${id}::uuid FOR NO KEY UPDATE`;
  return row;
}

/** Locks those of these conversations that nobody else has locked, until the transaction ends. @returns their ids. */
export async function lockFree(tx: Tx, ids: readonly string[]): Promise<string[]> {
  const rows = await tx.$queryRaw<{ id: string }[]>`
    SELECT id::text FROM conversations WHERE id = ANY (${ids}::uuid[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED`;
  return rows.map(({ id }) => id);
}

/** Locks the direct conversation of two people until the transaction ends; undefined when there is none. */
export async function lockDirect(tx: Tx, oneId: string, otherId: string): Promise<Conversation | undefined> {
  const [row] = await tx.$queryRaw<Conversation[]>`
    SELECT ${conversationColumns} FROM conversations
    WHERE direct_key = ${directKeyOf(oneId, otherId)} FOR NO KEY UPDATE`;
  return row;
}

/** Whether others brought a member of a group in. Of who came before that was stored, the group says what is likely. */
const isAdded = Prisma.sql`
  CASE WHEN added_by_id IS NULL THEN visibility = 'PRIVATE' AND created_by_id <> user_id ELSE added_by_id <> user_id END`;

/** Whether somebody is in as many groups that they made or joined themselves as anyone may be in. */
export async function isFull(tx: Db | Tx, userId: string, groupsMax: number): Promise<boolean> {
  const [row] = await tx.$queryRaw<[{ count: number }]>`
    SELECT count(*)::int AS count FROM memberships JOIN conversations ON conversations.id = conversation_id
    WHERE user_id = ${userId}::uuid AND kind = 'GROUP' AND NOT ${isAdded}`;
  return row.count >= groupsMax;
}

/** The share of `groupsAddedMax` that one person may use up of another's. */
const SHARE_OF_ONE = 0.1;

/**
 * Which of these people cannot be brought into one more group by this one. `isService`: by the backend beside us, which
 * may use up all of `groupsAddedMax`.
 */
export async function findFull(
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

/** Gives each of these locked conversations its next change number. */
export const numberAll = (tx: Tx, ids: readonly string[]): Promise<Conversation[]> =>
  tx.$queryRaw<Conversation[]>`
    UPDATE conversations SET change_seq = change_seq + 1 WHERE id = ANY (${ids}::uuid[]) RETURNING ${conversationColumns}`;

/** Most owners and admins of a group that are known by id wherever a message of it goes. */
const MODERATORS_MAX = 100;

/** Who of a conversation's members moderates it (`canModerate`). */
export interface Moderated {
  /** Their ids; null when they are more than a hundred. */
  moderatorIds: readonly string[] | null;
}

/** Selects, from `conversations`, what `moderatorIdsOf` takes. A partial index holds just these members. */
export const moderatorIds = Prisma.sql`
  CASE WHEN kind = 'GROUP' THEN ARRAY(
    SELECT user_id::text FROM memberships
    WHERE conversation_id = conversations.id AND role <> 'MEMBER' LIMIT ${MODERATORS_MAX + 1}::int
  ) ELSE '{}' END`;

export const moderatorIdsOf = (selected: readonly string[]): Moderated['moderatorIds'] =>
  selected.length > MODERATORS_MAX ? null : selected;

/** The same of conversations by their ids. */
export async function findModeratorIds(
  db: Db | Tx,
  ids: readonly string[],
): Promise<Map<string, Moderated['moderatorIds']>> {
  const rows = await db.$queryRaw<{ id: string; moderatorIds: string[] }[]>`
    SELECT id::text, ${moderatorIds} AS "moderatorIds" FROM conversations WHERE id = ANY (${[...new Set(ids)]}::uuid[])`;
  return new Map(rows.map((row) => [row.id, moderatorIdsOf(row.moderatorIds)]));
}

/** Which of these groups the person moderates, in their order. */
export async function findModerating(db: Db, userId: string, ids: readonly string[]): Promise<boolean[]> {
  const rows = await db.membership.findMany({
    where: { userId, conversationId: { in: [...ids] }, role: { not: 'MEMBER' }, conversation: { kind: 'GROUP' } },
    select: { conversationId: true },
  });
  const moderated = new Set(rows.map(({ conversationId }) => conversationId));
  return ids.map((id) => moderated.has(id));
}

/**
 * Brings people into a conversation, which must be locked or new. Their marks begin at its newest message, so that
 * nothing that was said before is unread to them; whether they may see it, the conversation says. Their rows must be
 * held (`holdPeople`). `byId`: who brings them in, of whose groups it counts as one if it is themselves.
 */
export async function bringIn(
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

/** Gives a locked conversation numbers for so many more changes and messages, and so many more members. */
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

/** The conversations with these ids, in no order. */
export const findAll = (sql: Sql, ids: readonly string[]): Promise<Conversation[]> =>
  sql.query(Prisma.sql`SELECT ${conversationColumns} FROM conversations WHERE id = ANY (${ids}::uuid[])`);

/** The conversations with these ids, in their order; null for what is not there. */
export async function findByIds(db: Db, ids: readonly string[]): Promise<(Conversation | null)[]> {
  const conversations = await db.conversation.findMany({ where: { id: { in: [...ids] } } });
  const byId = new Map(conversations.map((conversation) => [conversation.id, conversation]));
  return ids.map((id) => byId.get(id) ?? null);
}

export function findMembership(db: Db | Tx, conversationId: string, userId: string): Promise<Membership | null> {
  return db.membership.findUnique({ where: { conversationId_userId: { conversationId, userId } } });
}

/** Of a direct conversation the person on the other side; undefined in a group. */
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
 * Who of a group's members is to be its owner when there is none: who has been there longest, admins first. A bot only
 * where there is no person, who is suspended only where there is nobody else, who has deleted their account never.
 */
export async function findNextOwner(
  tx: Tx,
  conversationId: string,
): Promise<(Membership & { user: User }) | undefined> {
  // Enums sort as they were made: PERSON, BOT; OWNER, ADMIN, MEMBER.
  const [row] = await tx.$queryRaw<Record<string, unknown>[]>`
    SELECT ${membershipColumns.select}, ${userColumns.select}
    FROM memberships own JOIN users person ON person.id = own.user_id
    WHERE own.conversation_id = ${conversationId}::uuid AND person.deleted_at IS NULL
    ORDER BY person.suspended_at IS NOT NULL, person.kind, own.role, own.joined_at, own.id LIMIT 1`;
  const membership = row && membershipColumns.of(row);
  const user = row && userColumns.of(row);
  return membership && user && { ...membership, user };
}

/** Which members of a conversation to list; null: whoever they are. */
export interface MembersFilter {
  /** The beginnings of a username or of words of a display name. */
  search: string | null;
  role: Membership['role'] | null;
}

/** So many members behind a place in the order of joining. */
export interface MembersPage extends MembersFilter {
  /** As ISO 8601 and the row's id; null: from the beginning. */
  behind: readonly [joinedAt: string, id: string] | null;
  limit: number;
}

/** Says to the planner that a partial index has all members with this role. */
const inModeratorIndex = (role: Membership['role']) =>
  role === 'MEMBER' ? Prisma.empty : Prisma.sql`AND role <> 'MEMBER'`;

/** A search that so many users match looks through the members; of fewer users, each is looked up among the members. */
const FEW_NAMED = 1_000;

/** The same page of members of each of these conversations, in their order. */
export async function findMembers(
  sql: Sql,
  conversationIds: readonly string[],
  { behind: from, limit, search, role }: MembersPage,
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
 * The membership of a user in each of these conversations, in their order; null where the user is not a member, and
 * where the viewer can see neither the conversation nor its members.
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

/** Which of these conversations a person may see, in their order: `visibleTo` for many. */
export async function findVisible(sql: Sql, userId: string, ids: readonly string[]): Promise<boolean[]> {
  const rows = await sql.query<{ id: string }>(Prisma.sql`
    SELECT id::text FROM conversations
    WHERE id = ANY (${ids}::uuid[]) AND (visibility = 'PUBLIC' OR EXISTS (
      SELECT FROM memberships WHERE conversation_id = conversations.id AND user_id = ${userId}::uuid))`);
  const visible = new Set(rows.map(({ id }) => id));
  return ids.map((id) => visible.has(id));
}

/** The same of memberships: of conversations that the person may see. */
export async function findVisibleMemberships(sql: Sql, userId: string, ids: readonly string[]): Promise<boolean[]> {
  const rows = await sql.query<{ id: string }>(Prisma.sql`
    SELECT memberships.id::text FROM memberships JOIN conversations ON conversations.id = conversation_id
    WHERE memberships.id = ANY (${ids}::uuid[]) AND (visibility = 'PUBLIC' OR EXISTS (
      SELECT FROM memberships own WHERE own.conversation_id = conversations.id AND own.user_id = ${userId}::uuid))`);
  const visible = new Set(rows.map(({ id }) => id));
  return ids.map((id) => visible.has(id));
}

/** What of a conversation decides whether a person may read it. */
export interface Readability {
  conversation: Pick<Conversation, 'visibility'>;
  membership: Membership | null;
}

/**
 * Public groups of whose title every word of `search` begins a word, or all of them; latest activity first.
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

/** For each person and conversation what decides whether they may read it; null where there is no such conversation. */
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

/** What decides whether a person may read a conversation. */
export const readabilityLookup = defineLookup(
  'readability',
  ({ database }, keys: readonly { conversationId: string; userId: string }[]) => findReadabilities(database.sql, keys),
);

/**
 * The number of messages that a member has not read, from `conversations` and the member's row of `marks`: messages of
 * others after the read mark, without deleted and system messages. It counts the messages that do not count, which are few
 * and have indexes, so that the distance between the mark and the newest message makes no difference.
 */
export const unreadMessages = Prisma.sql`
  greatest(0, conversations.latest_seq - marks.read_seq
    - (SELECT count(*) FROM messages
       WHERE conversation_id = conversations.id AND sender_id = marks.user_id AND seq > marks.read_seq
         AND deleted_at IS NULL AND kind = 'USER')
    - (SELECT count(*) FROM messages
       WHERE conversation_id = conversations.id AND seq > marks.read_seq AND (deleted_at IS NOT NULL OR kind <> 'USER'))
  )::int`;

/** Which conversations of a member to list. */
export interface ConversationsFilter {
  /** Null: of either kind. */
  kind: Conversation['kind'] | null;
  unreadOnly: boolean;
}

/** A member's conversations, latest activity first. `query` selects which of their fields are read. */
export async function listOfMember(
  db: Db,
  userId: string,
  { kind, unreadOnly }: ConversationsFilter,
  page: PageRequest<readonly ['date', 'uuid']>,
  query: object,
): Promise<Conversation[]> {
  const where = unreadOnly
    ? { id: { in: await findUnreadOfMember(db, userId, kind, page) } }
    : { ...(kind && { kind }), ...behind(page.from, 'lastActivityAt', 'id', 'latest first') };
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

/** The direct conversations with these direct keys, in their order; null where there is none. */
export async function findByDirectKeys(db: Db, directKeys: readonly string[]): Promise<(Conversation | null)[]> {
  const conversations = await db.conversation.findMany({ where: { directKey: { in: [...directKeys] } } });
  const byKey = new Map(conversations.map((conversation) => [conversation.directKey, conversation]));
  return directKeys.map((directKey) => byKey.get(directKey) ?? null);
}
