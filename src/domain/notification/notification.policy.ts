import type { NotificationSettings } from './notification.store.js';
import { includes, type QuietHours } from './quiet-hours.js';

/** The quiet hours of a user; null if they have none. */
export function quietHoursOf({
  quietFrom,
  quietTo,
  quietTimeZone,
}: Pick<NotificationSettings, 'quietFrom' | 'quietTo' | 'quietTimeZone'>): QuietHours | null {
  return quietFrom === null || quietTo === null || quietTimeZone === null
    ? null
    : { from: quietFrom, to: quietTo, timeZone: quietTimeZone };
}

/** A moment in the future; null if it has passed. */
export const ahead = (moment: Date | null | undefined, now: Date): Date | null =>
  moment && moment > now ? moment : null;

/** Whether a user does not want to be interrupted now: "do not disturb" is on, or it is within their quiet hours. */
export function isQuiet(
  settings: Pick<NotificationSettings, 'doNotDisturbUntil' | 'quietFrom' | 'quietTo' | 'quietTimeZone'>,
  now: Date,
): boolean {
  const quietHours = quietHoursOf(settings);
  return ahead(settings.doNotDisturbUntil, now) !== null || (quietHours !== null && includes(quietHours, now));
}
