import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, parsed } from '../../infra/config/kinds.js';

/** Durations separated by commas, in milliseconds. */
function readDurations(text: string): number[] | undefined {
  const read = text.split(',').map((part) => duration('1s').schema.safeParse(part.trim()));
  return read.every(({ success }) => success) ? read.map(({ data }) => data as number) : undefined;
}

export const digestSettings = defineSettings('Notifications', {
  DIGEST_DELAYS: setting(parsed('durations separated by commas, such as 15m,1h', readDurations), {
    default: '15m,1h,4h,24h',
    description:
      'How long a message stays unread before its recipient gets an email, and the pauses between further emails while messages stay unread. The last pause repeats. Emails are sent to users who want them (`NOTIFICATION_EMAIL_DIGEST`) if `SMTP_URL` and `PUBLIC_URL` are set.',
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof digestSettings> {}
}
