import type { Parley, Readable } from '@parley/client';
import type { ConversationLevel, Inbox, Notifications } from '@parley/client/notifications';
import { useEffect, useState } from 'react';
import { useParley } from './parley.ts';

const loaded = new WeakMap<Parley, Notifications>();
const loading = new WeakMap<Parley, Promise<Notifications>>();

/** Loads what keeps notifications current, as soon as the conversations are displayed. */
async function load(parley: Parley): Promise<Notifications> {
  const { conversations } = parley;
  if (!conversations.value.isLoaded) {
    let stop = () => {};
    await new Promise<void>((resolve) => {
      stop = conversations.subscribe(({ isLoaded }) => isLoaded && resolve());
    });
    stop();
  }
  const { notificationsOf } = await import('@parley/client/notifications');
  const notifications = notificationsOf(parley);
  loaded.set(parley, notifications);
  return notifications;
}

/** The notifications of the user; undefined until the conversations are displayed. */
export function useNotifications(): Notifications | undefined {
  const parley = useParley();
  const [found, setFound] = useState(() => loaded.get(parley));
  useEffect(() => {
    if (found) return;
    const promise = loading.get(parley) ?? load(parley);
    loading.set(parley, promise);
    promise.then(setFound, () => loading.delete(parley));
  }, [parley, found]);
  return found;
}

const constant = <T>(value: T): Readable<T> => ({
  value,
  subscribe(listener) {
    listener(value);
    return () => {};
  },
});

/** What is shown until the notifications have been loaded. */
export const noInbox = constant<Inbox>({ notifications: [], unreadCount: 0, hasMore: false, isLoaded: false });
export const noLevel = constant<ConversationLevel>({ chosen: null, level: 'ALL', mutedUntil: null, isSilent: false });
