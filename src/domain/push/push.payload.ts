import { encodeGlobalId } from '../../core/ids.js';
import { type WebPushSize, webPushTextMax } from '../../infra/push/web-push.js';
import type { EncryptedContent } from '../encryption/encryption.content.js';
import { type Language, languageOf } from './push.languages.js';
import type { PushNotice } from './push.subjects.js';

/** The content of a push, as it is determined when the push is due. */
export interface PushContent {
  preview: 'FULL' | 'SENDER' | 'NOTHING';
  conversation: { id: string; kind: 'DIRECT' | 'GROUP'; title: string | null };
  /** The newest of the messages. Its text is empty if it is encrypted or has only attachments. */
  message: { id: string; seq: number; text: string; encrypted: EncryptedContent | null };
  /** The content of a push that is not about messages. */
  notice?: PushNotice | undefined;
  senderName: string;
  /** The number of messages. */
  count: number;
  /** The number of the user's unread messages in all conversations that they have not muted. */
  unreadCount: number;
  /** The same for all pushes of one collapse key to one device: a notification replaces an earlier one with this tag. */
  tag: string;
  /** The language of the fixed texts. */
  locale: string | undefined;
  /** The URL of the web app, if it is configured. */
  appUrl: string | undefined;
}

/** Distinguishes a declarative push message from other JSON: the number of the RFC about Web Push. */
const DECLARATIVE = 8030;

/** The texts that are not of a message, by language. */
const texts = {
  en: {
    newMessage: 'New message',
    newMessages: (count: number) => `${count} new messages`,
    group: 'Group',
    attachment: 'Attachment',
  },
  de: {
    newMessage: 'Neue Nachricht',
    newMessages: (count: number) => `${count} neue Nachrichten`,
    group: 'Gruppe',
    attachment: 'Anhang',
  },
  ar: {
    newMessage: 'رسالة جديدة',
    newMessages: (count: number) => `الرسائل الجديدة: ${count}`,
    group: 'مجموعة',
    attachment: 'مرفق',
  },
} as const satisfies Record<Language, object>;

/** The path of a message, or of a conversation, in the web app. */
export const pathOf = (conversationId: string, seq?: number) =>
  `/c/${encodeURIComponent(encodeGlobalId('Conversation', conversationId))}${seq === undefined ? '' : `/${seq}`}`;

/** The maximum lengths in UTF-16 code units before a text is cut further so that the push fits. */
const TITLE_MAX = 120;
const BODY_MAX = 400;

/**
 * The text of a push to a browser: a declarative push message (https://www.w3.org/TR/push-api), which Safari shows
 * without a service worker, and which service workers of other browsers read. It contains the content of an encrypted message,
 * which a service worker can decrypt, if that fits.
 */
export function payloadOf(content: PushContent, size: WebPushSize): string {
  const { message, preview } = content;
  if (message.encrypted && preview === 'FULL') {
    const { deviceId, ...encrypted } = message.encrypted;
    const more = { encrypted: { ...encrypted, deviceId: encodeGlobalId('Device', deviceId) } };
    const text = JSON.stringify({ ...compose(content, BODY_MAX, TITLE_MAX), ...more });
    if (Buffer.byteLength(text) <= webPushTextMax(size)) return text;
  }
  for (let bodyMax = BODY_MAX; ; bodyMax = Math.floor(bodyMax * 0.8)) {
    const text = JSON.stringify(compose(content, bodyMax, bodyMax > 20 ? TITLE_MAX : bodyMax));
    if (Buffer.byteLength(text) <= webPushTextMax(size) || bodyMax === 0) return text;
  }
}

function compose(content: PushContent, bodyMax: number, titleMax: number) {
  const { conversation, message, notice, unreadCount, tag, locale, appUrl } = content;
  const path = pathOf(conversation.id, notice ? undefined : message.seq);
  const { title, body } = shown(content);
  return {
    web_push: DECLARATIVE,
    mutable: true,
    notification: {
      title: cut(title, titleMax),
      ...(body !== '' && { body: cut(body, bodyMax) }),
      // A path is relative to the page that registered.
      navigate: appUrl === undefined ? path : new URL(path, appUrl).href,
      tag,
      lang: languageOf(locale),
      dir: 'auto',
    },
    app_badge: unreadCount,
    conversationId: encodeGlobalId('Conversation', conversation.id),
    ...(notice ? { [notice.idField]: notice.id } : { messageId: encodeGlobalId('Message', message.id) }),
  };
}

function shown({ preview, conversation, message, notice, senderName, count, locale }: PushContent) {
  const own = texts[languageOf(locale)];
  const what = notice?.texts[languageOf(locale)] ?? (count === 1 ? own.newMessage : own.newMessages(count));
  if (preview === 'NOTHING') return { title: what, body: '' };
  const isDirect = conversation.kind === 'DIRECT';
  const title = isDirect ? senderName : (conversation.title ?? own.group);
  if (preview === 'SENDER' || notice || message.encrypted)
    return { title, body: isDirect ? what : `${senderName}: ${what}` };
  const text = message.text.replace(/\s+/g, ' ').trim() || own.attachment;
  return { title, body: isDirect ? text : `${senderName}: ${text}` };
}

/** Cuts a text without splitting a character. */
function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  let end = '';
  for (const { segment } of new Intl.Segmenter().segment(text.slice(0, max))) {
    if (end.length + segment.length >= max) break;
    end += segment;
  }
  return `${end}…`;
}
