import { validate } from 'uuid';
import type { Deps } from '../../platform/deps.js';
import type { HttpPage, PageResponse } from '../../platform/http-pages.js';
import { type Language, languageOf } from '../push/push.languages.js';
import { recordSettingsChanged } from '../viewer-changes/viewer-changes.events.js';
import { endDigest } from './digest.store.js';

const PATH = '/unsubscribe';
const PURPOSE = 'unsubscribe';

/**
 * The URL with which a user ends emails without signing in: with one click in their mail program (RFC 8058), which sends a
 * POST, or on the page that a browser shows. It does not expire, because emails do not.
 */
export function unsubscribeUrl({ secrets }: Pick<Deps, 'secrets'>, publicUrl: string, userId: string): string {
  const url = new URL(PATH, publicUrl);
  url.searchParams.set('token', `${userId}.${secrets.mac(PURPOSE, userId)}`);
  return url.href;
}

function userOf({ secrets }: Pick<Deps, 'secrets'>, token: string): string | undefined {
  const [userId = '', mac = ''] = token.split('.');
  return validate(userId) && secrets.isMac(PURPOSE, userId, mac) ? userId : undefined;
}

const style = `
  :root { color-scheme: light dark; }
  body { max-width: 38rem; margin: 15vh auto 0; padding: 0 1.5rem; font: 1.05rem/1.6 system-ui, sans-serif; }
  button { font: inherit; padding: 0.5rem 1rem; }
`;

const texts = {
  en: {
    invalid: 'This link is not valid',
    invalidHint: 'Sign in and change your notification settings instead.',
    title: 'Emails about unread messages',
    question: 'Do you want to stop receiving them?',
    unsubscribe: 'Unsubscribe',
    done: 'You are unsubscribed',
    doneHint: 'You can change this in your notification settings.',
  },
  de: {
    invalid: 'Dieser Link ist ungültig',
    invalidHint: 'Melden Sie sich stattdessen an, und ändern Sie die Einstellungen Ihrer Benachrichtigungen.',
    title: 'E-Mails über ungelesene Nachrichten',
    question: 'Möchten Sie diese E-Mails nicht mehr erhalten?',
    unsubscribe: 'Abbestellen',
    done: 'Sie haben die E-Mails abbestellt',
    doneHint: 'Sie können dies in den Einstellungen Ihrer Benachrichtigungen ändern.',
  },
  ar: {
    invalid: 'هذا الرابط غير صالح',
    invalidHint: 'سجّل الدخول وغيّر إعدادات الإشعارات بدلاً من ذلك.',
    title: 'رسائل البريد عن الرسائل غير المقروءة',
    question: 'هل تريد التوقف عن تلقيها؟',
    unsubscribe: 'إلغاء الاشتراك',
    done: 'تم إلغاء اشتراكك',
    doneHint: 'يمكنك تغيير ذلك في إعدادات الإشعارات.',
  },
} as const satisfies Record<Language, object>;

const page = (status: number, language: Language, title: string, content: string): PageResponse => ({
  status,
  style,
  html: `<!doctype html>
<html lang="${language}" dir="${language === 'ar' ? 'rtl' : 'ltr'}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${content}
</main>
</body>
</html>
`,
});

export const unsubscribePage: HttpPage = {
  path: PATH,
  async respond(deps, { method, query }) {
    const userId = userOf(deps, query.get('token') ?? '');
    if (userId === undefined) {
      const own = texts.en;
      return page(400, 'en', own.invalid, `<p>${own.invalidHint}</p>`);
    }
    const { db } = deps.database;
    const settings = await db.notificationSettings.findUnique({ where: { userId }, select: { locale: true } });
    const language = languageOf(settings?.locale ?? undefined);
    const own = texts[language];
    if (method === 'GET') {
      // The form is sent to the URL of this page.
      const form = `<form method="post"><button>${own.unsubscribe}</button></form>`;
      return page(200, language, own.title, `<p>${own.question}</p>\n${form}`);
    }
    await deps.database.transaction(async (tx) => {
      const user = await tx.user.findUnique({ where: { id: userId, deletedAt: null } });
      if (!user) return;
      await tx.notificationSettings.upsert({
        where: { userId },
        create: { userId, emailDigest: false },
        update: { emailDigest: false },
      });
      await endDigest(tx, userId);
      recordSettingsChanged(tx, userId);
    });
    return page(200, language, own.done, `<p>${own.doneHint}</p>`);
  },
};
