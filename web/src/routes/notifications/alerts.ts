import type { Message, Parley } from '@parley/client';
import { notificationsOf } from '@parley/client/notifications';
import { takeArrivals } from '../../arrivals.ts';
import { until } from '../../loaded.ts';
import { areSoundsOn } from '../../preferences.ts';
import { pathOf } from '../../shell/router.tsx';
import { canPlay, playSound } from './sound.ts';

/** A message that is announced while the app is open. */
export interface Alert {
  messageId: string;
  conversationId: string;
  seq: number;
  /** The conversation, or the other user. */
  title: string;
  text: string;
  sender: { id: string; displayName: string; avatarUrl: string | null } | undefined;
}

/** How long no other tab may play the sound of the same message, in milliseconds. */
const SOUND_MS = 1_000;
/** The names of the locks that tabs hold while the user is looking at them. They end with the conversation. */
const LOOKING = 'parley-looking:';

const isLooking = () => document.visibilityState === 'visible' && document.hasFocus();

/** Reports to the other tabs, as long as the user is looking at this one, which conversation is shown. */
export function watchLooking(conversationId: string | undefined): () => void {
  const { locks } = navigator;
  if (!locks) return () => {};
  let release: (() => void) | undefined;
  const update = () => {
    if (!isLooking()) {
      release?.();
      release = undefined;
    } else if (!release) {
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      void locks.request(`${LOOKING}${conversationId ?? ''}`, { mode: 'shared' }, () => held);
    }
  };
  update();
  for (const name of ['focus', 'blur']) addEventListener(name, update);
  document.addEventListener('visibilitychange', update);
  return () => {
    for (const name of ['focus', 'blur']) removeEventListener(name, update);
    document.removeEventListener('visibilitychange', update);
    release?.();
  };
}

/** The conversations that the user is looking at; an empty id stands for another page of the app. */
async function lookedAt(ownId: string | undefined): Promise<string[]> {
  // Without Web Locks, each tab synchronizes by itself and takes no other tab into account.
  if (!navigator.locks) return isLooking() ? [ownId ?? ''] : [];
  const { held = [] } = await navigator.locks.query();
  return held.flatMap(({ name = '' }) => (name.startsWith(LOOKING) ? name.slice(LOOKING.length) : []));
}

export interface AlertOptions {
  /** The parts of a message that are shown. */
  previewOf: (message: Message) => string;
  /** The text for a message that the user does not want to be shown. */
  newMessage: () => string;
  /** The language of the page. */
  lang: () => string;
  /** The conversation in this tab. */
  currentId: () => string | undefined;
  /** Shows an alert in this tab, which the user is looking at. */
  show: (alert: Alert) => void;
}

/**
 * Announces messages of which the user wants to be notified: once, however many tabs are open, with a sound, and in the tab that
 * they are looking at or, if there is none, by a notification of the operating system. A message of a conversation that they are
 * looking at is not announced. Returns a function that ends it.
 */
export function startAlerts(parley: Parley, options: AlertOptions): () => void {
  const channel = new BroadcastChannel('parley-alerts');
  const inbox = notificationsOf(parley);

  /** Runs in each tab. */
  async function announce(alert: Alert): Promise<void> {
    if (isLooking()) options.show(alert);
    if (!areSoundsOn() || !canPlay()) return;
    const { locks } = navigator;
    if (!locks) return isLooking() ? playSound() : undefined;
    await locks.request(`parley-sound:${alert.messageId}`, { ifAvailable: true }, async (lock) => {
      if (!lock) return;
      await playSound();
      await new Promise((resolve) => setTimeout(resolve, SOUND_MS));
    });
  }

  /** Runs in the tab that synchronizes. */
  async function decide(message: Message): Promise<void> {
    const looked = await lookedAt(options.currentId());
    if (looked.includes(message.conversationId)) return;
    const alert = alertOf(message);
    channel.postMessage(alert);
    void announce(alert).catch(() => {});
    if (looked.length === 0) await notify(alert);
  }

  /** Announces what has arrived before this code was loaded, if it is still unread. */
  async function announceEarlier(): Promise<void> {
    const messages = takeArrivals();
    if (messages.length === 0) return;
    await until(inbox.settings, (settings) => settings !== undefined);
    for (const message of messages) {
      const { viewerMembership } = parley.conversation(message.conversationId).value.conversation ?? {};
      const isUnread = message.seq > (viewerMembership?.readSeq ?? Number.POSITIVE_INFINITY);
      if (isUnread && inbox.isWanted(message)) await decide(message).catch(() => {});
    }
  }

  function alertOf(message: Message): Alert {
    const { id, conversationId, seq, sender } = message;
    const { conversation } = parley.conversation(conversationId).value;
    const title = conversation?.counterpart?.displayName ?? conversation?.title ?? sender?.displayName ?? '';
    const { id: senderId = '', displayName = '', avatarUrl = null } = sender ?? {};
    return {
      ...{ messageId: id, conversationId, seq, title, text: options.previewOf(message) },
      sender: sender ? { id: senderId, displayName, avatarUrl: avatarUrl ?? null } : undefined,
    };
  }

  async function notify({ conversationId, seq, title, text, sender }: Alert): Promise<void> {
    if (globalThis.Notification?.permission !== 'granted') return;
    const registration = await navigator.serviceWorker?.getRegistration();
    // A browser that receives pushes shows those.
    if (!registration || (await registration.pushManager?.getSubscription())) return;
    const preview = inbox.settings.value?.pushPreview ?? 'FULL';
    const shown = preview === 'FULL' ? text : options.newMessage();
    const isNamed = sender === undefined || sender.displayName === title;
    await registration.showNotification(preview === 'NOTHING' ? options.newMessage() : title, {
      ...(preview !== 'NOTHING' && { body: isNamed ? shown : `${sender.displayName}: ${shown}` }),
      tag: conversationId,
      icon: '/icon-192.png',
      lang: options.lang(),
      dir: 'auto',
      // The sound is that of the app.
      silent: true,
      data: { path: pathOf({ name: 'conversation', id: conversationId, seq }) },
    });
  }

  channel.onmessage = ({ data }) => void announce(data as Alert).catch(() => {});
  const stop = inbox.onNotify((message) => void decide(message).catch(() => {}));
  void announceEarlier();
  return () => {
    stop();
    channel.close();
  };
}
