import { newId } from '../../core/ids.js';
import type { Conversation, Prisma } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { recordChange } from '../../realtime/change-log.js';
import { countChanges, findModeratorIds } from '../conversation/conversation.store.js';
import { nothingBeside } from '../message/message.beside.js';
import { messageChanged } from '../message/message.events.js';
import type { SystemEvent } from '../message/system-event.js';

/**
 * Stores a system message in a locked group, which says what happened there; does nothing where system messages are
 * switched off.
 * @returns the group as it is with the message; undefined where there is none.
 */
export async function recordSystemMessage(
  { config }: Pick<Deps, 'config'>,
  tx: Tx,
  conversationId: string,
  {
    type,
    actorId,
    subjectIds = [],
    oldValue = null,
    newValue = null,
  }: Pick<SystemEvent, 'type' | 'actorId'> & Partial<SystemEvent>,
): Promise<Conversation | undefined> {
  if (!config.systemMessages) return undefined;
  const conversation = await countChanges(tx, conversationId, { changes: 1, messages: 1 });
  const event: SystemEvent = { type, actorId, subjectIds, oldValue, newValue };
  const message = await tx.message.create({
    data: {
      id: newId(),
      conversationId,
      seq: conversation.latestSeq,
      kind: 'SYSTEM',
      systemEvent: event as unknown as Prisma.InputJsonObject,
      createdAt: conversation.lastActivityAt,
    },
  });
  const moderatorIds = (await findModeratorIds(tx, [conversationId])).get(conversationId) ?? null;
  const full = { ...message, ...nothingBeside, sender: null, conversation: { ...conversation, moderatorIds } };
  const { data } = await recordChange(tx, messageChanged('sent', { id: actorId }, full));
  return data.message.conversation;
}
