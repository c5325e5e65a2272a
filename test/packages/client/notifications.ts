import type { Parley } from '../../../packages/client/src/index.js';
import { type Notification, notificationsOf } from '../../../packages/client/src/notifications.js';

/** The parts of a page that show notifications. */
export interface NotificationView {
  showBadge(count: number): void;
  showList(lines: string[]): void;
  playSound(): void;
}

/** Keeps the badge and the inbox current, and plays a sound when the user wants to be notified. */
export function followNotifications(parley: Parley, view: NotificationView): void {
  const inbox = notificationsOf(parley);
  inbox.subscribe(({ notifications, unreadCount }) => {
    view.showBadge(unreadCount);
    view.showList(notifications.flatMap((each) => describe(each) ?? []));
  });
  inbox.onNotify(() => view.playSound());
}

/** A line such as “Ana and 2 others reacted to your message”. */
function describe({ kind, actors, count }: Notification): string | undefined {
  const [first] = actors;
  const others = actors.length - 1;
  const rest = others === 0 ? '' : others === 1 ? ' and 1 other' : ` and ${others} others`;
  const who = `${first?.displayName ?? 'Somebody'}${rest}`;
  switch (kind) {
    case 'MENTION':
      return `${who} mentioned you`;
    case 'REPLY':
      return count === 1 ? `${who} replied to you` : `${who} sent ${count} replies to you`;
    case 'REACTION':
      return `${who} reacted to your message`;
    case 'ADDED_TO_GROUP':
      return `${who} added you to a group`;
    case 'MISSED_CALL':
      return count === 1 ? `You missed a call from ${who}` : `You missed ${count} calls from ${who}`;
    default:
      // A newer server can use other values.
      return undefined;
  }
}
