import { newId } from '../../core/ids.js';
import type { Prisma } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Change } from '../../realtime/change.js';
import { recordChange } from '../../realtime/change-log.js';
import { countChanges, findModeratorIds } from '../conversation/conversation.store.js';
import type { Deps } from '../deps.js';
import { nothingBeside } from '../message/message.beside.js';
import { type MessageTold, messageChanged } from '../message/message.events.js';
import type { SystemEvent } from '../message/system-event.js';

/**
 * Stores a message of the service's own in a locked group, which tells what happened there; where those are switched
 * off, nothing.
 * @returns what is to be announced.
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
): Promise<Change<MessageTold>[]> {
  if (!config.systemMessages) return [];
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
  return [await recordChange(tx, messageChanged('sent', { id: actorId }, full))];
}
