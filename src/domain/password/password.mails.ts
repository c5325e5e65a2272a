import type { Mail } from '../../infra/mail.js';

/** With a link to the web client's page where one is configured (`{token}` in it), else with the token itself. */
export function resetMail(
  to: string,
  { token, expiresAt, pageUrl }: { token: string; expiresAt: Date; pageUrl: string | undefined },
): Mail {
  return compose(to, 'Choose a new password', [
    'Somebody, probably you, asked for a new password for your account.',
    ...(pageUrl === undefined
      ? ['To choose one, give this code where you asked for it:', token]
      : ['You choose it here:', new URL(pageUrl.replaceAll('{token}', token))]),
    `It can be used once, until ${expiresAt.toUTCString()}.`,
    'If you did not ask for it, do nothing: your password stays as it is.',
  ]);
}

/** For whoever did not change it themselves. */
export function changedMail(to: string, at: Date): Mail {
  return compose(to, 'Your password was changed', [
    `The password of your account was changed on ${at.toUTCString()}, and other devices were signed out.`,
    'If you did not change it, ask for a new password at once where you sign in.',
  ]);
}

/**
 * The same as text and as HTML, a paragraph each. Nothing in it may be what people chose, such as a name: whoever
 * registers with somebody else's address could else have us send them what they like.
 */
function compose(to: string, subject: string, paragraphs: (string | URL)[]): Mail {
  const html = paragraphs.map((part) => {
    const text = escaped(String(part));
    return part instanceof URL ? `<p><a href="${text}">${text}</a></p>` : `<p>${text}</p>`;
  });
  return { to, subject, text: `${paragraphs.join('\n\n')}\n`, html: `${html.join('\n')}\n` };
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string) => text.replace(/[&<>"]/g, (character) => entities[character] ?? '');
