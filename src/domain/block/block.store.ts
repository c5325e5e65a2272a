import { behind, type PageRequest } from '../../core/page.js';
import type { Block, User } from '../../generated/prisma/client.js';
import type { Db } from '../../infra/database/database.js';

/** Whom somebody has blocked, the latest first. */
export function listBlocks(
  db: Db,
  blockerId: string,
  page: PageRequest<readonly ['date', 'uuid']>,
): Promise<(Block & { blocked: User })[]> {
  return db.block.findMany({
    where: { blockerId, ...behind(page.from, 'blockedAt', 'blockedId', 'latest first') },
    include: { blocked: true },
    orderBy: [{ blockedAt: 'desc' }, { blockedId: 'desc' }],
    take: page.size + 1,
  });
}
