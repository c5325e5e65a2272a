import { badInput, notFound } from '../../core/errors.js';
import { isoKeyset, type Page, type PageArgs, readPage } from '../../core/page.js';
import { isUniqueViolation } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { take } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { findReachable } from '../user/reach.store.js';
import { searchPerPerson } from '../user/user.rates.js';
import { createConversation, type OpenedConversation } from './conversation.creation.js';
import { recipientUnreachable, visibleTo } from './conversation.policy.js';
import { openDirectPerPerson } from './conversation.rates.js';
import {
  type Conversation,
  type ConversationsFilter,
  directKeyOf,
  listOfMember,
  listPublic,
  type MembersFilter,
  type Membership,
  type MembersPage,
} from './conversation.store.js';

/**
 * Returns the direct conversation of the viewer with a user, and creates it if necessary.
 * @throws {ChatError} NOT_FOUND: there is no such user; BAD_USER_INPUT: it is the viewer; FORBIDDEN: the conversation
 *   does not exist and the user cannot be reached; RATE_LIMITED: the viewer has opened too many.
 */
export async function openDirectConversation(deps: Deps, viewer: Viewer, userId: string): Promise<OpenedConversation> {
  const field = 'input.userId';
  if (userId === viewer.userId) throw badInput(field, 'You cannot open a direct conversation with yourself.');
  const { db } = deps.database;
  const directKey = directKeyOf(viewer.userId, userId);
  const found = await db.conversation.findUnique({ where: { directKey } });
  if (found) return { conversation: found, wasCreated: false };
  const other = await db.user.findUnique({ where: { id: userId }, select: { id: true } });
  if (!other) throw notFound(field, 'User');
  take(deps, openDirectPerPerson, viewer);
  try {
    const conversation = await createConversation(
      deps,
      viewer,
      { kind: 'DIRECT', directKey },
      async (tx) => {
        const [isReachable] = await findReachable(tx, viewer.userId, [userId]);
        if (!isReachable) throw recipientUnreachable(field);
        return [{ userId: viewer.userId }, { userId }];
      },
      [userId],
    );
    return { conversation, wasCreated: true };
  } catch (error) {
    // Both users opened it at the same time.
    if (!isUniqueViolation(error)) throw error;
    return { conversation: await db.conversation.findUniqueOrThrow({ where: { directKey } }), wasCreated: false };
  }
}

/**
 * The viewer's conversations that match a filter, latest activity first. `query` selects their fields.
 * @throws {ChatError} BAD_USER_INPUT of the page's arguments.
 */
export async function listConversations(
  { database, config }: Deps,
  viewer: Viewer,
  filter: ConversationsFilter,
  args: PageArgs,
  query: object,
): Promise<Page<Conversation>> {
  const { kind, unreadOnly } = filter;
  const isFiltered = kind !== null || unreadOnly;
  return readPage(args, config, {
    name: `conversations:${viewer.userId}${isFiltered ? `:${JSON.stringify([kind, unreadOnly])}` : ''}`,
    keys: ['date', 'uuid'],
    read: (page) => listOfMember(database.db, viewer.userId, filter, page, query),
    keysetOf: (row) => [row.lastActivityAt, row.id],
  });
}

/** The same as for searches for users: longer than any title, and twice the longest display name. */
const SEARCH_MAX_CHARS = 160;

/** Throws BAD_USER_INPUT of `search` if it is too long. */
function checkSearch(search: string): void {
  if (search.length > SEARCH_MAX_CHARS) {
    throw badInput('search', `The search text can have at most ${SEARCH_MAX_CHARS} characters.`);
  }
}

/**
 * Lists public groups, latest activity first. With `search`, only those with a title in which words begin with the
 * words of `search`.
 * @throws {ChatError} BAD_USER_INPUT of `search` or of the page's arguments; RATE_LIMITED.
 */
export async function listPublicConversations(
  deps: Deps,
  viewer: Viewer,
  search: string | null,
  args: PageArgs,
  query: object,
): Promise<Page<Conversation>> {
  const { database, config } = deps;
  if (search !== null) checkSearch(search);
  return readPage(args, config, {
    name: `public:${search ?? ''}`,
    keys: ['date', 'uuid'],
    read: (page) => {
      take(deps, searchPerPerson, viewer);
      return listPublic(database.db, search, page, query);
    },
    keysetOf: (row) => [row.lastActivityAt, row.id],
  });
}

/**
 * Lists the members of a conversation that is visible to the viewer, in the order of joining, optionally filtered.
 * @param read reads a page of one conversation.
 * @throws {ChatError} BAD_USER_INPUT of `search` or of the page's arguments; RATE_LIMITED of a search.
 */
export async function listMembers(
  deps: Deps,
  viewer: Viewer,
  conversation: Conversation,
  filter: MembersFilter,
  args: PageArgs,
  read: (conversationId: string, page: MembersPage) => Promise<Membership[]>,
): Promise<Page<Membership>> {
  const { search, role } = filter;
  if (search !== null) checkSearch(search);
  const isFiltered = search !== null || role !== null;
  return readPage(args, deps.config, {
    name: `members:${conversation.id}${isFiltered ? `:${JSON.stringify([role, search])}` : ''}`,
    keys: ['date', 'uuid'],
    read: ({ from, size }) => {
      if (search !== null) take(deps, searchPerPerson, viewer);
      return read(conversation.id, { ...filter, after: isoKeyset(from), limit: size + 1 });
    },
    keysetOf: (row) => [row.joinedAt, row.id],
  });
}

/**
 * The conversation with this id; null if it does not exist or the viewer cannot see it.
 * @param query what Prisma selects in addition.
 */
export const findConversation = (
  { database }: Deps,
  { userId }: Viewer,
  id: string,
  query: object,
): Promise<Conversation | null> =>
  database.db.conversation.findUnique({ ...query, where: { ...visibleTo(userId), id } });
