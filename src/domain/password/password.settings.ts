import { parseUrl } from '../../core/urls.js';
import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, integer, rate, textThat } from '../../infra/config/kinds.js';

const isResetUrl = (given: string) =>
  given.includes('{token}') && /^https?:/.test(given) && parseUrl(given.replaceAll('{token}', 'token')) !== undefined;

export const passwordResetSettings = defineSettings('Accounts and passwords', {
  PASSWORD_RESET_TTL: setting(duration(), {
    default: '1h',
    description: 'How long the token in a password reset email is valid.',
  }),
  PASSWORD_RESETS_MAX: setting(integer(1, 10), {
    default: '3',
    description:
      'The maximum number of reset emails for one account within `PASSWORD_RESET_TTL`. Further requests are ignored without an error, so that nobody learns whether an account exists.',
  }),
  PASSWORD_RESET_URL: setting(textThat('an http:// or https:// URL with {token} in it', isResetUrl), {
    description:
      'The page of your web client where users choose a new password. `{token}` is replaced by the token. In `.env`, quote a URL that contains `#`.',
    whenUnset: 'emails that contain the token only',
    example: '"https://chat.example.com/reset#{token}"',
    secret: false,
  }),
});

export const passwordResetRateSettings = defineSettings('Rate limits', {
  RATE_PASSWORD_RESET_PER_ADDRESS: setting(rate, {
    default: '20/1h',
    description: 'Requests for password reset emails and invalid reset tokens from one address.',
    rateLimit: true,
  }),
});

declare module '../../infra/config/config.js' {
  interface Config
    extends SectionValues<typeof passwordResetSettings>,
      SectionValues<typeof passwordResetRateSettings> {}
}
