import { badInput, ChatError, notFound } from '../../core/errors.js';
import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import type { Contact, User } from '../../generated/prisma/client.js';
import type { Deps, Viewer } from '../deps.js';
import { listContacts } from './contact.store.js';

/**
 * Puts somebody on the viewer's list of contacts; who is on it already stays. They are not told.
 * @throws {ChatError} BAD_USER_INPUT of `input.userId`: the viewer themselves; NOT_FOUND; FORBIDDEN: the list is full.
 */
export async function addContact({ database, config, presence }: Deps, viewer: Viewer, userId: string): Promise<User> {
  const field = 'input.userId';
  if (userId === viewer.userId) throw badInput(field, 'A contact is somebody else.');
  const { db } = database;
  const user = await db.user.findUnique({ where: { id: userId, deletedAt: null } });
  if (!user) throw notFound(field, 'User');
  const key = { ownerId: viewer.userId, userId };
  if (await db.contact.findUnique({ where: { ownerId_userId: key } })) return user;
  if ((await db.contact.count({ where: { ownerId: viewer.userId } })) >= config.contactsMax) {
    throw new ChatError('FORBIDDEN', `At most ${config.contactsMax} contacts.`, { field });
  }
  const { count } = await db.contact.createMany({ data: [key], skipDuplicates: true });
  if (count > 0) presence.sightChanged([viewer.userId, userId]);
  return user;
}

/**
 * Takes somebody off the viewer's list of contacts; who is not on it stays off.
 * @throws {ChatError} NOT_FOUND of `input.userId`: no such person.
 */
export async function removeContact({ database, presence }: Deps, viewer: Viewer, userId: string): Promise<User> {
  const { db } = database;
  const user = await db.user.findUnique({ where: { id: userId } });
  if (!user) throw notFound('input.userId', 'User');
  const { count } = await db.contact.deleteMany({ where: { ownerId: viewer.userId, userId } });
  if (count > 0) presence.sightChanged([viewer.userId, userId]);
  return user;
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
