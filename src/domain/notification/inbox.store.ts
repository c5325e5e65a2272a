import { afterKeyset, type PageRequest } from '../../core/page.js';
import { type Notification, Prisma } from '../../generated/prisma/client.js';
import type { Db, Sql } from '../../infra/database/database.js';

/** Lists the notifications of a user, latest first. */
export const listInbox = (
  db: Db,
  userId: string,
  unreadOnly: boolean,
  page: PageRequest<readonly ['date', 'uuid']>,
): Promise<Notification[]> =>
  db.notification.findMany({
    where: {
      userId,
      ...(unreadOnly ? { readAt: null } : {}),
      ...afterKeyset(page.from, 'createdAt', 'id', 'latest first'),
    },
    orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
    take: page.size + 1,
  });

/** The number of unread notifications of each of these users, in the same order. */
export async function countUnread(sql: Sql, userIds: readonly string[]): Promise<number[]> {
  const rows = await sql.query<{ userId: string; count: number }>(Prisma.sql`
    SELECT user_id::text AS "userId", count(*)::int AS count FROM notifications
    WHERE user_id = ANY (${userIds}::uuid[]) AND read_at IS NULL GROUP BY user_id`);
  const byUser = new Map(rows.map((row) => [row.userId, row.count]));
  return userIds.map((userId) => byUser.get(userId) ?? 0);
}

/** These notifications of a user, in the same order; null for those that were removed. */
export async function findNotifications(
  db: Db,
  userId: string,
  ids: readonly string[],
): Promise<(Notification | null)[]> {
  const found = await db.notification.findMany({ where: { id: { in: [...ids] }, userId } });
  const byId = new Map(found.map((notification) => [notification.id, notification]));
  return ids.map((id) => byId.get(id) ?? null);
}
