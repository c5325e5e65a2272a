import { badInput } from '../../core/errors.js';
import { type Page, type PageArgs, readPage } from '../../core/page.js';
import { isUsername } from '../../core/usernames.js';
import type { Deps } from '../../platform/deps.js';
import { take } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { searchPerPerson } from './user.rates.js';
import { caseKey, findPeople, type User } from './user.store.js';

/** Twice the longest display name; longer searches cannot match. */
const SEARCH_MAX_CHARS = 160;

/**
 * The row of the viewer; null if the account was removed.
 * @param query what Prisma selects in addition.
 */
export const findViewer = ({ database }: Deps, { userId }: Viewer, query: object = {}): Promise<User | null> =>
  database.db.user.findUnique({ ...query, where: { id: userId } });

/**
 * The user with this id; null if there is none.
 * @param query what Prisma selects in addition.
 */
export const findUser = ({ database }: Deps, id: string, query: object): Promise<User | null> =>
  database.db.user.findUnique({ ...query, where: { id } });

/** The user with this username, regardless of case; null if there is none. */
export function findByUsername({ database }: Deps, username: string): Promise<User | null> {
  if (!isUsername(username)) return Promise.resolve(null);
  return database.db.user.findUnique({ where: { usernameKey: caseKey(username), deletedAt: null } });
}

/**
 * Lists users whose username, or any word of whose display name, begins with the search text, by username.
 * @throws {ChatError} BAD_USER_INPUT of `search` or of the page's arguments; RATE_LIMITED.
 */
export async function searchUsers(deps: Deps, viewer: Viewer, search: string, args: PageArgs): Promise<Page<User>> {
  const { database, config } = deps;
  if (search.length > SEARCH_MAX_CHARS)
    throw badInput('search', `The search text can have at most ${SEARCH_MAX_CHARS} characters.`);
  return readPage(args, config, {
    name: `users:${search}`,
    keys: ['text'],
    read: (page) => {
      take(deps, searchPerPerson, viewer);
      return findPeople(database.db, search, page);
    },
    keysetOf: (user) => [user.usernameKey],
  });
}
