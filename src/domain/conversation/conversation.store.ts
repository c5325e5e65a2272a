import type { PageRequest } from '../../core/page.js';
import { type Conversation, type Membership, Prisma } from '../../generated/prisma/client.js';
import type { Db, Sql, Tx } from '../../infra/database.js';
import type { Deps } from '../deps.js';

export type { Conversation, Membership };

/** What makes the direct conversation of two people unique, whoever of them opens it. */
export const directKeyOf = (oneId: string, otherId: string) => [oneId, otherId].sort().join(':');

const columns = Prisma.raw(
  Object.entries({
    id: 'id::text',
    kind: 'kind::text',
    visibility: 'visibility::text',
    title: 'title',
    description: 'description',
    imageUrl: 'image_url',
    directKey: 'direct_key',
    createdById: 'created_by_id::text',
    clientGroupId: 'client_group_id',
    inputHash: 'NULL::bytea',
    createdAt: 'created_at',
    lastActivityAt: 'last_activity_at',
    latestSeq: 'latest_seq',
    changeSeq: 'change_seq',
    memberCount: 'member_count',
  } satisfies Record<keyof Conversation, string>)
    .map(([field, column]) => `${column} AS "${field}"`)
    .join(', '),
);

/** Runs a change of a conversation in a transaction, when the ones before it in this process are done. */
export function changeConversation<T>({ database, turns }: Deps, id: string, work: (tx: Tx) => Promise<T>): Promise<T> {
  return turns(id, () => database.transaction(work));
}

/**
 * Locks the conversation until the transaction ends and gives it its next change number. Whatever is authorized must be
 * read after this, in a statement of its own: only then is it true while the lock is held.
 * @returns the conversation with the new number; undefined when there is none.
 */
export async function lockAndNumber(tx: Tx, id: string): Promise<Conversation | undefined> {
  const [row] = await tx.$queryRaw<Conversation[]>`
    UPDATE conversations SET change_seq = change_seq + 1 WHERE id = ${id}::uuid RETURNING ${columns}`;
  return row;
}

/** Locks the conversation until the transaction ends; undefined when there is none. See `lockAndNumber`. */
export async function lock(tx: Tx, id: string): Promise<Conversation | undefined> {
  const [row] = await tx.$queryRaw<Conversation[]>`
    SELECT ${columns} FROM conversations WHERE id = ${id}::uuid FOR NO KEY UPDATE`;
  return row;
}

/** A conversation under its lock. */
export interface Locked {
  conversation: Conversation;
  /** The database's clock under the lock, but never before the latest activity. */
  now: Date;
}

const lockAll = Prisma.sql`
  SELECT ${columns}, greatest(last_activity_at, clock_timestamp())::timestamptz(3) AS "now"
  FROM conversations WHERE id = ANY (`;

/**
 * Locks, until the transaction ends, those of the conversations that nobody else has locked, and waits for none. As
 * with `lockAndNumber`, whatever is authorized must be read after it.
 * @returns those that it locked, by id: the others are somebody else's at the moment, or are not there.
 */
export async function lockFree(sql: Sql, ids: readonly string[]): Promise<Map<string, Locked>> {
  return byId(await sql.query(Prisma.sql`${lockAll}${ids}::uuid[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED`));
}

/**
 * The same, but waits for who has one of them locked.
 * @throws an error of which `isLockTimeout` says so, when that takes longer than `patienceMs`.
 */
export async function lockPatiently(
  sql: Sql,
  ids: readonly string[],
  patienceMs: number,
): Promise<Map<string, Locked>> {
  await sql.query(Prisma.sql`SELECT set_config('lock_timeout', ${`${patienceMs}`}, true)`);
  return byId(await sql.query(Prisma.sql`${lockAll}${ids}::uuid[]) ORDER BY id FOR NO KEY UPDATE`));
}

const byId = (rows: readonly (Conversation & { now: Date })[]) =>
  new Map(rows.map(({ now, ...conversation }) => [conversation.id, { conversation, now }]));

/** Gives a locked conversation numbers for so many more changes, and so many more members. */
export async function countChanges(
  tx: Tx,
  id: string,
  { changes, members }: { changes: number; members: number },
): Promise<Conversation> {
  const [row] = await tx.$queryRaw<[Conversation]>`
    UPDATE conversations SET change_seq = change_seq + ${changes}, member_count = member_count + ${members}
    WHERE id = ${id}::uuid RETURNING ${columns}`;
  return row;
}

/** The conversations with these ids, in no order. */
export const findAll = (sql: Sql, ids: readonly string[]): Promise<Conversation[]> =>
  sql.query(Prisma.sql`SELECT ${columns} FROM conversations WHERE id = ANY (${ids}::uuid[])`);

/** The conversations with these ids, in their order; null for what is not there. */
export async function findByIds(db: Db, ids: readonly string[]): Promise<(Conversation | null)[]> {
  const conversations = await db.conversation.findMany({ where: { id: { in: [...ids] } } });
  const byId = new Map(conversations.map((conversation) => [conversation.id, conversation]));
  return ids.map((id) => byId.get(id) ?? null);
}

export function findMembership(db: Db | Tx, conversationId: string, userId: string): Promise<Membership | null> {
  return db.membership.findUnique({ where: { conversationId_userId: { conversationId, userId } } });
}

/** What of a conversation decides whether a person may read it. */
export interface Readability {
  conversation: Pick<Conversation, 'visibility'>;
  membership: Membership | null;
}

/** For each person and conversation what decides whether they may read it; null where there is no such conversation. */
export async function findReadabilities(
  sql: Sql,
  keys: readonly { conversationId: string; userId: string }[],
): Promise<(Readability | null)[]> {
  type Row = Membership & Pick<Conversation, 'visibility'> & { index: number; id: string | null };
  const rows = await sql.query<Row>(Prisma.sql`
    SELECT key.index::int AS index, visibility::text AS visibility, memberships.id::text AS id, role::text AS role,
           joined_at AS "joinedAt"
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

/** A person's conversations, latest activity first. `query` is what of them is to be read. */
export function listOfMember(
  db: Db,
  userId: string,
  page: PageRequest<readonly ['date', 'uuid']>,
  query: object,
): Promise<Conversation[]> {
  const [at, id] = page.from ?? [];
  return db.conversation.findMany({
    ...query,
    where: {
      memberships: { some: { userId } },
      ...(at === undefined || id === undefined
        ? {}
        : { OR: [{ lastActivityAt: { lt: at } }, { lastActivityAt: at, id: { lt: id } }] }),
    },
    orderBy: [{ lastActivityAt: 'desc' }, { id: 'desc' }],
    take: page.size + 1,
  });
}
