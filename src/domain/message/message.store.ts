import type { Message } from '../../generated/prisma/client.js';
import type { Db } from '../../infra/database.js';

/** The newest message of each conversation that the person is in; null for the others and the empty ones. */
export async function findNewest(
  db: Db,
  userId: string,
  conversationIds: readonly string[],
): Promise<(Message | null)[]> {
  const ids = await db.$queryRaw<{ id: string }[]>`
    SELECT m.id::text
    FROM conversations c
    JOIN memberships p ON p.conversation_id = c.id AND p.user_id = ${userId}::uuid
    JOIN messages m ON m.conversation_id = c.id AND m.seq = c.latest_seq
    WHERE c.id = ANY (${conversationIds}::uuid[])`;
  const messages = await db.message.findMany({ where: { id: { in: ids.map((row) => row.id) } } });
  const byConversation = new Map(messages.map((message) => [message.conversationId, message]));
  return conversationIds.map((id) => byConversation.get(id) ?? null);
}
