import type {
  MemberNotificationSettings,
  Membership,
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
 * Stores settings of a membership that the transaction has locked (`lockMembershipShared`), and records those that applied
 * until now. Null removes a setting.
 * @returns whether they were different before.
 */
export async function storeMemberSettings(
  tx: Tx,
  { id, userId, conversationId }: Pick<Membership, 'id' | 'userId' | 'conversationId'>,
  setting: { level: NotificationLevel | null } | { mutedUntil: Date | null },
): Promise<boolean> {
  const [column, value] =
    'level' in setting
      ? [Prisma.raw('level'), Prisma.sql`${setting.level}::text::"NotificationLevel"`]
      : [Prisma.raw('muted_until'), Prisma.sql`${setting.mutedUntil?.toISOString() ?? null}::text::timestamptz(3)`];
  const recorded = await tx.$executeRaw`
    WITH before AS MATERIALIZED (
      SELECT level, muted_until FROM member_notification_settings WHERE membership_id = ${id}::uuid
    ),
    changed AS (
      INSERT INTO member_notification_settings AS own (membership_id, ${column})
      SELECT ${id}::uuid, ${value}
      ON CONFLICT (membership_id) DO UPDATE SET ${column} = excluded.${column}
        WHERE own.${column} IS DISTINCT FROM excluded.${column}
      RETURNING 1
    )
    INSERT INTO past_notification_levels (user_id, conversation_id, level, muted_until)
    SELECT ${userId}::uuid, ${conversationId}::uuid, before.level, before.muted_until
    FROM changed LEFT JOIN before ON true`;
  return recorded > 0;
}

/** The settings with which the notifier decided about a message. */
export interface AppliedSettings {
  /** The level of the conversation; null for the default. */
  level: NotificationLevel | null;
  /** The level that the user had chosen as the default; null for that of the service. */
  defaultLevel: NotificationLevel | null;
  mutedUntil: Date | null;
}

/** The settings of a member that applied at a moment: the present ones, unless they were changed later. */
export async function findSettingsAt(
  sql: Sql,
  { userId, conversationId }: { userId: string; conversationId: string },
  at: Date,
): Promise<AppliedSettings> {
  const ofConversation = Prisma.sql`
    SELECT level, muted_until FROM past_notification_levels
    WHERE user_id = ${userId}::uuid AND conversation_id = ${conversationId}::uuid AND until > ${at.toISOString()}::text::timestamptz
    ORDER BY until LIMIT 1`;
  const ofUser = Prisma.sql`
    SELECT level FROM past_notification_levels
    WHERE user_id = ${userId}::uuid AND conversation_id IS NULL AND until > ${at.toISOString()}::text::timestamptz
    ORDER BY until LIMIT 1`;
  const [row] = await sql.query<AppliedSettings>(Prisma.sql`
    WITH past AS (${ofConversation}), past_default AS (${ofUser}),
    present AS (
      SELECT own.level, own.muted_until FROM memberships
      JOIN member_notification_settings own ON own.membership_id = memberships.id
      WHERE memberships.user_id = ${userId}::uuid AND memberships.conversation_id = ${conversationId}::uuid
    )
    SELECT CASE WHEN EXISTS (SELECT FROM past) THEN (SELECT level FROM past) ELSE (SELECT level FROM present) END::text
             AS level,
           CASE WHEN EXISTS (SELECT FROM past) THEN (SELECT muted_until FROM past)
             ELSE (SELECT muted_until FROM present) END AS "mutedUntil",
           CASE WHEN EXISTS (SELECT FROM past_default) THEN (SELECT level FROM past_default)
             ELSE (SELECT default_level FROM notification_settings WHERE user_id = ${userId}::uuid) END::text
             AS "defaultLevel"`);
  return row ?? { level: null, defaultLevel: null, mutedUntil: null };
}
