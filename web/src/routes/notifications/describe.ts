import type { Notification } from '@parley/client/notifications';
import type { FullText } from '../../locales/en-screens.ts';

/** Keeps the direction of a name from changing that of the words around it. */
const isolated = (name: string) => `\u2068${name}\u2069`;

/** Who caused a notification, such as “Ada and 3 others”. */
function whoOf({ notifications, pane }: FullText, { kind, actors, count }: Notification): string {
  const [first, second] = actors.map(({ displayName }) => isolated(displayName));
  if (first === undefined) return pane.system.somebody;
  // Each user reacts once; of other kinds, at most ten users are known.
  const others = (kind === 'REACTION' ? Math.max(count, actors.length) : actors.length) - 1;
  if (others === 0) return first;
  return others === 1 && second !== undefined
    ? notifications.both(first, second)
    : notifications.several(first, others);
}

/** What has happened, in the words of the user; undefined for kinds of a newer server. */
export function describe(text: FullText, notification: Notification): string | undefined {
  const { kind, count } = notification;
  const own = text.notifications;
  const who = whoOf(text, notification);
  switch (kind) {
    case 'MENTION':
      return own.mentioned(who);
    case 'REPLY':
      return own.replied(who, count);
    case 'REACTION':
      return own.reacted(who);
    case 'ADDED_TO_GROUP':
      return own.added(who);
    case 'MISSED_CALL':
      return own.missedCalls(who, count);
    default:
      return undefined;
  }
}

/** The icon of a kind of notification. */
export function iconOf({ kind }: Notification) {
  const icons = { MENTION: 'at', REPLY: 'reply', REACTION: 'smile', ADDED_TO_GROUP: 'people' } as const;
  return icons[kind as keyof typeof icons] ?? 'bell';
}
