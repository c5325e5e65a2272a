import { z } from 'zod';
import { ChatError, limitReached, notFound } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { isoKeyset, type Page, type PageArgs, readPage } from '../../core/page.js';
import type { Call, CallKind, Conversation } from '../../generated/prisma/client.js';
import { isUniqueViolation, type Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput, hashInput } from '../../platform/input.js';
import { definePersonRate, take } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { recordPersonalChanges } from '../../realtime/personal-log.js';
import { canRead, canSend, isPublic, sendRefused } from '../conversation/conversation.policy.js';
import {
  changeConversation,
  findCounterpart,
  findMembership,
  lock,
  otherOf,
} from '../conversation/conversation.store.js';
import { clientKey } from '../user/user.input.js';
import { lockCounts, requireActiveViewer } from '../user/user.store.js';
import { recordCallChange } from './call.change.js';
import { CALL_DECLINED, type CallChanged } from './call.events.js';
import { canHaveCalls, canLeave, canSeeCall, hasCamera, isOwnParty, isRelayOnly, usesSfu } from './call.policy.js';
import {
  answer,
  areMutualContacts,
  type CallsPage,
  cannotBeAnswered,
  decline,
  end,
  type FullCall,
  findCall,
  findFull,
  findInCall,
  findJoined,
  findLiveIn,
  findOfUser,
  findParticipants,
  findParty,
  insertCall,
  insertParty,
  isLost,
  leave,
  leaveAll,
  type Media,
  markReconnecting,
  reconnect,
  removeGone,
  storeMedia,
  touchVersion,
} from './call.store.js';
import { sfuRoomOf } from './sfu.js';

const callPerPerson = definePersonRate(
  'You are starting calls too quickly. Try again later.',
  ({ rateCallPerPerson }) => rateCallPerPerson,
);

/** A call, and the device that has joined it. */
export interface Joined {
  call: FullCall;
  partyId: string;
}

const started = z.object({ clientCallId: clientKey('A clientCallId', 128) });
const accepted = z.object({ clientPartyId: clientKey('A clientPartyId', 128).nullish() });

const CONVERSATION = 'input.conversationId';
const CALL = 'input.callId';

/** A request with which a device joins a call. */
interface Joining {
  viewer: Viewer;
  conversation: Conversation;
  clientKey: string | null;
  inputHash: Uint8Array<ArrayBuffer> | null;
  /** The path of the argument that names the call or its conversation, for errors. */
  field: string;
}

/**
 * Calls the other members of a conversation. If another member is already calling, or a call of a group is in
 * progress, it joins that call. Repeating the same input with the same `clientCallId` returns the first result.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND or FORBIDDEN of `input.conversationId`; CONFLICT of `input.clientCallId`: it
 *   was used with another input; CONFLICT with a reason: the viewer is in a call; RATE_LIMITED.
 */
export async function startCall(
  deps: Deps,
  viewer: Viewer,
  input: { conversationId: string; kind: CallKind; clientCallId: string },
): Promise<Joined> {
  const { conversationId, kind } = input;
  const { clientCallId } = checkInput(started, input);
  requireCalls(deps);
  take(deps, callPerPerson, viewer);
  const inputHash = hashInput(conversationId, kind);
  try {
    return await changeConversation(deps, conversationId, async (tx) => {
      const conversation = await lockForCall(deps, tx, viewer, conversationId);
      const joining = { viewer, conversation, clientKey: clientCallId, inputHash, field: CONVERSATION };
      const first = await findFirst(tx, joining, 'input.clientCallId');
      if (first) return first;
      let live = await findLiveIn(tx, conversationId);
      if (live) live = await settle(deps, tx, live.id, conversation, { canLose: true });
      return live && live.state !== 'ENDED' ? join(deps, tx, live, joining) : begin(deps, tx, kind, joining);
    });
  } catch (error) {
    // The key is being used at the same time in another conversation.
    if (isUniqueViolation(error)) throw keyUsed('input.clientCallId');
    throw error;
  }
}

/**
 * Answers a call with this device, or joins the call of a group that was answered.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `input.callId`; CONFLICT with the reason ANSWERED_ELSEWHERE, CALL_ENDED or
 *   IN_ANOTHER_CALL; CONFLICT of `input.clientPartyId`: it was used with another input.
 */
export async function acceptCall(
  deps: Deps,
  viewer: Viewer,
  input: { callId: string; clientPartyId?: string | null | undefined },
): Promise<Joined> {
  const { callId } = input;
  const { clientPartyId = null } = checkInput(accepted, input);
  requireCalls(deps);
  const field = 'input.clientPartyId';
  try {
    return await changeCall(deps, viewer, callId, async (tx, call, conversation) => {
      const counterpart = await findCounterpart(tx, conversation, viewer.userId);
      if (counterpart?.isReachable === false)
        throw sendRefused(await findMembership(tx, conversation.id, viewer.userId), CALL);
      const inputHash = clientPartyId === null ? null : hashInput(callId);
      const joining = { viewer, conversation, clientKey: clientPartyId, inputHash, field: CALL };
      return (await findFirst(tx, joining, field)) ?? join(deps, tx, call, joining);
    });
  } catch (error) {
    if (isUniqueViolation(error)) throw keyUsed(field);
    throw error;
  }
}

/**
 * Declines a call that rings. In a direct conversation, that ends it; in a group, the viewer's devices stop ringing. It has
 * no effect on a call that does not ring for the viewer.
 * @throws {ChatError} NOT_FOUND of `input.callId`.
 */
export function declineCall(deps: Deps, viewer: Viewer, callId: string): Promise<FullCall> {
  return changeCall(deps, viewer, callId, async (tx, call, conversation) => {
    const { userId } = viewer;
    const participants = await findParticipants(tx, callId);
    if (call.state === 'ENDED' || participants.includes(userId)) return present(tx, callId);
    if (conversation.kind === 'DIRECT') {
      const declined = await end(tx, callId, 'RINGING', 'DECLINED');
      return declined ? recordCallChange(deps, tx, declined, userId) : present(tx, callId);
    }
    const { isNew, count } = await decline(tx, callId, userId);
    if (call.state === 'RINGING' && count >= conversation.memberCount - 1) {
      const declined = await end(tx, callId, 'RINGING', 'DECLINED');
      if (declined) return recordCallChange(deps, tx, declined, userId);
    }
    const full = await present(tx, callId);
    if (isNew) {
      const data: CallChanged = { call: full };
      recordPersonalChanges(tx, [{ userId, type: CALL_DECLINED, subjectId: callId, actorId: userId, data }]);
    }
    return full;
  });
}

/**
 * Removes a device from a call. The call ends if it still rings, in a direct conversation, and with the last device. It
 * has no effect if the device has left.
 * @throws {ChatError} NOT_FOUND of `input.callId` or `input.partyId`.
 */
export async function leaveCall(
  deps: Deps,
  viewer: Viewer,
  input: { callId: string; partyId: string },
): Promise<FullCall> {
  const { callId, partyId } = input;
  return changeCall(deps, viewer, callId, async (tx, call, conversation) => {
    const party = await findParty(tx, partyId);
    if (party?.callId !== callId || !canLeave(party, viewer)) throw notFound('input.partyId', 'Party');
    if (!(await leave(tx, { callId, partyId }))) return present(tx, callId);
    return recordCallChange(deps, tx, await afterLeaving(tx, call, conversation, 'HUNG_UP'), viewer.userId);
  });
}

/**
 * Stores whether a device sends audio, video and its screen, for the others to show.
 * @throws {ChatError} NOT_FOUND of `input.callId` or `input.partyId`.
 */
export async function updateCallMedia(
  deps: Deps,
  viewer: Viewer,
  { callId, partyId, ...media }: { callId: string; partyId: string } & Media,
): Promise<FullCall> {
  return changeCall(deps, viewer, callId, async (tx) => {
    const party = await findParty(tx, partyId);
    if (party?.callId !== callId || !isOwnParty(party, viewer)) throw notFound('input.partyId', 'Party');
    const isChanged = await storeMedia(tx, { callId, partyId }, media);
    const changed = isChanged ? await touchVersion(tx, callId) : undefined;
    return changed ? recordCallChange(deps, tx, changed, viewer.userId) : present(tx, callId);
  });
}

// ── steps of changes ──

function requireCalls({ config }: Deps): void {
  if (!config.calls) throw new ChatError('FORBIDDEN', 'Calls are disabled on this server.');
}

/** Locks a conversation, and checks that the viewer can call in it. */
async function lockForCall(deps: Deps, tx: Tx, viewer: Viewer, conversationId: string): Promise<Conversation> {
  const conversation = await lock(tx, conversationId);
  await requireActiveViewer(tx, viewer);
  const membership = await findMembership(tx, conversationId, viewer.userId);
  if (!conversation || !(canRead(membership) || isPublic(conversation))) throw notFound(CONVERSATION, 'Conversation');
  const counterpart = await findCounterpart(tx, conversation, viewer.userId);
  if (!canSend(membership, counterpart)) throw sendRefused(membership, CONVERSATION);
  const { callMembersMax } = deps.config;
  if (!canHaveCalls(conversation, deps.config)) {
    const message = `Calls are possible in conversations with at most ${callMembersMax} members.`;
    throw limitReached('callMembersMax', message, CONVERSATION);
  }
  return conversation;
}

/** Changes a call of a conversation of which the viewer is a member, under the conversation's lock. */
async function changeCall<Result>(
  deps: Deps,
  viewer: Viewer,
  callId: string,
  work: (tx: Tx, call: Call, conversation: Conversation) => Promise<Result>,
): Promise<Result> {
  const known = await findCall(deps.database.db, callId);
  if (!known) throw notFound(CALL, 'Call');
  return changeConversation(deps, known.conversationId, async (tx) => {
    const conversation = await lock(tx, known.conversationId);
    await requireActiveViewer(tx, viewer);
    const membership = await findMembership(tx, known.conversationId, viewer.userId);
    const call = await findCall(tx, callId);
    if (!conversation || !call || !canSeeCall(call, membership)) throw notFound(CALL, 'Call');
    return work(tx, call, conversation);
  });
}

async function present(tx: Tx, callId: string): Promise<FullCall> {
  const [call] = await findFull(tx, [callId]);
  if (!call) throw notFound(CALL, 'Call');
  return call;
}

/** The result of an earlier request with the same key. */
async function findFirst(
  tx: Tx,
  { viewer, clientKey: key, inputHash }: Joining,
  field: string,
): Promise<Joined | undefined> {
  if (key === null) return undefined;
  const first = await findJoined(tx, viewer.userId, key);
  if (!first) return undefined;
  if (!first.inputHash || !inputHash || Buffer.compare(first.inputHash, inputHash) !== 0) throw keyUsed(field);
  return { call: await present(tx, first.callId), partyId: first.id };
}

const keyUsed = (field: string) =>
  new ChatError('CONFLICT', 'This key has already been used with different input.', { field });

/** Starts a call in a conversation that has none. */
async function begin(deps: Deps, tx: Tx, kind: CallKind, joining: Joining): Promise<Joined> {
  const { viewer, conversation } = joining;
  const { config } = deps;
  const { userId } = viewer;
  const otherId = conversation.directKey === null ? null : otherOf(conversation.directKey, userId);
  await lockCounts(tx, 'calls', [userId]);
  const [isInCall, isOtherInCall] = await findInCall(
    tx,
    [userId, ...(otherId === null ? [] : [otherId])],
    config.callLostAfterMs,
  );
  if (isInCall) throw inAnotherCall();
  const isMutual = otherId === null || (await areMutualContacts(tx, userId, [otherId]));
  const endReason = isOtherInCall ? 'BUSY' : null;
  const id = newId();
  const sfuRoom = usesSfu(conversation, config) ? sfuRoomOf(id) : null;
  const call = await insertCall(
    tx,
    {
      id,
      conversationId: conversation.id,
      kind,
      startedById: userId,
      relayOnly: sfuRoom === null && isRelayOnly(config, isMutual),
      sfuRoom,
      endReason,
    },
    config.callRingTimeMs,
  );
  const partyId = await addParty(tx, call, joining);
  return { call: await recordCallChange(deps, tx, call, userId), partyId };
}

/** Answers a call, or joins the call of a group. */
async function join(deps: Deps, tx: Tx, call: Call, joining: Joining): Promise<Joined> {
  const { viewer, conversation, field } = joining;
  const { userId } = viewer;
  const { callLostAfterMs } = deps.config;
  const isGroup = conversation.kind === 'GROUP';
  const participants = await findParticipants(tx, call.id);
  if (participants.includes(userId)) {
    throw new ChatError('CONFLICT', 'Another one of your devices is in this call.', {
      field,
      reason: 'ANSWERED_ELSEWHERE',
    });
  }
  await lockCounts(tx, 'calls', [userId]);
  const [isInCall] = await findInCall(tx, [userId], callLostAfterMs);
  if (isInCall) throw inAnotherCall();
  const isOverSfu = call.sfuRoom !== null;
  const relayOnly = !isOverSfu && isRelayOnly(deps.config, await areMutualContacts(tx, userId, participants));
  const limit = isOverSfu ? 'callSfuPartiesMax' : 'callPartiesMax';
  const partiesMax = deps.config[limit];
  const answered = await answer(tx, call.id, { isGroup, partiesMax, relayOnly });
  if (!answered) {
    if (call.state === 'ACTIVE' && isGroup) {
      throw limitReached(limit, `At most ${partiesMax} devices can be in this call.`, field);
    }
    throw new ChatError('CONFLICT', 'The call has ended.', { field, reason: 'CALL_ENDED' });
  }
  const partyId = await addParty(tx, answered, joining);
  return { call: await recordCallChange(deps, tx, answered, userId), partyId };
}

const inAnotherCall = () =>
  new ChatError('CONFLICT', 'You are in another call. Leave it first.', { reason: 'IN_ANOTHER_CALL' });

async function addParty(tx: Tx, call: Call, { viewer, clientKey: key, inputHash }: Joining): Promise<string> {
  const id = newId();
  await insertParty(tx, {
    id,
    callId: call.id,
    userId: viewer.userId,
    sessionId: viewer.sessionId,
    cameraOn: hasCamera(call.kind),
    clientKey: key,
    inputHash,
    state: call.state === 'ENDED' ? 'LEFT' : 'CONNECTED',
  });
  return id;
}

/**
 * The call after a device has left it: it ends if it was still ringing, in a direct conversation, and if no device
 * remains.
 */
async function afterLeaving(
  tx: Tx,
  call: Call,
  conversation: Pick<Conversation, 'kind'>,
  reason: 'HUNG_UP' | 'FAILED',
): Promise<Call> {
  const isOver =
    call.state === 'RINGING' || conversation.kind === 'DIRECT' || (await findParticipants(tx, call.id)).length === 0;
  const endReason = call.state === 'RINGING' ? 'CANCELLED' : reason;
  const changed = isOver ? await end(tx, call.id, 'ANY', endReason) : await touchVersion(tx, call.id);
  if (!changed) throw new Error('A call has changed without the lock of its conversation');
  return changed;
}

// ── changes without a request ──

/**
 * Changes a call because of the time or of events outside of it. Its conversation must be locked.
 * @param canLose see `claimDue`.
 * @returns the call, changed or not.
 */
export async function settle(
  deps: Pick<Deps, 'config' | 'features'>,
  tx: Tx,
  callId: string,
  conversation: Conversation,
  { canLose }: { canLose: boolean },
): Promise<Call | undefined> {
  const { config } = deps;
  const missed =
    (await end(tx, callId, 'EXPIRED', 'MISSED')) ??
    ((await cannotBeAnswered(tx, callId)) ? await end(tx, callId, 'RINGING', 'MISSED') : undefined) ??
    (canLose && (await isLost(tx, callId, config)) ? await end(tx, callId, 'ACTIVE', 'LOST') : undefined);
  if (missed) return recordCallChange(deps, tx, missed, null);
  const call = await findCall(tx, callId);
  if (!call || call.state === 'ENDED') return call;
  const gone = await removeGone(tx, callId, config, canLose);
  if (gone.length > 0) {
    return recordCallChange(deps, tx, await afterLeaving(tx, call, conversation, 'FAILED'), null);
  }
  if (!(await markReconnecting(tx, callId, config))) return call;
  const changed = await touchVersion(tx, callId);
  return changed && recordCallChange(deps, tx, changed, null);
}

/** Shows a device as connected again. */
export async function reconnected(deps: Deps, { callId, partyId }: { callId: string; partyId: string }): Promise<void> {
  const known = await findCall(deps.database.db, callId);
  if (!known) return;
  await changeConversation(deps, known.conversationId, async (tx) => {
    await lock(tx, known.conversationId);
    const changed = (await reconnect(tx, callId, partyId)) ? await touchVersion(tx, callId) : undefined;
    if (changed) await recordCallChange(deps, tx, changed, null);
  });
}

/** Removes the devices of a member who leaves a locked conversation from its call. */
export async function endMembersCall(
  tx: Tx,
  { conversationId, userId }: { conversationId: string; userId: string },
  deps: Pick<Deps, 'config' | 'features'>,
): Promise<void> {
  const call = await findLiveIn(tx, conversationId);
  if (!call || !(await leaveAll(tx, call.id, userId))) return;
  await recordCallChange(deps, tx, await afterLeaving(tx, call, { kind: 'GROUP' }, 'FAILED'), null);
}

/** Ends the call of two users when one of them blocks the other, as if the blocking user had ended it. */
export async function endBlockedCall(
  deps: Pick<Deps, 'config' | 'features'>,
  tx: Tx,
  blockerId: string,
  { id }: Conversation,
): Promise<void> {
  const call = await findLiveIn(tx, id);
  if (!call) return;
  const ringing = call.startedById === blockerId ? 'CANCELLED' : 'DECLINED';
  const ended = await end(tx, call.id, 'ANY', call.state === 'RINGING' ? ringing : 'HUNG_UP');
  if (ended) await recordCallChange(deps, tx, ended, null);
}

// ── lists ──

/** The calls in the viewer's conversations, newest first. Throws BAD_USER_INPUT for invalid arguments of the page. */
export function pageOfCalls({ database, config }: Deps, { userId }: Viewer, args: PageArgs): Promise<Page<FullCall>> {
  return readPage(args, config, {
    name: `calls:${userId}`,
    keys: ['date', 'uuid'],
    read: ({ from, size }) => findOfUser(database.db, userId, { after: isoKeyset(from), limit: size + 1 }),
    keysetOf: (call) => [call.startedAt, call.id],
  });
}

/**
 * The calls of a conversation, newest first. `read` reads a page; null if the viewer is not a member.
 * @throws {ChatError} FORBIDDEN: the viewer is not a member; BAD_USER_INPUT of the page's arguments.
 */
export async function pageOfConversation(
  { config }: Deps,
  { id }: Pick<Conversation, 'id'>,
  args: PageArgs,
  read: (conversationId: string, page: CallsPage) => Promise<FullCall[] | null>,
): Promise<Page<FullCall>> {
  return readPage(args, config, {
    name: `calls:${id}`,
    keys: ['date', 'uuid'],
    read: async ({ from, size }) => {
      const calls = await read(id, { after: isoKeyset(from), limit: size + 1 });
      if (!calls) throw new ChatError('FORBIDDEN', 'Join this group to see its calls.', { reason: 'NOT_A_MEMBER' });
      return calls;
    },
    keysetOf: (call) => [call.startedAt, call.id],
  });
}
