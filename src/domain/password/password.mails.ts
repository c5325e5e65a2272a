import type { Mail } from '../../infra/mail.js';

/**
 * The email with a link to the web client's page if one is configured (`{token}` is replaced), otherwise with the
 * token.
 */
export function resetMail(
  to: string,
  { token, expiresAt, pageUrl }: { token: string; expiresAt: Date; pageUrl: string | undefined },
): Mail {
  return compose(to, 'Reset your password', [
    'Someone, probably you, asked to reset the password of your account.',
    ...(pageUrl === undefined
      ? ['To choose a new password, enter this code where you asked for it:', token]
      : ['To choose a new password, open this link:', new URL(pageUrl.replaceAll('{token}', token))]),
    `It can be used once and expires on ${expiresAt.toUTCString()}.`,
    'If you did not ask for this, ignore this email. Your password stays unchanged.',
  ]);
}

/** Warns the owner of the account, in case somebody else changed the password. */
export function changedMail(to: string, at: Date): Mail {
  return compose(to, 'Your password was changed', [
    `The password of your account was changed on ${at.toUTCString()}. Your other devices were signed out.`,
    'If this was not you, reset your password immediately on the sign-in page.',
  ]);
}

/**
 * Composes the text and HTML versions from the same paragraphs. They must not contain user content such as names,
 * because otherwise anybody could send arbitrary text to an address by registering it.
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
