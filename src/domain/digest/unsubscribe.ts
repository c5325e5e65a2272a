import { validate } from 'uuid';
import type { Deps } from '../../platform/deps.js';
import type { HttpPage, PageResponse } from '../../platform/http-pages.js';
import { recordSettingsChanged } from '../viewer-changes/viewer-changes.events.js';
import { endDigest } from './digest.store.js';

const PATH = '/unsubscribe';
const PURPOSE = 'unsubscribe';

/**
 * The URL with which a user ends mails without signing in: with one click in their mail program (RFC 8058), which sends a
 * POST, or on the page that a browser shows. It does not expire, because mails do not.
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

const page = (status: number, title: string, content: string): PageResponse => ({
  status,
  style,
  html: `<!doctype html>
<html lang="en">
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
      return page(400, 'This link is not valid', '<p>Sign in and change your notification settings instead.</p>');
    }
    if (method === 'GET') {
      // The form is sent to the URL of this page.
      const form = '<form method="post"><button>Unsubscribe</button></form>';
      return page(200, 'Emails about unread messages', `<p>Do you want to stop receiving them?</p>\n${form}`);
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
    return page(200, 'You are unsubscribed', '<p>You can change this in your notification settings.</p>');
  },
};
