import { badInput, ChatError, limitReached, notFound } from '../../core/errors.js';
import { isVisible } from '../../core/text/characters.js';
import type { Draft, Membership } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { definePersonRate, take } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { isEncrypted, isPublic } from '../conversation/conversation.policy.js';
import { lockMembershipShared } from '../conversation/conversation.store.js';
import { canSee } from '../message/message.policy.js';
import { canBeRepliedTo } from '../reply/reply.policy.js';
import { lockCounts, requireActiveViewer } from '../user/user.store.js';
import { DRAFT_DELETED, DRAFT_SAVED, emptied, recordDraftChange } from './draft.events.js';
import { listDrafts, lockDraft, lockMembership, removeDraft, storeDraft } from './draft.store.js';

const draftPerPerson = definePersonRate(
  'You are saving drafts too quickly. Try again in a moment.',
  ({ rateDraftPerPerson }) => rateDraftPerPerson,
);

/**
 * Saves the viewer's draft in a conversation in place of an earlier one. A text without a visible character and without a
 * reply deletes it. Saving the same draft again changes nothing.
 * @returns null if there is no draft now.
 * @throws {ChatError} BAD_USER_INPUT of `input.text`: too long; NOT_FOUND or FORBIDDEN of `input.conversationId`: the
 *   viewer is not a member; NOT_FOUND of `input.replyToId`: not a message of the conversation that the viewer can see;
 *   FORBIDDEN of `input.replyToId`: a system message; FORBIDDEN of `input.conversationId`: too many drafts; CONFLICT of `input.text` with
 *   the reason ENCRYPTED; RATE_LIMITED.
 */
export async function saveDraft(
  deps: Deps,
  viewer: Viewer,
  { conversationId, text, replyToId }: { conversationId: string; text: string; replyToId: string | null },
): Promise<Draft | null> {
  const { draftMaxChars, draftsMax } = deps.config;
  if (text.length > draftMaxChars) {
    throw badInput('input.text', `A draft can have at most ${draftMaxChars} characters.`, 'draftMaxChars');
  }
  take(deps, draftPerPerson, viewer);
  const { userId } = viewer;
  return deps.database.transaction(async (tx) => {
    await requireActiveViewer(tx, viewer);
    const membership = await lockMembershipShared(tx, conversationId, userId);
    if (!membership) throw await notAMember(tx, conversationId);
    const { id: membershipId } = membership;
    const replyToSeq = replyToId === null ? null : await findRepliedSeq(tx, membership, replyToId);
    let before = await lockDraft(tx, membershipId);
    if (replyToSeq === null && !isVisible(text)) {
      if (before) {
        await removeDraft(tx, membershipId);
        recordDraftChange(tx, DRAFT_DELETED, before, { draft: emptied(membership, new Date()) });
      }
      return null;
    }
    if (text !== '') await checkPlain(tx, conversationId);
    if (!before) {
      await lockCounts(tx, 'drafts', [userId]);
      // Another device may have saved it during the wait.
      before = await lockDraft(tx, membershipId);
      if (!before) await checkCount(tx, userId, draftsMax);
    }
    if (before?.text === text && before.replyToSeq === replyToSeq) return before;
    const draft = await storeDraft(tx, { membershipId, conversationId, userId, text, replyToSeq });
    recordDraftChange(tx, DRAFT_SAVED, draft, { draft });
    return draft;
  });
}

async function notAMember(tx: Tx, conversationId: string): Promise<ChatError> {
  const field = 'input.conversationId';
  const conversation = await tx.conversation.findUnique({
    where: { id: conversationId },
    select: { visibility: true },
  });
  if (!conversation || !isPublic(conversation)) return notFound(field, 'Conversation');
  return new ChatError('FORBIDDEN', 'Only members can save drafts in this group. Join it first.', {
    field,
    reason: 'NOT_A_MEMBER',
  });
}

/** The server must not store what a user writes in an encrypted conversation. */
async function checkPlain(tx: Tx, id: string): Promise<void> {
  const conversation = await tx.conversation.findUnique({ where: { id }, select: { encryption: true } });
  if (!conversation || !isEncrypted(conversation)) return;
  throw new ChatError('CONFLICT', 'This conversation is encrypted: keep the text of the draft on the device.', {
    field: 'input.text',
    reason: 'ENCRYPTED',
  });
}

async function findRepliedSeq(tx: Tx, membership: Membership, messageId: string): Promise<number> {
  const field = 'input.replyToId';
  const { conversationId } = membership;
  const message = await tx.message.findUnique({
    where: { id: messageId, conversationId },
    select: { seq: true, kind: true },
  });
  if (!message || !canSee(message, membership)) throw notFound(field, 'Message');
  if (!canBeRepliedTo(message)) throw new ChatError('FORBIDDEN', 'You cannot reply to this message.', { field });
  return message.seq;
}

async function checkCount(tx: Tx, userId: string, draftsMax: number): Promise<void> {
  if ((await tx.draft.count({ where: { userId } })) < draftsMax) return;
  throw limitReached('draftsMax', `You can have at most ${draftsMax} drafts.`, 'input.conversationId');
}

/** Deletes the draft of a member who is being removed, and notifies their devices. */
export async function deleteDraftOf(tx: Tx, { id, userId }: Membership): Promise<void> {
  // Without the lock, a draft that is being saved would be deleted with the membership, without a DRAFT_DELETED event.
  await lockMembership(tx, id);
  if (await removeDraft(tx, id)) recordDraftChange(tx, DRAFT_DELETED, { membershipId: id, userId }, { draft: null });
}

/** The viewer's drafts, most recently saved first. */
export const draftsOf = ({ database, config }: Deps, { userId }: Viewer): Promise<Draft[]> =>
  listDrafts(database.db, userId, config.draftsMax);
