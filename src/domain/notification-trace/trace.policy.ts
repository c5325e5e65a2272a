import type { PushResult } from '../push/push.policy.js';
import { COUNT_MAX } from '../push/push.store.js';
import type { RecordedPush, TracedMessage } from './trace.store.js';

/** Why a user was not notified of a message, with the descriptions of the schema. */
export const traceReasons = {
  OWN_MESSAGE: 'The user wrote the message.',
  SYSTEM_MESSAGE: 'The service wrote the message.',
  NOT_A_MEMBER: 'The user was not a member of the conversation when the message was processed, or cannot see it.',
  LEVEL: 'The notification level was NONE, or MENTIONS and the message did not concern the user.',
  MUTED: 'The user had muted the conversation.',
  NO_DEVICE: 'The user had no device that receives pushes.',
  READ: 'The user had read the message, on any device.',
  DELETED: 'The message was deleted.',
  LEFT: 'The user had left the conversation.',
  SENDER_UNREACHABLE: 'The user and the sender could not reach each other. The cause is not disclosed.',
  QUIET: 'The user did not want to be disturbed, or it was within their quiet hours.',
  SIGNED_OUT: 'The session of the device had expired, or the user was suspended.',
  DEVICE_REMOVED: 'The device was signed out or removed while the push was waiting.',
  DEVICE_GONE: 'The push service no longer accepts pushes for the device, which was therefore removed.',
  REJECTED: 'The push service rejected the push.',
  TOO_LARGE: 'The push service rejected the push as too large.',
  EXPIRED: 'The push service did not accept the push in time.',
  OFF: 'The server no longer sends pushes of this kind.',
  NOT_RECORDED: 'Nothing is recorded about the message, or the records have been deleted.',
} as const;

export type TraceReason = keyof typeof traceReasons;

/** Pushes of messages do not end with ENDED. */
const reasonOf = (result: Exclude<PushResult, 'SENT' | 'ENDED'>): TraceReason => {
  if (result === 'BLOCKED') return 'SENDER_UNREACHABLE';
  return result === 'GONE' ? 'DEVICE_GONE' : result;
};

/** Why a push that has ended did not notify of the message; undefined if it did. */
export function reasonOfPush(
  { result, seqs, readSeq, endedAt }: Pick<RecordedPush, 'result' | 'seqs' | 'readSeq' | 'endedAt'>,
  { seq, deletedAt }: Pick<TracedMessage, 'seq' | 'deletedAt'>,
): TraceReason | undefined {
  const [oldest] = seqs;
  // Of many messages, only the newest ones are recorded.
  const isAmong = seqs.includes(seq) || (seqs.length === COUNT_MAX && oldest !== undefined && seq < oldest);
  if (result === 'SENT' && isAmong) return undefined;
  if (readSeq !== null && seq <= readSeq) return 'READ';
  if (deletedAt && endedAt && deletedAt <= endedAt) return 'DELETED';
  // A push was sent about other messages of the same conversation.
  if (result === 'SENT' || result === 'ENDED' || result === null) return 'SENDER_UNREACHABLE';
  return reasonOf(result);
}
