import { afterKeyset, type PageRequest } from '../../core/page.js';
import type { User } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';

export type { User };

/**
 * Whether the user is the only admin of the service. The caller must hold the locks of all admins until the end of the
 * transaction.
 */
export async function isLastAdmin(tx: Tx, userId: string): Promise<boolean> {
  const admins = await tx.$queryRaw<{ id: string }[]>`
    SELECT id::text FROM users WHERE service_role = 'ADMIN' AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE`;
  return admins.length === 1 && admins[0]?.id === userId;
}

/** Lists suspended users, latest first. */
export function listSuspended(db: Db, page: PageRequest<readonly ['date', 'uuid']>): Promise<User[]> {
  return db.user.findMany({
    where: { suspendedAt: { not: null }, AND: afterKeyset(page.from, 'suspendedAt', 'id', 'latest first') },
    orderBy: [{ suspendedAt: 'desc' }, { id: 'desc' }],
    take: page.size + 1,
  });
}
