import type { PageRequest } from '../../core/page.js';
import { type Conversation, type Membership, Prisma } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database.js';

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

/**
 * Locks the conversation until the transaction ends and gives it its next change number, and with `message` its next
 * seq. Whatever is authorized must be read after this, in a statement of its own: only then is it true while the lock
 * is held.
 * @returns the conversation with the new numbers; undefined when there is none.
 */
export async function advance(
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

export function findMembership(db: Db | Tx, conversationId: string, userId: string): Promise<Membership | null> {
  return db.membership.findUnique({ where: { conversationId_userId: { conversationId, userId } } });
}

/** The person on the other side of a direct conversation; null in a group. */
export async function findCounterpart(db: Db | Tx, conversation: Conversation, userId: string) {
  if (conversation.kind !== 'DIRECT') return null;
  const other = await db.membership.findFirst({
    where: { conversationId: conversation.id, userId: { not: userId } },
    include: { user: true },
  });
  return other?.user ?? null;
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
