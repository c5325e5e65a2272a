import { Prisma } from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';

/**
 * A condition in SQL: whether a member wants to be notified of something that happened at `at`. It needs the rows
 * `own_settings` of `member_notification_settings` and `settings` of `notification_settings`, joined by `LEFT JOIN`.
 * `level` is the lowest level at which it notifies: ALL for every message, MENTIONS for what concerns the member.
 */
export function wantsNotifications(
  { notificationLevel }: Pick<Config, 'notificationLevel'>,
  level: 'ALL' | 'MENTIONS',
  at: Prisma.Sql,
): Prisma.Sql {
  const chosen = Prisma.sql`coalesce(own_settings.level, settings.default_level, ${notificationLevel}::text::"NotificationLevel")`;
  const isEnough = level === 'ALL' ? Prisma.sql`${chosen} = 'ALL'` : Prisma.sql`${chosen} <> 'NONE'`;
  return Prisma.sql`(${isEnough} AND coalesce(own_settings.muted_until <= ${at}, true))`;
}
