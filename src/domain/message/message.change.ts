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
import { holdViewer } from '../user/user.store.js';
import { findBeside, nothingBeside } from './message.beside.js';
import { type FullMessage, messageChanged, type messageChangeTypes } from './message.events.js';
import { canSee } from './message.policy.js';

/** A message that the viewer sees, under its conversation's lock. */
export interface ChangeState {
  tx: Tx;
  viewer: Viewer;
  message: Message & { sender: User | null };
  /** Numbered for the change. */
  conversation: Conversation;
  membership: Membership;
}

/** Thrown to roll back a change that turns out to change nothing. */
class Unchanged extends Error {
  constructor(readonly unchanged: FullMessage) {
    super();
  }
}

/**
 * Changes a message, or what belongs to it, under its conversation's lock. `act` authorizes, stores, and returns
 * the row as it is then; undefined: nothing is to change.
 * @throws {ChatError} NOT_FOUND of `input.messageId`; what `act` throws.
 */
export async function changeMessage(
  deps: Deps,
  viewer: Viewer,
  messageId: string,
  type: Exclude<keyof typeof messageChangeTypes, 'sent'>,
  act: (state: ChangeState) => Promise<Message | undefined>,
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
      const user = await holdViewer(tx, viewer);
      const membership = await findMembership(tx, known.conversationId, viewer.userId);
      const message = await tx.message.findUnique({ where: { id: messageId }, include: { sender: true } });
      if (!conversation || !message || !canSee(message, membership)) throw notFound(field, 'Message');
      const changed = await act({ tx, viewer, message, conversation, membership });
      if (!changed) throw new Unchanged({ ...message, conversation });
      const [beside = nothingBeside] = await findBeside(tx, [changed]);
      const moderatorIds = (await findModeratorIds(tx, [conversation.id])).get(conversation.id) ?? null;
      const { sender } = message;
      const full = { ...changed, ...beside, sender, conversation: { ...conversation, moderatorIds } };
      const { data } = await recordChange(tx, messageChanged(type, user, full));
      return data.message;
    });
  } catch (error) {
    if (error instanceof Unchanged) return error.unchanged;
    throw error;
  }
}
