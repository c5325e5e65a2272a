import { afterKeyset, type PageRequest } from '../../core/page.js';
import type { Contact, User } from '../../generated/prisma/client.js';
import type { Db } from '../../infra/database/database.js';

/** Lists a user's contacts, latest first. */
export function listContacts(
  db: Db,
  ownerId: string,
  page: PageRequest<readonly ['date', 'uuid']>,
): Promise<(Contact & { user: User })[]> {
  return db.contact.findMany({
    where: { ownerId, ...afterKeyset(page.from, 'addedAt', 'userId', 'latest first') },
    include: { user: true },
    orderBy: [{ addedAt: 'desc' }, { userId: 'desc' }],
    take: page.size + 1,
  });
}
