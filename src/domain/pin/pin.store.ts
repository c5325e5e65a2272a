import type { Message } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';

/**
 * Pins a message of a locked conversation, with a time later than that of all other pins of the conversation.
 * @returns the time.
 */
export async function storePin(tx: Tx, { id, conversationId }: Pick<Message, 'id' | 'conversationId'>): Promise<Date> {
  const [row] = await tx.$queryRaw<[{ pinnedAt: Date }]>`
    UPDATE messages SET pinned_at = greatest(
      clock_timestamp()::timestamptz(3),
      (SELECT max(pinned_at) FROM messages WHERE conversation_id = ${conversationId}::uuid AND pinned_at IS NOT NULL)
        + interval '1 millisecond'
    )
    WHERE id = ${id}::uuid RETURNING pinned_at AS "pinnedAt"`;
  return row.pinnedAt;
}

/**
 * The pinned messages of each of these conversations that the user can see, most recently pinned first. The lists are
 * in the order of `conversationIds`, and each has at most `limit` messages.
 */
export async function findPinned(
  db: Db,
  userId: string,
  conversationIds: readonly string[],
  limit: number,
): Promise<Message[][]> {
  const ids = await db.$queryRaw<{ id: string }[]>`
    SELECT message.id::text
    FROM memberships own
    CROSS JOIN LATERAL (
      SELECT id FROM messages
      WHERE conversation_id = own.conversation_id AND pinned_at IS NOT NULL AND seq > own.hidden_to_seq
      ORDER BY pinned_at DESC LIMIT ${limit}::int
    ) message
    WHERE own.user_id = ${userId}::uuid AND own.conversation_id = ANY (${conversationIds}::uuid[])`;
  const messages =
    ids.length === 0
      ? []
      : await db.message.findMany({
          where: { id: { in: ids.map(({ id }) => id) }, pinnedAt: { not: null } },
          orderBy: { pinnedAt: 'desc' },
        });
  const byConversation = new Map<string, Message[]>(conversationIds.map((id) => [id, []]));
  for (const message of messages) byConversation.get(message.conversationId)?.push(message);
  return conversationIds.map((id) => byConversation.get(id) ?? []);
}
