import { encodeGlobalId } from '../../core/ids.js';
import { traceReasons } from './trace.policy.js';
import type { NotificationTrace, PushTrace } from './trace.service.js';

const outcomes = {
  SENT: 'A push was sent.',
  WAITING: 'A push is waiting to be sent.',
  NOT_SENT: 'No push was sent.',
} as const;

/** A trace as text of several lines, for the operator. Times are in UTC. */
export function describeTrace({
  outcome,
  reason,
  decidedAt,
  level,
  mutedUntil,
  isMention,
  pushes,
}: NotificationTrace): string {
  return [
    reason ? `${outcomes[outcome]} ${reason}: ${traceReasons[reason]}` : outcomes[outcome],
    `Decided: ${decidedAt?.toISOString() ?? 'not recorded'}`,
    `Level: ${level}${isMention ? ', and the message mentions the user or replies to them' : ''}`,
    `Muted until: ${mutedUntil?.toISOString() ?? 'not muted'}`,
    ...pushes.map(describePush),
  ].join('\n');
}

function describePush({
  subscriptionId,
  kind,
  outcome,
  reason,
  queuedAt,
  endedAt,
  dueAt,
  waits,
  failedAttempts,
}: PushTrace) {
  const parts = [
    `${kind} ${encodeGlobalId('PushSubscription', subscriptionId)}: ${outcome}${reason ? ` (${reason})` : ''}`,
    `queued ${queuedAt.toISOString()}`,
    endedAt && `ended ${endedAt.toISOString()}`,
    dueAt && `due ${dueAt.toISOString()}`,
    waits.length > 0 && `waited because of ${waits.join(', ')}`,
    failedAttempts > 0 && `failed attempts: ${failedAttempts}`,
  ];
  return `- ${parts.filter(Boolean).join('; ')}`;
}
