import { badInput, limitReached, notFound } from '../../core/errors.js';
import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import type { Contact, User } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import type { ListChangeType } from '../relationship/relationship.events.js';
import { recordRelationshipChanges } from '../relationship/relationship.store.js';
import { holdViewer, lockCounts } from '../user/user.store.js';
import { listContacts } from './contact.store.js';

/**
 * Puts somebody on the viewer's list of contacts; who is on it already stays. They are not told.
 * @throws {ChatError} BAD_USER_INPUT of `input.userId`: the viewer themselves; NOT_FOUND; FORBIDDEN: the list is full.
 */
export async function addContact(deps: Deps, viewer: Viewer, userId: string): Promise<User> {
  const field = 'input.userId';
  if (userId === viewer.userId) throw badInput(field, 'You cannot add yourself as a contact.');
  const { contactsMax } = deps.config;
  return change(deps, viewer, userId, 'CONTACT_ADDED', async (tx, user) => {
    if (user.deletedAt) throw notFound(field, 'User');
    await lockCounts(tx, 'contacts', [viewer.userId]);
    const key = { ownerId: viewer.userId, userId };
    if (await tx.contact.findUnique({ where: { ownerId_userId: key } })) return false;
    if ((await tx.contact.count({ where: { ownerId: viewer.userId } })) >= contactsMax) {
      throw limitReached('contactsMax', `You can have at most ${contactsMax} contacts.`, field);
    }
    await tx.contact.create({ data: key });
    return true;
  });
}

/**
 * Takes somebody off the viewer's list of contacts; who is not on it stays off.
 * @throws {ChatError} NOT_FOUND of `input.userId`: no such person.
 */
export async function removeContact(deps: Deps, viewer: Viewer, userId: string): Promise<User> {
  return change(deps, viewer, userId, 'CONTACT_REMOVED', async (tx) => {
    const { count } = await tx.contact.deleteMany({ where: { ownerId: viewer.userId, userId } });
    return count > 0;
  });
}

/** `work` says whether that changed anything. */
async function change(
  { database }: Deps,
  viewer: Viewer,
  userId: string,
  type: ListChangeType,
  work: (tx: Tx, user: User) => Promise<boolean>,
): Promise<User> {
  return database.transaction(async (tx) => {
    await holdViewer(tx, viewer);
    const user = await tx.user.findUnique({ where: { id: userId } });
    if (!user) throw notFound('input.userId', 'User');
    if (!(await work(tx, user))) return user;
    const own = { userId: viewer.userId, type, aboutId: userId };
    // To the other one nothing but what they see is told.
    await recordRelationshipChanges(tx, [own, { userId, type: null, aboutId: null }]);
    return user;
  });
}

/** The viewer's contacts, the latest first. @throws {ChatError} BAD_USER_INPUT of the page's arguments. */
export async function pageOfContacts(
  { database, config }: Deps,
  { userId }: Viewer,
  args: PageArgs,
): Promise<Page<Contact & { user: User }>> {
  const list = `contacts:${userId}`;
  const page = readPageArgs(list, args, ['date', 'uuid'], config);
  return toPage(list, page, await listContacts(database.db, userId, page), (row) => [row.addedAt, row.userId]);
}
