import type { Call, MediaError } from '@parley/client/calls';
import type { FullText } from '../../locales/en-screens.ts';
import { durationText } from '../../media/sizes.ts';
import type { CallIconName } from '../../shell/call-icon.tsx';

/** The outcome of a call from the point of view of a user: whether they called, and a text. */
export function describeCall(
  { call: text }: FullText,
  call: Pick<Call, 'kind' | 'endReason' | 'durationMs' | 'startedBy' | 'parties'>,
  ownId: string | undefined,
): { icon: CallIconName; label: string; isMissed: boolean } {
  const isOwn = call.startedBy.id === ownId;
  const hasJoined = isOwn || call.parties.some(({ user }) => user.id === ownId);
  const { durationMs, endReason } = call;
  if (durationMs != null && hasJoined) {
    const label = text.lasted(call.kind === 'VIDEO', durationText(durationMs));
    return { icon: isOwn ? 'outgoing' : 'incoming', label, isMissed: false };
  }
  if (isOwn)
    return {
      icon: 'outgoing',
      label: text.ended[endReason as keyof typeof text.ended] ?? text.ended.FAILED,
      isMissed: false,
    };
  if (endReason === 'DECLINED') return { icon: 'incoming', label: text.declined, isMissed: false };
  return { icon: 'missed', label: call.kind === 'VIDEO' ? text.missedVideo : text.missed, isMissed: true };
}

/** Why a microphone, a camera or a screen cannot be used, and what the user can do. */
export function problemText({ call: { problems } }: FullText, { source, reason }: MediaError): string {
  if (source === 'screen') return problems.screen;
  return problems[source][reason];
}
