import { badInput, ChatError, notFound } from '../../core/errors.js';
import type { Conversation, Membership } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database.js';
import type { Change } from '../../realtime/change.js';
import { recordChange } from '../../realtime/change-log.js';
import type { Deps, Viewer } from '../deps.js';
import { type ConversationChanged, conversationChanged } from './conversation.events.js';
import { canRead, isPublic } from './conversation.policy.js';
import { bringIn, changeConversation, countChanges, findMembership, lock } from './conversation.store.js';
import { canAddMembers, canRemoveMember, hasChangingMembers } from './membership.policy.js';

/**
 * Brings people into a group. Who is in it already stays as they are.
 * @returns the group, and who could not be added.
 * @throws {ChatError} BAD_USER_INPUT of `input.userIds`: too many; NOT_FOUND; FORBIDDEN.
 */
export async function addMembers(
  deps: Deps,
  viewer: Viewer,
  { conversationId, userIds }: { conversationId: string; userIds: readonly string[] },
): Promise<{ conversation: Conversation; skippedUserIds: string[] }> {
  const field = 'input.userIds';
  const { groupMaxMembers, pageMax } = deps.config;
  if (userIds.length > pageMax) throw badInput(field, `At most ${pageMax} people at once.`);
  const wanted = [...new Set(userIds)];
  return change(deps, viewer, conversationId, async (tx, { conversation, own }) => {
    if (!canAddMembers(own)) throw new ChatError('FORBIDDEN', 'Owners and admins add members.');
    const people = await tx.user.findMany({ where: { id: { in: wanted }, deletedAt: null } });
    const there = await tx.membership.findMany({ where: { conversationId, userId: { in: wanted } } });
    const newcomers = people.filter(({ id }) => !there.some(({ userId }) => userId === id));
    if (conversation.memberCount + newcomers.length > groupMaxMembers) {
      throw badInput(field, `A group has at most ${groupMaxMembers} members.`);
    }
    const changed = await countChanges(tx, conversationId, { changes: newcomers.length, members: newcomers.length });
    const changes: Change<ConversationChanged>[] = [];
    const memberships = await bringIn(
      tx,
      conversation,
      newcomers.map(({ id: userId }) => ({ userId })),
    );
    const byUser = new Map(memberships.map((membership) => [membership.userId, membership]));
    for (const [index, user] of newcomers.entries()) {
      const membership = byUser.get(user.id) as Membership;
      const numbered = { ...changed, changeSeq: changed.changeSeq - newcomers.length + 1 + index };
      const data = { conversation: numbered, membership: { ...membership, user } };
      changes.push(await recordChange(tx, conversationChanged('memberJoined', viewer.userId, user.id, data)));
    }
    const skippedUserIds = wanted.filter((id) => !people.some((person) => person.id === id));
    return { changes, result: { conversation: changed, skippedUserIds } };
  });
}

/**
 * Puts somebody out of a group. Who is not in it is out: that changes nothing.
 * @throws {ChatError} BAD_USER_INPUT of `input.userId`: the viewer themselves; NOT_FOUND; FORBIDDEN.
 */
export async function removeMember(
  deps: Deps,
  viewer: Viewer,
  { conversationId, userId }: { conversationId: string; userId: string },
): Promise<Conversation> {
  if (userId === viewer.userId) throw badInput('input.userId', 'To go oneself there is leaveConversation.');
  return change(deps, viewer, conversationId, async (tx, { conversation, own }) => {
    const other = await findMembership(tx, conversationId, userId);
    if (!other) return { changes: [], result: conversation };
    if (!canRemoveMember(own, other)) throw new ChatError('FORBIDDEN', 'This member is not yours to remove.');
    return takeOut(tx, viewer, other);
  });
}

/**
 * Takes the viewer out of a group. The last owner's place goes to who has been there longest, admins first.
 * @throws {ChatError} NOT_FOUND; FORBIDDEN of a direct conversation.
 */
export async function leaveConversation(deps: Deps, viewer: Viewer, conversationId: string): Promise<Conversation> {
  return change(deps, viewer, conversationId, async (tx, { own }) => {
    const { changes, result } = await takeOut(tx, viewer, own);
    const handedOver = own.role === 'OWNER' ? await handOver(tx, viewer, conversationId) : undefined;
    return handedOver
      ? { changes: [...changes, handedOver], result: handedOver.data.conversation }
      : { changes, result };
  });
}

async function takeOut(tx: Tx, viewer: Viewer, membership: Membership) {
  const { id, conversationId, userId } = membership;
  await tx.membership.delete({ where: { id } });
  const conversation = await countChanges(tx, conversationId, { changes: 1, members: -1 });
  const left = conversationChanged('memberLeft', viewer.userId, userId, { conversation });
  return { changes: [await recordChange(tx, left)], result: conversation };
}

/** Makes the next owner, where none is left and somebody is. */
async function handOver(tx: Tx, viewer: Viewer, conversationId: string) {
  if (await tx.membership.findFirst({ where: { conversationId, role: 'OWNER' }, select: { id: true } })) return;
  // Enums sort as they were made: OWNER, ADMIN, MEMBER.
  const next = await tx.membership.findFirst({
    where: { conversationId },
    orderBy: [{ role: 'asc' }, { joinedAt: 'asc' }, { id: 'asc' }],
    include: { user: true },
  });
  if (!next) return;
  const { user, ...row } = next;
  await tx.membership.update({ where: { id: next.id }, data: { role: 'OWNER' }, select: { id: true } });
  const conversation = await countChanges(tx, conversationId, { changes: 1, members: 0 });
  const data = { conversation, membership: { ...row, role: 'OWNER' as const, user } };
  return recordChange(tx, conversationChanged('memberUpdated', viewer.userId, user.id, data));
}

/** A change of who is in a group, under its lock, by one of its members; told when it is committed. */
async function change<Result>(
  deps: Deps,
  viewer: Viewer,
  conversationId: string,
  work: (
    tx: Tx,
    state: { conversation: Conversation; own: Membership },
  ) => Promise<{ changes: Change<ConversationChanged>[]; result: Result }>,
): Promise<Result> {
  const field = 'input.conversationId';
  const { changes, result } = await changeConversation(deps, conversationId, async (tx) => {
    const conversation = await lock(tx, conversationId);
    const own = await findMembership(tx, conversationId, viewer.userId);
    if (!conversation || !(canRead(own) || isPublic(conversation))) throw notFound(field, 'Conversation');
    if (!own) throw new ChatError('FORBIDDEN', 'You are not in this group.', { field });
    if (!hasChangingMembers(conversation)) {
      throw new ChatError('FORBIDDEN', 'A direct conversation is of its two.', { field });
    }
    return work(tx, { conversation, own });
  });
  for (const each of changes) deps.feed.announce(each);
  return result;
}
