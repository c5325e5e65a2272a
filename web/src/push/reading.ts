import type { Parley } from '@parley/client';
import { notificationsOf } from '@parley/client/notifications';
import { showBadge } from './badge.ts';

/** The notification of a message: `data.path` of those of pushes, and `navigate` of those that the browser has shown itself. */
type Shown = Notification & { data?: { path?: string } | null; navigate?: string };

/**
 * Closes notifications when their messages have been read, on this or another device, and shows the number of unread messages
 * of conversations that are not muted on the icon of the app, as pushes do.
 */
export function followReading(parley: Parley): void {
  let readSeqs = new Map<string, number>();
  let badge: number | undefined;
  const { level } = notificationsOf(parley);
  parley.conversations.subscribe(({ conversations, isLoaded }) => {
    if (!isLoaded) return;
    let unread = 0;
    const next = new Map<string, number>();
    for (const { id, viewerMembership } of conversations) {
      if (level(id).value.mutedUntil === null) unread += viewerMembership?.unreadCount ?? 0;
      next.set(id, viewerMembership?.readSeq ?? 0);
    }
    if (unread !== badge) showBadge(unread);
    badge = unread;
    const hasRead = [...next].some(([id, seq]) => seq > (readSeqs.get(id) ?? -1));
    readSeqs = next;
    if (hasRead) void closeRead(next);
  });
}

/** Closes the notifications of messages up to the read marks of their conversations. */
async function closeRead(readSeqs: ReadonlyMap<string, number>): Promise<void> {
  const registration = await navigator.serviceWorker?.getRegistration();
  for (const notification of (await registration?.getNotifications()) ?? []) {
    const { data, navigate } = notification as Shown;
    const { pathname } = new URL(data?.path ?? navigate ?? '/', location.origin);
    const [, id = '', seq] = /^\/c\/([^/]+)\/(\d+)$/.exec(pathname) ?? [];
    if (Number(seq) <= (readSeqs.get(decodeURIComponent(id)) ?? 0)) notification.close();
  }
}
