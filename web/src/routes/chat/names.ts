import type { Conversation, Message, User } from '@parley/client';
import type { Text } from '../../locales/en.ts';
import { plainText } from './message-text.tsx';

/** The title of a group, or the name of the other user. */
export const nameOf = ({ kind, title, counterpart }: Conversation): string =>
  (kind === 'DIRECT' ? counterpart?.displayName : title) ?? '';

/** The picture of a conversation, and the id that the color of its initials depends on. */
export const pictureOf = ({ id, imageUrl, counterpart }: Conversation) =>
  counterpart ? { id: counterpart.id, url: counterpart.avatarUrl } : { id, url: imageUrl };

/** How a user appears, if it is known and they are connected. */
export function presenceOf({ pane }: Text, user: User | null | undefined) {
  const labels: Readonly<Record<string, string>> = { ONLINE: pane.online, BUSY: pane.busy, AWAY: pane.away };
  const { status = '' } = user?.presence ?? {};
  const label = labels[status];
  return label === undefined ? undefined : { status, label };
}

/** Whether the content of a message is shown: it is not encrypted, or was opened. */
export const isShown = ({ protection = 'protected' }: Pick<Message, 'protection'>): boolean =>
  protection === 'protected';

/** A message on one line: its text, or the kinds of its files. */
export function previewOf(
  { pane }: Text,
  {
    text,
    attachments = [],
    protection,
  }: { text: string | null; attachments?: readonly { kind: string }[]; protection?: Message['protection'] },
): string {
  if (text) return plainText(text);
  const [first, ...others] = attachments;
  if (protection && !first) return pane.encrypted;
  if (others.length > 0) return pane.files(attachments.length);
  return pane.kinds[first?.kind as keyof typeof pane.kinds] ?? pane.kinds.FILE;
}

/** The text of a system message. */
export function systemText({ pane }: Text, { systemEvent }: Pick<Message, 'systemEvent'>): string {
  const { system } = pane;
  if (!systemEvent) return system.other;
  const { type, actor, subjects, newValue } = systemEvent;
  const who = actor?.displayName ?? system.somebody;
  const whom = subjects.map(({ displayName }) => displayName).join(', ');
  switch (type) {
    case 'GROUP_CREATED':
      return system.created(who);
    case 'MEMBER_ADDED':
      return system.added(who, whom);
    case 'MEMBER_JOINED':
      return system.joined(whom || who);
    case 'MEMBER_LEFT':
      return system.left(whom || who);
    case 'MEMBER_REMOVED':
      return system.removed(who, whom);
    case 'ROLE_CHANGED':
      return system.role(who, whom);
    case 'TITLE_CHANGED':
      return system.title(who, newValue ?? '');
    case 'DESCRIPTION_CHANGED':
      return system.description(who);
    case 'VISIBILITY_CHANGED':
    case 'HISTORY_VISIBILITY_CHANGED':
      return system.settings(who);
    case 'CALL_ENDED':
      return /MISSED|BUSY|CANCEL/.test(newValue ?? '') ? system.missedCall : system.call;
    case 'ENCRYPTION_ENABLED':
      return system.encrypted(who);
    default:
      // A newer server can use other values.
      return system.other;
  }
}
