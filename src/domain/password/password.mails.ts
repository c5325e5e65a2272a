import type { Mail } from '../../infra/mail.js';

/** With a link to the web client's page where one is configured (`{token}` in it), else with the token itself. */
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

/** For whoever did not change it themselves. */
export function changedMail(to: string, at: Date): Mail {
  return compose(to, 'Your password was changed', [
    `The password of your account was changed on ${at.toUTCString()}. Your other devices were signed out.`,
    'If this was not you, reset your password immediately on the sign-in page.',
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
