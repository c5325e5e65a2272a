import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import type { Deps } from '../deps.js';
import { caseKey, findPeople, type User } from './user.store.js';

/** The person with this username, without regard to case; null when there is none. */
export function findByUsername({ database }: Deps, username: string): Promise<User | null> {
  return database.db.user.findUnique({ where: { usernameKey: caseKey(username), deletedAt: null } });
}

/** People by the beginning of their username or of any word of their display name, by username. */
export async function searchUsers({ database, config }: Deps, search: string, args: PageArgs): Promise<Page<User>> {
  const list = `users:${search}`;
  const page = readPageArgs(list, args, ['text'], config);
  return toPage(list, page, await findPeople(database.db, search, page), (user) => [user.usernameKey]);
}
