import type { PageRequest } from '../../core/page.js';
import { type Conversation, type Membership, Prisma, type User } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database.js';
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
 * Locks the conversation until the transaction ends and gives it its next change number, and with `message` its next
 * seq. Whatever is authorized must be read after this, in a statement of its own: only then is it true while the lock
 * is held.
 * @returns the conversation with the new numbers; undefined when there is none.
 */
export async function lockAndNumber(
  tx: Tx,
  id: string,
  { message }: { message: boolean },
): Promise<Conversation | undefined> {
  const news = message
    ? Prisma.sql`, latest_seq = latest_seq + 1, last_activity_at = greatest(last_activity_at, clock_timestamp())`
    : Prisma.empty;
  const [row] = await tx.$queryRaw<Conversation[]>`
    UPDATE conversations SET change_seq = change_seq + 1 ${news} WHERE id = ${id}::uuid RETURNING ${columns}`;
  return row;
}

/** Locks the conversation until the transaction ends; undefined when there is none. See `lockAndNumber`. */
export async function lock(tx: Tx, id: string): Promise<Conversation | undefined> {
  const [row] = await tx.$queryRaw<Conversation[]>`
    SELECT ${columns} FROM conversations WHERE id = ${id}::uuid FOR NO KEY UPDATE`;
  return row;
}

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
  db: Db,
  keys: readonly { conversationId: string; userId: string }[],
): Promise<(Readability | null)[]> {
  type Row = Membership & Pick<Conversation, 'visibility'> & { index: number; id: string | null };
  const rows = await db.$queryRaw<Row[]>`/* prepare: readabilities */
    SELECT key.index::int AS index, visibility::text AS visibility, memberships.id::text AS id, role::text AS role,
           joined_at AS "joinedAt"
    FROM unnest(${keys.map((key) => key.conversationId)}::uuid[], ${keys.map((key) => key.userId)}::uuid[])
           WITH ORDINALITY AS key (conversation_id, user_id, index)
    JOIN conversations ON conversations.id = key.conversation_id
    LEFT JOIN memberships
           ON memberships.conversation_id = key.conversation_id AND memberships.user_id = key.user_id`;
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

/** A person's membership, if they have one, and of a direct conversation the person on the other side. */
export async function findSides(
  tx: Tx,
  conversation: Conversation,
  userId: string,
): Promise<{ own: (Membership & { user: User }) | undefined; counterpart: User | undefined }> {
  const sides = await tx.membership.findMany({
    where: { conversationId: conversation.id, ...(conversation.kind === 'DIRECT' ? {} : { userId }) },
    include: { user: true },
  });
  return {
    own: sides.find((side) => side.userId === userId),
    counterpart: sides.find((side) => side.userId !== userId)?.user,
  };
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
