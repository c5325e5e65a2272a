import { newId } from '../../core/ids.js';
import type { Conversation, Prisma } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { recordChange } from '../../realtime/change-log.js';
import { countChanges, findModeratorIds } from '../conversation/conversation.store.js';
import { messageChanged, messageChangeTypes } from '../message/message.events.js';
import { messageParts } from '../message/message.part.js';
import type { SystemEvent } from '../message/system-event.js';

/**
 * Stores a system message in a locked conversation. Does nothing if system messages are disabled.
 * @returns the conversation with the message counted; undefined if none was stored.
 */
export async function recordSystemMessage(
  deps: Pick<Deps, 'config' | 'features'>,
  tx: Tx,
  conversationId: string,
  given: Pick<SystemEvent, 'type' | 'actorId'> & Partial<SystemEvent>,
): Promise<Conversation | undefined> {
  if (!deps.config.systemMessages) return undefined;
  const conversation = await countChanges(tx, conversationId, { changes: 1, messages: 1 });
  const event: SystemEvent = { subjectIds: [], oldValue: null, newValue: null, ...given };
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
  const { empty: parts } = messageParts.of(deps);
  const full = { ...message, parts, sender: null, conversation: { ...conversation, moderatorIds } };
  const { data } = await recordChange(tx, messageChanged(messageChangeTypes.sent, { id: given.actorId }, full));
  return data.message.conversation;
}
