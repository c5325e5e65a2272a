import type { Mail } from '../../infra/mail.js';
import { languageOf } from '../push/push.languages.js';
import { pathOf } from '../push/push.payload.js';
import type { UnreadConversation } from './digest.store.js';

/** The content of an email. */
export interface Digest {
  to: string;
  preview: 'FULL' | 'SENDER' | 'NOTHING';
  locale: string | null;
  conversations: readonly UnreadConversation[];
  /** The URL of the web app. */
  publicUrl: string;
  /** The URL with which the user ends these emails. */
  unsubscribeUrl: string;
}

const texts = {
  en: {
    subject: (count: number) => (count === 1 ? 'You have an unread message' : `You have ${count} unread messages`),
    messages: (count: number) => (count === 1 ? '1 message' : `${count} messages`),
    group: 'Group',
    attachment: 'Attachment',
    open: 'Open the conversation',
    openApp: 'Open the app',
    why: 'You receive this email because you have not read these messages for a while.',
    unsubscribe: 'Unsubscribe',
  },
  de: {
    subject: (count: number) =>
      count === 1 ? 'Sie haben eine ungelesene Nachricht' : `Sie haben ${count} ungelesene Nachrichten`,
    messages: (count: number) => (count === 1 ? '1 Nachricht' : `${count} Nachrichten`),
    group: 'Gruppe',
    attachment: 'Anhang',
    open: 'Unterhaltung öffnen',
    openApp: 'App öffnen',
    why: 'Sie erhalten diese E-Mail, weil Sie diese Nachrichten seit einer Weile nicht gelesen haben.',
    unsubscribe: 'Abbestellen',
  },
  ar: {
    subject: (count: number) => `الرسائل غير المقروءة: ${count}`,
    messages: (count: number) => `عدد الرسائل: ${count}`,
    group: 'مجموعة',
    attachment: 'مرفق',
    open: 'فتح المحادثة',
    openApp: 'فتح التطبيق',
    why: 'وصلتك هذه الرسالة لأنك لم تقرأ هذه الرسائل منذ مدة.',
    unsubscribe: 'إلغاء الاشتراك',
  },
} as const;

/** The maximum length of the text of a message in UTF-16 code units. */
const EXCERPT_MAX = 300;

/** Colors for light and dark screens: programs that do not support the media query show the light ones. */
const style = `
  :root { color-scheme: light dark; }
  body { margin: 0; padding: 24px 16px; background: #f5f6f8; color: #1b1f26; font: 16px/1.5 system-ui, sans-serif; }
  .page { max-width: 560px; margin: 0 auto; }
  .card { background: #ffffff; border: 1px solid #dde1e8; border-radius: 12px; padding: 16px 20px; margin: 0 0 12px; }
  h1 { font-size: 20px; margin: 0 0 16px; }
  h2 { font-size: 16px; margin: 0; }
  p { margin: 4px 0 8px; overflow-wrap: anywhere; }
  .small { color: #59626f; font-size: 14px; }
  a { color: #1a5fd0; }
  @media (prefers-color-scheme: dark) {
    body { background: #14171c; color: #e8ebf0; }
    .card { background: #1d2229; border-color: #343b46; }
    .small { color: #a5afbd; }
    a { color: #8ab4ff; }
  }
`;

/** The email about what a user has not read, as text and as HTML that loads nothing. Texts of users are escaped. */
export function digestMail({ to, preview, locale, conversations, publicUrl, unsubscribeUrl }: Digest): Mail {
  const language = languageOf(locale ?? undefined);
  const own = texts[language];
  const total = conversations.reduce((sum, { count }) => sum + count, 0);
  const subject = own.subject(total);
  const appUrl = new URL('/', publicUrl).href;
  const items =
    preview === 'NOTHING'
      ? []
      : conversations.map(({ id, kind, title, count, seq, text, isEncrypted, senderName }) => ({
          title: oneLine(kind === 'DIRECT' ? senderName : (title ?? own.group)),
          count: own.messages(count),
          // A message without a text is encrypted or has attachments.
          excerpt:
            preview === 'FULL' && !isEncrypted
              ? excerptOf(`${kind === 'DIRECT' ? '' : `${senderName}: `}${text || own.attachment}`)
              : '',
          url: new URL(pathOf(id, seq), publicUrl).href,
        }));
  const text = [
    subject,
    ...items.map(({ title, count, excerpt, url }) => [`${title} (${count})`, excerpt, url].filter(Boolean).join('\n')),
    ...(items.length === 0 ? [`${own.openApp}: ${appUrl}`] : []),
    `${own.why}\n${own.unsubscribe}: ${unsubscribeUrl}`,
  ].join('\n\n');
  const cards = items.map(
    ({ title, count, excerpt, url }) => `<div class="card">
<h2 dir="auto">${escaped(title)}</h2>
<p class="small">${escaped(count)}</p>
${excerpt === '' ? '' : `<p dir="auto">${escaped(excerpt)}</p>\n`}<p><a href="${escaped(url)}">${escaped(own.open)}</a></p>
</div>`,
  );
  const html = `<!doctype html>
<html lang="${language}" dir="${language === 'ar' ? 'rtl' : 'ltr'}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(subject)}</title>
<style>${style}</style>
</head>
<body>
<div class="page">
<h1>${escaped(subject)}</h1>
${cards.join('\n')}${items.length === 0 ? `<p><a href="${escaped(appUrl)}">${escaped(own.openApp)}</a></p>` : ''}
<p class="small">${escaped(own.why)} <a href="${escaped(unsubscribeUrl)}">${escaped(own.unsubscribe)}</a></p>
</div>
</body>
</html>
`;
  return {
    to,
    subject,
    text: `${text}\n`,
    html,
    headers: { 'List-Unsubscribe': `<${unsubscribeUrl}>`, 'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click' },
  };
}

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();

function excerptOf(text: string): string {
  const line = oneLine(text);
  return line.length <= EXCERPT_MAX ? line : `${line.slice(0, EXCERPT_MAX).toWellFormed()}…`;
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string) => text.replace(/[&<>"]/g, (character) => entities[character] ?? '');
