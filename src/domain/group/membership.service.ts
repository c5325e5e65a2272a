import { z } from 'zod';
import { badInput, ChatError, limitReached, notFound } from '../../core/errors.js';
import { foldWords } from '../../core/text/fold.js';
import type { Conversation, Membership, User } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput } from '../../platform/input.js';
import type { Viewer } from '../../platform/viewer.js';
import type { Change } from '../../realtime/change.js';
import { recordChange, recordChanges } from '../../realtime/change-log.js';
import { auditingDenials } from '../audit/audit.logger.js';
import { type Actor, type AuditEvent, type Details, recordAuditEvents } from '../audit/audit.store.js';
import { type ConversationChanged, conversationChanged } from '../conversation/conversation.events.js';
import { canRead, isEncrypted, isPublic } from '../conversation/conversation.policy.js';
import {
  changeConversation,
  countChanges,
  findMembership,
  findNextOwner,
  findUsersAtGroupLimit,
  insertMembers,
  isAtGroupLimit,
  lock,
} from '../conversation/conversation.store.js';
import {
  canAddMembers,
  canJoin,
  canRemoveMember,
  canSetRole,
  canSetVisibility,
  canUpdate,
  hasChangingMembers,
} from '../conversation/membership.policy.js';
import { readPicture, takePicture } from '../media/media.pictures.js';
import { findReachable } from '../user/reach.store.js';
import { lockCounts, lockUsersForShare, requireActiveViewer } from '../user/user.store.js';
import { description, imageUrl, title } from './group.input.js';
import { membershipEndings } from './membership.endings.js';
import { recordSystemMessage } from './system-message.js';

/**
 * Adds users to a group. Existing members are unaffected.
 * @returns the group, and the users who could not be added.
 * @throws {ChatError} BAD_USER_INPUT of `input.userIds`: too many; NOT_FOUND; FORBIDDEN.
 */
export async function addMembers(
  deps: Deps,
  viewer: Viewer,
  { conversationId, userIds }: { conversationId: string; userIds: readonly string[] },
): Promise<{ conversation: Conversation; skippedUserIds: string[] }> {
  const field = 'input.userIds';
  const { groupMaxMembers, groupAddMax, groupsAddedMax } = deps.config;
  if (userIds.length > groupAddMax) {
    throw badInput(field, `A request can add at most ${groupAddMax} users to a group.`, 'groupAddMax');
  }
  const wanted = [...new Set(userIds)];
  const act: GroupAuditEvent = { action: 'MEMBER_ADDED', actor: viewer, conversationId };
  return change(deps, viewer, act, async (tx, { conversation, own }) => {
    if (!canAddMembers(own)) throw new ChatError('FORBIDDEN', 'Only owners and admins can add members.');
    const held = await lockUsersForShare(tx, wanted);
    const areReachable = await findReachable(tx, viewer.userId, wanted);
    await lockCounts(tx, 'groups', wanted);
    const full = await findUsersAtGroupLimit(tx, wanted, viewer, groupsAddedMax);
    const there = await tx.membership.findMany({ where: { conversationId, userId: { in: wanted } } });
    const thereIds = new Set(there.map(({ userId }) => userId));
    const isThere = (id: string) => thereIds.has(id);
    const reachableIds = new Set(wanted.filter((_id, index) => areReachable[index]));
    const people = held.filter(({ id }) => isThere(id) || (reachableIds.has(id) && !full.has(id)));
    const newcomers = people.filter(({ id }) => !isThere(id));
    const peopleIds = new Set(people.map(({ id }) => id));
    const skippedUserIds = wanted.filter((id) => !peopleIds.has(id));
    if (newcomers.length === 0) return { conversation, skippedUserIds };
    if (conversation.memberCount + newcomers.length > groupMaxMembers) {
      throw badInput(field, `A group can have at most ${groupMaxMembers} members.`, 'groupMaxMembers');
    }
    const changed = await countChanges(tx, conversationId, { changes: newcomers.length, members: newcomers.length });
    await recordAuditEvents(tx, ...newcomers.map(({ id }) => ({ ...act, subjectId: id })));
    const changes: Change<ConversationChanged>[] = [];
    const memberships = await insertMembers(
      tx,
      conversation,
      newcomers.map(({ id: userId }) => ({ userId })),
      viewer.userId,
    );
    const byUser = new Map(memberships.map((membership) => [membership.userId, membership]));
    for (const [index, user] of newcomers.entries()) {
      const membership = byUser.get(user.id) as Membership;
      const numbered = { ...changed, changeSeq: changed.changeSeq - newcomers.length + 1 + index };
      const data = { conversation: numbered, membership: { ...membership, user } };
      changes.push(conversationChanged('memberJoined', viewer.userId, user.id, data));
    }
    await recordChanges(tx, changes);
    const announced = await recordSystemMessage(deps, tx, conversationId, {
      type: 'MEMBER_ADDED',
      actorId: viewer.userId,
      subjectIds: newcomers.map(({ id }) => id),
    });
    return { conversation: announced ?? changed, skippedUserIds };
  });
}

/** The result of leaving a group or removing a member. */
export interface Left {
  conversation: Conversation;
  /** The membership that ended; null when there was none. */
  membershipId: string | null;
}

/**
 * Removes a member from a group. Idempotent: removing a user who is not a member does nothing.
 * @throws {ChatError} BAD_USER_INPUT of `input.userId`: the viewer themselves; NOT_FOUND; FORBIDDEN.
 */
export async function removeMember(
  deps: Deps,
  viewer: Viewer,
  { conversationId, userId }: { conversationId: string; userId: string },
): Promise<Left> {
  if (userId === viewer.userId)
    throw badInput('input.userId', 'You cannot remove yourself. Use `leaveConversation` to leave the group.');
  const act: GroupAuditEvent = { action: 'MEMBER_REMOVED', actor: viewer, subjectId: userId, conversationId };
  return change(deps, viewer, act, async (tx, { conversation, own }) => {
    const other = await findMembership(tx, conversationId, userId);
    if (!other) return { conversation, membershipId: null };
    if (!canRemoveMember(own, other)) throw new ChatError('FORBIDDEN', 'You are not allowed to remove this member.');
    await recordAuditEvents(tx, { ...act, details: { role: other.role } });
    return removeMembership(deps, tx, viewer, other);
  });
}

/**
 * Removes the viewer from a group. If the viewer was the last owner, another member becomes the owner: see
 * `findNextOwner`.
 * @throws {ChatError} NOT_FOUND; FORBIDDEN: it is a direct conversation.
 */
export async function leaveConversation(deps: Deps, viewer: Viewer, conversationId: string): Promise<Left> {
  return change(deps, viewer, { conversationId }, async (tx, { own }) => {
    return removeMembership(deps, tx, viewer, own);
  });
}

/** Removes a member from a locked group. `actor` may be the member. */
export async function removeMembership(
  deps: Pick<Deps, 'config' | 'features'>,
  tx: Tx,
  actor: Actor,
  member: Membership,
): Promise<Left> {
  const { userId: actorId } = actor;
  const { id, conversationId, userId } = member;
  for (const end of membershipEndings.of(deps)) await end(tx, member, deps);
  await tx.membership.delete({ where: { id } });
  const conversation = await countChanges(tx, conversationId, { changes: 1, members: -1 });
  await recordChange(tx, conversationChanged('memberLeft', actorId, userId, { conversation }, id));
  const announced = await recordSystemMessage(deps, tx, conversationId, {
    type: actorId === userId ? 'MEMBER_LEFT' : 'MEMBER_REMOVED',
    actorId,
    subjectIds: [userId],
  });
  const latest = (await promoteNextOwner(deps, tx, actor, conversationId)) ?? announced ?? conversation;
  return { conversation: latest, membershipId: id };
}

/** Makes a member the owner if the group has none. Returns the changed group; undefined if it was not changed. */
async function promoteNextOwner(
  deps: Pick<Deps, 'config' | 'features'>,
  tx: Tx,
  actor: Actor,
  conversationId: string,
): Promise<Conversation | undefined> {
  if (await tx.membership.findFirst({ where: { conversationId, role: 'OWNER' }, select: { id: true } }))
    return undefined;
  const next = await findNextOwner(tx, conversationId);
  return next ? changeRole(deps, tx, actor, next, 'OWNER') : undefined;
}

/** Changes the role of a member of a locked group. Returns the changed group. */
async function changeRole(
  deps: Pick<Deps, 'config' | 'features'>,
  tx: Tx,
  actor: Actor,
  { user, ...member }: Membership & { user: User },
  role: Membership['role'],
): Promise<Conversation> {
  const { id, conversationId, userId } = member;
  const { userId: actorId } = actor;
  const details = { role: { from: member.role, to: role } };
  await recordAuditEvents(tx, { action: 'MEMBER_ROLE_CHANGED', actor, subjectId: userId, conversationId, details });
  await tx.membership.update({ where: { id }, data: { role }, select: { id: true } });
  const conversation = await countChanges(tx, conversationId, { changes: 1 });
  const data = { conversation, membership: { ...member, role, user } };
  await recordChange(tx, conversationChanged('memberUpdated', actorId, userId, data));
  const announced = await recordSystemMessage(deps, tx, conversationId, {
    type: 'ROLE_CHANGED',
    actorId,
    subjectIds: [userId],
    oldValue: member.role,
    newValue: role,
  });
  return announced ?? conversation;
}

const groupUpdate = z.object({
  title: title.optional(),
  description,
  imageUrl,
  visibility: z.enum(['PRIVATE', 'PUBLIC']).optional(),
  historyVisibility: z.enum(['ALL', 'SINCE_JOINED']).optional(),
});

type GroupUpdate = { conversationId: string; imageAttachmentId?: string | null | undefined } & {
  [Field in keyof z.input<typeof groupUpdate>]: z.input<typeof groupUpdate>[Field] | null | undefined;
};

/** The changes of a group that are announced to its members in system messages. */
const systemMessageTypes = {
  title: 'TITLE_CHANGED',
  description: 'DESCRIPTION_CHANGED',
  visibility: 'VISIBILITY_CHANGED',
  historyVisibility: 'HISTORY_VISIBILITY_CHANGED',
} as const;

/** The changes of a group that affect who can see what. */
const watched = ['visibility', 'historyVisibility'] as const;

const pictureFields = { urlField: 'input.imageUrl', attachmentField: 'input.imageAttachmentId' };

/**
 * Changes the title, description, image or visibility of a group. Absent fields are unchanged; null removes a
 * description or an image. Values equal to the present ones have no effect.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND; FORBIDDEN; CONFLICT of `input.imageAttachmentId`: the upload is used
 *   already.
 */
export async function updateGroup(
  deps: Deps,
  viewer: Viewer,
  { conversationId, imageUrl, imageAttachmentId, ...input }: GroupUpdate,
): Promise<Conversation> {
  const picture = readPicture(deps, imageUrl, imageAttachmentId, pictureFields);
  const { imageUrl: checkedUrl, ...checked } = checkInput(groupUpdate, { ...input, imageUrl: picture.url });
  const given = Object.fromEntries(Object.entries(checked).filter(([, value]) => value !== undefined)) as Partial<
    Pick<Conversation, 'title' | 'description' | 'imageUrl' | 'visibility' | 'historyVisibility'>
  >;
  const act: GroupAuditEvent = { action: 'GROUP_SETTINGS_CHANGED', actor: viewer, conversationId };
  const isWatched = watched.some((field) => given[field] !== undefined);
  return change(deps, viewer, isWatched ? act : { conversationId }, async (tx, { conversation, own }) => {
    if (!canUpdate(own)) throw new ChatError('FORBIDDEN', 'Only owners and admins can change the group.');
    given.imageUrl = await takePicture(
      tx,
      viewer,
      { imageOf: conversationId },
      conversation.imageUrl,
      { ...picture, url: checkedUrl },
      pictureFields,
    );
    const isNew = Object.entries(given).some(([field, value]) => conversation[field as keyof Conversation] !== value);
    if (!isNew) return conversation;
    const details: Details = {};
    for (const field of watched) {
      const [from, to] = [conversation[field], given[field]];
      if (to === undefined || to === from) continue;
      details[field] = { from, to };
      if (!canSetVisibility(own)) {
        throw new ChatError('FORBIDDEN', 'Only owners can change the visibility of the group and of its history.', {
          field: `input.${field}`,
        });
      }
    }
    if (given.visibility === 'PUBLIC' && isEncrypted(conversation)) {
      throw new ChatError('FORBIDDEN', 'An encrypted group cannot become public.', {
        field: 'input.visibility',
        reason: 'ENCRYPTED',
      });
    }
    if (Object.keys(details).length > 0) await recordAuditEvents(tx, { ...act, details });
    const announcedFields = (Object.keys(systemMessageTypes) as (keyof typeof systemMessageTypes)[]).filter(
      (field) => given[field] !== undefined && given[field] !== conversation[field],
    );
    const words = given.title == null ? {} : { searchWords: foldWords(given.title) };
    await tx.conversation.update({
      where: { id: conversationId },
      data: { ...given, ...words },
      select: { id: true },
    });
    const updated = await countChanges(tx, conversationId, { changes: 1 });
    await recordChange(tx, conversationChanged('updated', viewer.userId, null, { conversation: updated }));
    let latest: Conversation = updated;
    for (const field of announcedFields) {
      const event = { oldValue: conversation[field], newValue: updated[field] };
      const announced = await recordSystemMessage(deps, tx, conversationId, {
        type: systemMessageTypes[field],
        actorId: viewer.userId,
        ...event,
      });
      latest = announced ?? latest;
    }
    return latest;
  });
}

/**
 * Sets the role of a member. Idempotent.
 * @throws {ChatError} NOT_FOUND of the conversation or of `input.userId`; FORBIDDEN; CONFLICT of `input.role`: the
 *   member is the last owner.
 */
export async function setMemberRole(
  deps: Deps,
  viewer: Viewer,
  { conversationId, userId, role }: { conversationId: string; userId: string; role: Membership['role'] },
): Promise<Membership> {
  const details = { role };
  const event: GroupAuditEvent = {
    action: 'MEMBER_ROLE_CHANGED',
    actor: viewer,
    subjectId: userId,
    conversationId,
    details,
  };
  return change(deps, viewer, event, async (tx, { own }) => {
    if (!canSetRole(own)) throw new ChatError('FORBIDDEN', 'Only owners can change the roles of members.');
    const found = await tx.membership.findUnique({
      where: { conversationId_userId: { conversationId, userId } },
      include: { user: true },
    });
    if (!found) throw notFound('input.userId', 'Member');
    if (found.role === role) return found;
    const owners = await tx.membership.count({ where: { conversationId, role: 'OWNER' } });
    if (found.role === 'OWNER' && owners === 1) {
      throw new ChatError('CONFLICT', 'A group must have an owner. Make another member an owner first.', {
        field: 'input.role',
      });
    }
    await changeRole(deps, tx, viewer, found, role);
    return { ...found, role };
  });
}

/**
 * Adds the viewer to a public group. Idempotent.
 * @throws {ChatError} NOT_FOUND; FORBIDDEN: the group is not public, or is full.
 */
export async function joinConversation(deps: Deps, viewer: Viewer, conversationId: string): Promise<Conversation> {
  const field = 'input.conversationId';
  return changeConversation(deps, conversationId, async (tx) => {
    const conversation = await lock(tx, conversationId);
    const own = await findMembership(tx, conversationId, viewer.userId);
    if (conversation && own) return conversation;
    if (!conversation || !canJoin(conversation, own)) throw notFound(field, 'Conversation');
    const { groupMaxMembers, groupsMax } = deps.config;
    if (conversation.memberCount >= groupMaxMembers) {
      throw limitReached('groupMaxMembers', `A group can have at most ${groupMaxMembers} members.`, field);
    }
    const user = await requireActiveViewer(tx, viewer);
    await lockCounts(tx, 'groups', [viewer.userId]);
    if (await isAtGroupLimit(tx, viewer.userId, groupsMax)) {
      throw limitReached('groupsMax', `You can create and join at most ${groupsMax} groups.`, field);
    }
    const [membership] = (await insertMembers(tx, conversation, [{ userId: viewer.userId }], viewer.userId)) as [
      Membership,
    ];
    const joined = await countChanges(tx, conversationId, { changes: 1, members: 1 });
    const data = { conversation: joined, membership: { ...membership, user } };
    await recordChange(tx, conversationChanged('memberJoined', viewer.userId, viewer.userId, data));
    const announced = await recordSystemMessage(deps, tx, conversationId, {
      type: 'MEMBER_JOINED',
      actorId: viewer.userId,
      subjectIds: [viewer.userId],
    });
    return announced ?? joined;
  });
}

/** An audit event of a group. Without an action, it is not recorded. */
type GroupAuditEvent = AuditEvent & { conversationId: string };

/** Runs a change of a group under its lock, for one of its members. A denial is recorded in the audit log as `act`. */
async function change<Result>(
  deps: Deps,
  viewer: Viewer,
  act: GroupAuditEvent | { action?: never; conversationId: string },
  work: (tx: Tx, state: { conversation: Conversation; own: Membership }) => Promise<Result>,
): Promise<Result> {
  const field = 'input.conversationId';
  const { conversationId } = act;
  const changing = () =>
    changeConversation(deps, conversationId, async (tx) => {
      const conversation = await lock(tx, conversationId);
      await requireActiveViewer(tx, viewer);
      const own = await findMembership(tx, conversationId, viewer.userId);
      if (!conversation || !(canRead(own) || isPublic(conversation))) throw notFound(field, 'Conversation');
      if (!own) throw new ChatError('FORBIDDEN', 'You are not a member of this group.', { field });
      if (!hasChangingMembers(conversation)) {
        throw new ChatError('FORBIDDEN', 'Direct conversations cannot be changed.', { field });
      }
      return work(tx, { conversation, own });
    });
  return act.action === undefined ? changing() : auditingDenials(deps, act, changing);
}
