import type {
  MemberNotificationSettings,
  NotificationLevel,
  NotificationSettings,
} from '../../generated/prisma/client.js';
import { Prisma } from '../../generated/prisma/client.js';
import type { Db, Sql, Tx } from '../../infra/database/database.js';

export type { MemberNotificationSettings, NotificationLevel, NotificationSettings };

/** The settings that these users have changed, in the same order; null for those who have changed none. */
export async function findSettings(db: Db, userIds: readonly string[]): Promise<(NotificationSettings | null)[]> {
  const rows = await db.notificationSettings.findMany({ where: { userId: { in: [...userIds] } } });
  const byUser = new Map(rows.map((row) => [row.userId, row]));
  return userIds.map((userId) => byUser.get(userId) ?? null);
}

/** The settings of these memberships, in the same order; null where nothing was changed. */
export async function findMemberSettings(
  sql: Sql,
  membershipIds: readonly string[],
): Promise<(MemberNotificationSettings | null)[]> {
  const rows = await sql.query<MemberNotificationSettings>(Prisma.sql`
    SELECT membership_id::text AS "membershipId", level::text AS level, muted_until AS "mutedUntil"
    FROM member_notification_settings WHERE membership_id = ANY (${membershipIds}::uuid[])`);
  const byMembership = new Map(rows.map((row) => [row.membershipId, row]));
  return membershipIds.map((id) => byMembership.get(id) ?? null);
}

/**
 * Stores settings of a membership that the transaction has locked (`lockMembershipShared`). Null removes a setting.
 * @returns whether they were different before.
 */
export async function storeMemberSettings(
  tx: Tx,
  membershipId: string,
  setting: { level: NotificationLevel | null } | { mutedUntil: Date | null },
): Promise<boolean> {
  const [column, value] =
    'level' in setting
      ? [Prisma.raw('level'), Prisma.sql`${setting.level}::text::"NotificationLevel"`]
      : [Prisma.raw('muted_until'), Prisma.sql`${setting.mutedUntil?.toISOString() ?? null}::text::timestamptz(3)`];
  const changed = await tx.$executeRaw`
    INSERT INTO member_notification_settings AS own (membership_id, ${column})
    SELECT ${membershipId}::uuid, ${value}
    ON CONFLICT (membership_id) DO UPDATE SET ${column} = excluded.${column}
      WHERE own.${column} IS DISTINCT FROM excluded.${column}`;
  return changed > 0;
}
