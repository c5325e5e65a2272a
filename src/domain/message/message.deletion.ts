import type { Message } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { messageParts, type PartColumns } from './message.part.js';
import { clearExtraColumns } from './message.store.js';

/**
 * The columns of a deleted message. The idempotency key remains, so that a retry returns the message, whatever its
 * input is: the hash is removed because it depends on the text.
 */
const tombstone = (deletedAt: Date) =>
  ({
    text: null,
    deletedAt,
    inputHash: null,
    mentionedIds: [],
    mentionsEveryone: false,
  }) satisfies Partial<Message>;

/**
 * Deletes the content of messages of one locked conversation: their texts, the columns derived from them, mentions, and
 * everything that parts store for them. Replies to them are not deleted.
 * @returns the messages with their columns after the deletion, in the same order.
 */
export async function deleteContent<Row extends Pick<Message, 'id' | 'conversationId' | 'seq'>>(
  deps: Pick<Deps, 'features'>,
  tx: Tx,
  messages: readonly [Row, ...Row[]],
): Promise<(Row & PartColumns & ReturnType<typeof tombstone>)[]> {
  const parts = messageParts.of(deps);
  const data = { ...parts.cleared, ...tombstone(new Date()) };
  const ids = messages.map(({ id }) => id);
  await tx.message.updateMany({ where: { id: { in: ids } }, data });
  await clearExtraColumns(tx, ids, parts.columns);
  await tx.mention.deleteMany({
    where: { conversationId: messages[0].conversationId, seq: { in: messages.map(({ seq }) => seq) } },
  });
  await parts.clear(tx, ids);
  return messages.map((message) => ({ ...message, ...data }));
}
