import type { SqlTransaction } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { findSettingsAt } from '../notification/notification.store.js';
import type { NotifierBatch } from '../notifier/notifier.sources.js';
import type { PushWait } from '../push/push.policy.js';
import { newMessagesOf, SENT } from '../push/recipients.js';
import { reasonOfPush, type TraceReason } from './trace.policy.js';
import {
  findPushes,
  findTraced,
  type NotificationLevel,
  type PushKind,
  recordStep,
  type TracedMessage,
} from './trace.store.js';

/** Whether a push about a message was sent. */
type TraceOutcome = 'SENT' | 'WAITING' | 'NOT_SENT';

/** A push about a message to one device, and its outcome. */
export interface PushTrace {
  subscriptionId: string;
  kind: PushKind;
  outcome: TraceOutcome;
  reason: TraceReason | null;
  queuedAt: Date;
  /** When it was sent or dropped; null while it waits. */
  endedAt: Date | null;
  /** When it is tried next; null if it has ended. */
  dueAt: Date | null;
  waits: readonly PushWait[];
  failedAttempts: number;
}

/** Why a user was or was not notified of a message. */
export interface NotificationTrace {
  outcome: TraceOutcome;
  /** Null unless the outcome is NOT_SENT. */
  reason: TraceReason | null;
  /** When it was decided whether the user is to be notified; null if it was not, or is no longer recorded. */
  decidedAt: Date | null;
  /** The level and mute that applied then. */
  level: NotificationLevel;
  mutedUntil: Date | null;
  isMention: boolean;
  notificationId: string | null;
  pushes: readonly PushTrace[];
}

/** The maximum number of pushes of a trace. */
export const TRACED_PUSHES_MAX = 100;

/** Records in the transaction of the notifier when it decided about new messages. */
export async function recordDecisions(_deps: Deps, sql: SqlTransaction, { changes }: NotifierBatch): Promise<void> {
  const { ids } = newMessagesOf(changes);
  if (ids.length > 0) await recordStep(sql, ids);
}

/** Why the viewer was or was not notified of a message; null if they cannot see it. */
export async function traceOfViewer(
  deps: Pick<Deps, 'database' | 'config'>,
  { userId }: Viewer,
  messageId: string,
): Promise<NotificationTrace | null> {
  const message = await findTraced(deps.database.sql, { messageId, userId, sentType: SENT });
  return message?.isVisible ? trace(deps, message, userId) : null;
}

/** Why a user was or was not notified of a message, for the operator; null if the message does not exist. */
export async function traceOfUser(
  deps: Pick<Deps, 'database' | 'config'>,
  userId: string,
  messageId: string,
): Promise<NotificationTrace | null> {
  const message = await findTraced(deps.database.sql, { messageId, userId, sentType: SENT });
  return message ? trace(deps, message, userId) : null;
}

async function trace(
  { database, config }: Pick<Deps, 'database' | 'config'>,
  message: TracedMessage,
  userId: string,
): Promise<NotificationTrace> {
  const { conversationId, seq, decidedAt, isPending, isMention, notificationId } = message;
  const [settings, recorded] = await Promise.all([
    findSettingsAt(database.sql, { userId, conversationId }, decidedAt ?? new Date()),
    findPushes(database.sql, { userId, conversationId, seq }, TRACED_PUSHES_MAX),
  ]);
  const level = settings.level ?? settings.defaultLevel ?? config.notificationLevel;
  const { mutedUntil } = settings;
  // The pushes of a range can include messages that do not notify.
  const never = neverNotifies(message, userId);
  const pushes = never
    ? []
    : recorded.map(({ subscriptionId, kind, queuedAt, endedAt, dueAt, waits, tries, ...push }): PushTrace => {
        const reason = endedAt ? (reasonOfPush({ ...push, endedAt }, message) ?? null) : null;
        const outcome = endedAt === null ? 'WAITING' : reason === null ? 'SENT' : 'NOT_SENT';
        return { subscriptionId, kind, outcome, reason, queuedAt, endedAt, dueAt, waits, failedAttempts: tries };
      });
  const outcomes = pushes.map((push) => push.outcome);
  const isWaiting = outcomes.includes('WAITING') || (isPending && decidedAt === null && !never);
  const outcome = outcomes.includes('SENT') ? 'SENT' : isWaiting ? 'WAITING' : 'NOT_SENT';
  const reason =
    outcome === 'NOT_SENT' ? (never ?? pushes[0]?.reason ?? reasonAtDecision(message, { level, mutedUntil })) : null;
  return { outcome, reason, decidedAt, level, mutedUntil, isMention, notificationId, pushes };
}

/** Why a message never notifies a user, whatever their settings are. */
function neverNotifies({ kind, senderId, isVisible }: TracedMessage, userId: string): TraceReason | undefined {
  if (kind === 'SYSTEM') return 'SYSTEM_MESSAGE';
  if (senderId === userId) return 'OWN_MESSAGE';
  return isVisible ? undefined : 'NOT_A_MEMBER';
}

/** Why no push was added for a message when the notifier decided about it. */
function reasonAtDecision(
  { decidedAt, deletedAt, joinedAt, isMention }: TracedMessage,
  { level, mutedUntil }: { level: NotificationLevel; mutedUntil: Date | null },
): TraceReason {
  if (!decidedAt) return deletedAt ? 'DELETED' : 'NOT_RECORDED';
  if (joinedAt && joinedAt > decidedAt) return 'NOT_A_MEMBER';
  if (deletedAt && deletedAt <= decidedAt) return 'DELETED';
  if (mutedUntil && mutedUntil > decidedAt) return 'MUTED';
  if (level === 'NONE' || (level === 'MENTIONS' && !isMention)) return 'LEVEL';
  return 'NO_DEVICE';
}
