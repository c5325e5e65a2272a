/** The state of everything that decides whether a push is sent, at the time when it is due. */
export interface PushFacts {
  /** Whether the session has not ended, and its user is neither suspended nor deleted. */
  isSignedIn: boolean;
  isMember: boolean;
  /** Whether the user has read all of the messages, or they were hidden from them. */
  isRead: boolean;
  /** Whether a message is left that is not deleted, not of the user, and not read. */
  hasMessage: boolean;
  /** Whether the messages that are left are all of users who have blocked the user, or whom the user has blocked. */
  isBlocked: boolean;
  /** Whether the user has muted the conversation. */
  isMuted: boolean;
  /** The notification level of the user in the conversation. */
  level: 'ALL' | 'MENTIONS' | 'NONE';
  /** Whether one of the messages mentions the user or replies to them. */
  isMention: boolean;
  /** Whether the user does not want to be interrupted now. */
  isQuiet: boolean;
}

/** Why a push is not sent, for the metric `parley_push_jobs_dropped_total`. */
export const dropReasons = [
  'SIGNED_OUT',
  'LEFT',
  'READ',
  'DELETED',
  'BLOCKED',
  'MUTED',
  'LEVEL',
  'QUIET',
  'REJECTED',
  'TOO_LARGE',
  'EXPIRED',
  'OFF',
  'ENDED',
] as const;

export type DropReason = (typeof dropReasons)[number];

/** Why a push waits before it is sent. */
export type PushWait = 'ATTENTION' | 'DEVICE_PAUSED' | 'SERVICE_PAUSED' | 'FAILED_ATTEMPT';

/**
 * What is recorded of a push that ended: that it was sent, why it was dropped, or that its device was removed (by its
 * push service, which no longer accepted it, or in another way).
 */
export type PushResult = 'SENT' | 'GONE' | 'DEVICE_REMOVED' | DropReason;

/** The reason why a push that is due must not be sent; undefined if it must be. */
export function reasonAgainst(facts: PushFacts): DropReason | undefined {
  if (!facts.isSignedIn) return 'SIGNED_OUT';
  if (!facts.isMember) return 'LEFT';
  if (facts.isRead) return 'READ';
  if (!facts.hasMessage) return facts.isBlocked ? 'BLOCKED' : 'DELETED';
  if (facts.isMuted) return 'MUTED';
  if (facts.level === 'NONE' || (facts.level === 'MENTIONS' && !facts.isMention)) return 'LEVEL';
  return facts.isQuiet ? 'QUIET' : undefined;
}

/** The same for a push that is not about messages. `hasNotice`: whether there is still something to report. */
export function reasonAgainstSubject(
  facts: Pick<PushFacts, 'isSignedIn' | 'isMember' | 'isMuted' | 'level' | 'isQuiet'> & { hasNotice: boolean },
): DropReason | undefined {
  if (!facts.isSignedIn) return 'SIGNED_OUT';
  if (!facts.isMember) return 'LEFT';
  if (!facts.hasNotice) return 'ENDED';
  if (facts.isMuted) return 'MUTED';
  if (facts.level === 'NONE') return 'LEVEL';
  return facts.isQuiet ? 'QUIET' : undefined;
}
