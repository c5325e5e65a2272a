import type { Parley } from '@parley/client';
import { notificationsOf } from '@parley/client/notifications';
import { preferredTag } from '../locales/locale.tsx';

/**
 * Sets the language of pushes and emails to that of the app, for users who have not chosen one: the server cannot
 * determine it, and would use English.
 */
export function followLanguage(parley: Parley): void {
  const { settings, updateSettings } = notificationsOf(parley);
  /** The users for whom this page has done it. If it fails, the next page load does it. */
  const done = new Set<string>();
  settings.subscribe((current) => {
    const { value } = parley.session;
    const userId = value.status === 'signedIn' ? value.viewer?.user.id : undefined;
    if (current?.locale !== null || userId === undefined || done.has(userId)) return;
    done.add(userId);
    updateSettings({ locale: preferredTag() }).catch(() => {});
  });
}
