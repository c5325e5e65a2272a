import { afterKeyset, type PageRequest } from '../../core/page.js';
import type { Block, User } from '../../generated/prisma/client.js';
import type { Db } from '../../infra/database/database.js';

/** Lists the users whom a user has blocked, latest first. */
export function listBlocks(
  db: Db,
  blockerId: string,
  page: PageRequest<readonly ['date', 'uuid']>,
): Promise<(Block & { blocked: User })[]> {
  return db.block.findMany({
    where: { blockerId, ...afterKeyset(page.from, 'blockedAt', 'blockedId', 'latest first') },
    include: { blocked: true },
    orderBy: [{ blockedAt: 'desc' }, { blockedId: 'desc' }],
    take: page.size + 1,
  });
}
