import { notFound } from '../../core/errors.js';
import type { Conversation, Membership, Message, User } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { recordChange } from '../../realtime/change-log.js';
import {
  changeConversation,
  findMembership,
  findModeratorIds,
  lockAndNumber,
} from '../conversation/conversation.store.js';
import { requireActiveViewer } from '../user/user.store.js';
import { type FullMessage, messageChanged } from './message.events.js';
import { type MessageChangeType, type MessageParts, messageParts } from './message.part.js';
import { canSee } from './message.policy.js';

/** A message that the viewer can see, loaded under the lock of its conversation. */
export interface ChangeState {
  tx: Tx;
  viewer: Viewer;
  message: Message & { sender: User | null };
  /** The locked conversation, whose `changeSeq` is already the number of this change. */
  conversation: Conversation;
  membership: Membership;
}

/** Rolls back the transaction, and with it the number that was assigned, when nothing changes. */
class Unchanged extends Error {
  constructor(readonly unchanged: FullMessage) {
    super();
  }
}

/**
 * Changes a message, or data that belongs to it, in one transaction under the lock of its conversation, and records the
 * change.
 * @param act checks permissions, writes, and returns the row of the message after the change, or undefined if there is
 *   nothing to change. It can also return the values of the parts if it has loaded them.
 * @returns the message after the change.
 * @throws {ChatError} NOT_FOUND with the field `input.messageId` if the viewer cannot see the message; all errors of
 *   `act`.
 */
export async function changeMessage(
  deps: Deps,
  viewer: Viewer,
  messageId: string,
  type: MessageChangeType,
  act: (state: ChangeState) => Promise<(Message & { parts?: MessageParts }) | undefined>,
): Promise<FullMessage> {
  const field = 'input.messageId';
  const known = await deps.database.db.message.findUnique({
    where: { id: messageId },
    select: { conversationId: true },
  });
  if (!known) throw notFound(field, 'Message');
  try {
    return await changeConversation(deps, known.conversationId, async (tx) => {
      const conversation = await lockAndNumber(tx, known.conversationId);
      const user = await requireActiveViewer(tx, viewer);
      const membership = await findMembership(tx, known.conversationId, viewer.userId);
      const message = await tx.message.findUnique({ where: { id: messageId }, include: { sender: true } });
      if (!conversation || !message || !canSee(message, membership)) throw notFound(field, 'Message');
      const changed = await act({ tx, viewer, message, conversation, membership });
      if (!changed) throw new Unchanged({ ...message, conversation });
      const parts = changed.parts ?? (await loadParts(deps, tx, changed));
      const moderatorIds = (await findModeratorIds(tx, [conversation.id])).get(conversation.id) ?? null;
      const { sender } = message;
      const full = { ...changed, parts, sender, conversation: { ...conversation, moderatorIds } };
      const { data } = await recordChange(tx, messageChanged(type, user, full));
      return data.message;
    });
  } catch (error) {
    if (error instanceof Unchanged) return error.unchanged;
    throw error;
  }
}

async function loadParts(deps: Deps, tx: Tx, message: Message): Promise<MessageParts> {
  const combined = messageParts.of(deps);
  const [parts = combined.empty] = await combined.load(tx, [message]);
  return parts;
}
