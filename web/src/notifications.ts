import type { ConversationLevel, Inbox } from '@parley/client/notifications';
import { constant, createHook } from './loaded.ts';

/** The notifications of the user; undefined until they are loaded. */
export const useNotifications = createHook(async (parley) =>
  (await import('@parley/client/notifications')).notificationsOf(parley),
);

/** What is shown until the notifications have been loaded. */
export const noInbox = constant<Inbox>({ notifications: [], unreadCount: 0, hasMore: false, isLoaded: false });
export const noLevel = constant<ConversationLevel>({ chosen: null, level: 'ALL', mutedUntil: null, isSilent: false });
