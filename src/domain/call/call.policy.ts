import type { Call, CallKind, CallParty, Conversation, Membership } from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';
import { canRead } from '../conversation/conversation.policy.js';
import { hasTurn, type SfuConfig, sfuOf } from './call.settings.js';

/** Conversations with too many members have no calls, because each call rings for all of them. */
export const canHaveCalls = (
  { memberCount }: Pick<Conversation, 'memberCount'>,
  { callMembersMax }: Pick<Config, 'callMembersMax'>,
): boolean => memberCount <= callMembersMax;

/**
 * In larger groups, audio and video go through an SFU if there is one, because a device cannot send to so many others.
 */
export const usesSfu = (
  { kind, memberCount }: Pick<Conversation, 'kind' | 'memberCount'>,
  config: Pick<Config, 'callPartiesMax'> & SfuConfig,
): boolean => kind === 'GROUP' && memberCount > config.callPartiesMax && sfuOf(config) !== undefined;

/** A device takes part with the session in which it joined. */
export const isOwnParty = (
  party: Pick<CallParty, 'userId' | 'sessionId'>,
  viewer: { userId: string; sessionId: string },
): boolean => party.userId === viewer.userId && party.sessionId === viewer.sessionId;

/** Every device of a user can remove another device of the same user from the call. */
export const canLeave = (party: Pick<CallParty, 'userId'>, viewer: { userId: string }): boolean =>
  party.userId === viewer.userId;

/** Whether audio and video of these participants must go through TURN servers. */
export const isRelayOnly = (config: Pick<Config, 'callRelay' | 'turnUrls'>, areMutualContacts: boolean): boolean =>
  hasTurn(config) && (config.callRelay === 'always' || (config.callRelay === 'strangers' && !areMutualContacts));

/** Whether the camera is on at the beginning. */
export const hasCamera = (kind: CallKind): boolean => kind === 'VIDEO';

/**
 * Members see the calls of their conversations. In a group whose history is hidden from new members, they see the calls that
 * were started or went on after they joined. `canSeeCall` in the store is the same in SQL.
 */
export const canSeeCall = (
  { state, startedAt }: Pick<Call, 'state' | 'startedAt'>,
  membership: Membership | null,
): boolean =>
  canRead(membership) && (membership.hiddenToSeq === 0 || state !== 'ENDED' || startedAt >= membership.joinedAt);
