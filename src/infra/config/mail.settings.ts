import { ConfigError } from './config-error.js';
import { defineSettings, setting } from './define-settings.js';
import { parsed, url } from './kinds.js';
import { parseMailbox } from './mailbox.js';

export const mailSettings = defineSettings(
  'Mail',
  {
    SMTP_URL: setting(url('smtp', 'smtps'), {
      description:
        'The server that sends emails. `smtp://` uses STARTTLS where the server offers it; `smtps://` is TLS from the start.',
      whenUnset: 'emails written as files to `DATA_DIR/outbox`',
      example: 'smtp://user:password@host:587',
    }),
    MAIL_FROM: setting(parsed('an address or Name <address>', parseMailbox), {
      description: 'The sender of emails. Required with `SMTP_URL`.',
      example: 'Chat <chat@example.com>',
    }),
  },
  ({ smtpUrl, mailFrom }) => {
    if (smtpUrl !== undefined && mailFrom === undefined) {
      throw new ConfigError(
        'MAIL_FROM: must be set if SMTP_URL is set: an address that the mail server is allowed to send from',
      );
    }
    return { smtpUrl, mailFrom: mailFrom ?? { name: 'Parley', address: 'parley@localhost' } };
  },
);
