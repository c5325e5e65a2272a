import { badInput, gone, limitReached, notFound } from '../../core/errors.js';
import { encodePageCursor, type Page, type PageArgs, type PageEdge, readPage } from '../../core/page.js';
import type { Contact, User } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import type { ListChangeType } from '../relationship/relationship.events.js';
import { recordRelationshipChanges } from '../relationship/relationship.store.js';
import { lockCounts, lockUsersForShare, requireActiveViewer } from '../user/user.store.js';
import { listContacts } from './contact.store.js';

type ContactOfUser = Contact & { user: User };

/**
 * Adds a user to the viewer's contacts. Idempotent. The user is not notified.
 * @returns the contact as an item of the list of `pageOfContacts`.
 * @throws {ChatError} BAD_USER_INPUT of `input.userId`: it is the viewer; NOT_FOUND; FORBIDDEN: the list is full.
 */
export async function addContact(deps: Deps, viewer: Viewer, userId: string): Promise<PageEdge<ContactOfUser>> {
  const field = 'input.userId';
  if (userId === viewer.userId) throw badInput(field, 'You cannot add yourself as a contact.');
  const { contactsMax } = deps.config;
  let contact = null as Contact | null;
  const user = await change(deps, viewer, userId, 'CONTACT_ADDED', async (tx, user) => {
    if (user.deletedAt) throw notFound(field, 'User');
    await lockCounts(tx, 'contacts', [viewer.userId]);
    const key = { ownerId: viewer.userId, userId };
    contact = await tx.contact.findUnique({ where: { ownerId_userId: key } });
    if (contact) return false;
    if ((await tx.contact.count({ where: { ownerId: viewer.userId } })) >= contactsMax) {
      throw limitReached('contactsMax', `You can have at most ${contactsMax} contacts.`, field);
    }
    contact = await tx.contact.create({ data: key });
    return true;
  });
  const node = { ...(contact ?? gone('Contact')), user };
  return { node, cursor: encodePageCursor(listOf(viewer.userId), keysetOf(node)) };
}

/**
 * Removes a user from the viewer's contacts. Idempotent.
 * @throws {ChatError} NOT_FOUND of `input.userId`: there is no such user.
 */
export async function removeContact(deps: Deps, viewer: Viewer, userId: string): Promise<User> {
  return change(deps, viewer, userId, 'CONTACT_REMOVED', async (tx) => {
    const { count } = await tx.contact.deleteMany({ where: { ownerId: viewer.userId, userId } });
    return count > 0;
  });
}

/** Changes the viewer's contacts. `work` returns whether anything changed. */
async function change(
  { database }: Deps,
  viewer: Viewer,
  userId: string,
  type: ListChangeType,
  work: (tx: Tx, user: User) => Promise<boolean>,
): Promise<User> {
  return database.transaction(async (tx) => {
    // Both in one statement, in the order of ids: the deletion of the other account waits here, and not in a deadlock.
    await lockUsersForShare(tx, [viewer.userId, userId]);
    await requireActiveViewer(tx, viewer);
    const user = await tx.user.findUnique({ where: { id: userId } });
    if (!user) throw notFound('input.userId', 'User');
    if (!(await work(tx, user))) return user;
    const own = { userId: viewer.userId, type, aboutId: userId };
    // The other user's event only reports that the data visible to them may have changed, not why.
    await recordRelationshipChanges(tx, [own, { userId, type: null, aboutId: null }]);
    return user;
  });
}

/** The name of a user's list of contacts, to which its cursors belong. */
const listOf = (ownerId: string) => `contacts:${ownerId}`;
const keysetOf = ({ addedAt, userId }: Contact) => [addedAt, userId] as const;

/** The viewer's contacts, latest first. Throws BAD_USER_INPUT for invalid arguments of the page. */
export function pageOfContacts(
  { database, config }: Deps,
  { userId }: Viewer,
  args: PageArgs,
): Promise<Page<ContactOfUser>> {
  return readPage(args, config, {
    name: listOf(userId),
    keys: ['date', 'uuid'],
    read: (page) => listContacts(database.db, userId, page),
    keysetOf,
  });
}

/** The number of the viewer's contacts. */
export const countContacts = ({ database }: Deps, { userId: ownerId }: Viewer): Promise<number> =>
  database.db.contact.count({ where: { ownerId } });
