import type { Message } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database.js';

/** Keeps the text of a message that is about to get another one: of many the first and the newest, `max` at most. */
export async function keepVersion(
  tx: Tx,
  { id: messageId, text, createdAt, editedAt }: Pick<Message, 'id' | 'text' | 'createdAt' | 'editedAt'>,
  max: number,
): Promise<void> {
  if (text === null || max === 0) return;
  const newest = await tx.messageVersion.aggregate({ where: { messageId }, _max: { number: true } });
  const number = (newest._max.number ?? 0) + 1;
  // Where only the first is kept, it is there already.
  if (max > 1 || number === 1) {
    await tx.messageVersion.create({ data: { messageId, number, text, writtenAt: editedAt ?? createdAt } });
  }
  await tx.messageVersion.deleteMany({ where: { messageId, number: { gt: 1, lte: number - (max - 1) } } });
}
