import { z } from 'zod';
import { badInput, ChatError, notFound } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import { foldWords } from '../../core/text/fold.js';
import type { Prisma } from '../../generated/prisma/client.js';
import { isUniqueViolation, type Tx } from '../../infra/database/database.js';
import { checkInput, hashInput } from '../../platform/input.js';
import { take } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { recordChange } from '../../realtime/change-log.js';
import { findReachable } from '../block/block.store.js';
import type { Deps } from '../deps.js';
import { recordSystemMessage } from '../message/message.system.js';
import { clientKey } from '../user/user.input.js';
import { isHere } from '../user/user.policy.js';
import { holdPeople, lockCounts, sessionOver } from '../user/user.store.js';
import { conversationChanged } from './conversation.events.js';
import { description, title } from './conversation.input.js';
import { canRead, isPublic, recipientUnreachable } from './conversation.policy.js';
import {
  bringIn,
  type Conversation,
  directKeyOf,
  findFull,
  findMembership,
  isFull,
  listOfMember,
  listPublic,
  type Membership,
  type MembersPage,
} from './conversation.store.js';

/**
 * The direct conversation of the viewer with somebody, made where there is none.
 * @throws {ChatError} NOT_FOUND: no such person; BAD_USER_INPUT: the viewer themselves; FORBIDDEN: there is none yet, and
 *   they cannot be written to; RATE_LIMITED: the viewer has begun too many.
 */
export async function openDirectConversation(deps: Deps, viewer: Viewer, userId: string): Promise<Conversation> {
  const field = 'input.userId';
  if (userId === viewer.userId) throw badInput(field, 'A direct conversation is with somebody else.');
  const { db } = deps.database;
  const directKey = directKeyOf(viewer.userId, userId);
  const found = await db.conversation.findUnique({ where: { directKey } });
  if (found) return found;
  const other = await db.user.findUnique({ where: { id: userId }, select: { id: true } });
  if (!other) throw notFound(field, 'User');
  take(deps.rates.openDirectPerPerson, viewer);
  try {
    return await create(
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
  } catch (error) {
    // Both opened it at once: the other's is the one.
    if (isUniqueViolation(error)) return db.conversation.findUniqueOrThrow({ where: { directKey } });
    throw error;
  }
}

const group = z.object({
  title,
  description,
  visibility: z.enum(['PRIVATE', 'PUBLIC']).nullish(),
  historyVisibility: z.enum(['ALL', 'SINCE_JOINED']).nullish(),
  memberIds: z.array(z.string()).nullish(),
  clientGroupId: clientKey('A clientGroupId', 128).nullish(),
});

/**
 * Makes a group of which the viewer is the owner; who cannot be brought in is left out without a word. The same
 * `clientGroupId` with the same input gives the group that was made first.
 * @param input with `memberIds` as ids of rows; the viewer's own among them counts for nothing.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND of `input.memberIds`, or of `input.clientGroupId`: the group that was made
 *   first is not theirs to see any more; CONFLICT of `input.clientGroupId`; FORBIDDEN: they are in too many groups.
 */
export async function createGroup(deps: Deps, viewer: Viewer, input: z.input<typeof group>): Promise<Conversation> {
  const given = checkInput(group, input);
  const wantedIds = [...new Set(given.memberIds)].filter((id) => id !== viewer.userId).sort();
  if (wantedIds.length + 1 > deps.config.groupMaxMembers) {
    throw badInput('input.memberIds', `A group has at most ${deps.config.groupMaxMembers} members.`);
  }
  const { db } = deps.database;
  const { title, description = null, clientGroupId = null } = given;
  const visibility = given.visibility ?? 'PRIVATE';
  const historyVisibility = given.historyVisibility ?? 'ALL';
  // What it is by default is left out: so were hashes made before it could be said, and they are compared still.
  const history = historyVisibility === 'ALL' ? [] : [historyVisibility];
  const inputHash = hashInput(title, description, visibility, ...history, ...wantedIds);
  try {
    const { groupAddMax } = deps.config;
    if (wantedIds.length > groupAddMax) {
      throw badInput('input.memberIds', `At most ${groupAddMax} people at once: the others can be added later.`);
    }
    const there = await db.user.count({ where: { id: { in: wantedIds }, deletedAt: null } });
    if (there !== wantedIds.length) throw notFound('input.memberIds', 'User');
    return await create(
      deps,
      viewer,
      {
        kind: 'GROUP',
        title,
        description,
        searchWords: foldWords(title),
        visibility,
        historyVisibility,
        clientGroupId,
        inputHash: clientGroupId === null ? null : inputHash,
      },
      async (tx) => {
        const { groupsMax, groupsAddedMax } = deps.config;
        await lockCounts(tx, 'groups', [viewer.userId, ...wantedIds]);
        const full = await findFull(tx, wantedIds, viewer, groupsAddedMax);
        if (await isFull(tx, viewer.userId, groupsMax))
          throw new ChatError('FORBIDDEN', `At most ${groupsMax} groups.`);
        const areReachable = await findReachable(tx, viewer.userId, wantedIds);
        const memberIds = wantedIds.filter((id, index) => areReachable[index] && !full.has(id));
        return [{ userId: viewer.userId, role: 'OWNER' }, ...memberIds.map((userId) => ({ userId }))];
      },
      wantedIds,
    );
  } catch (error) {
    if (clientGroupId === null || !(isUniqueViolation(error) || error instanceof ChatError)) throw error;
    // A retry gets the first group also where some of its people are gone since.
    const first = await db.conversation.findUnique({
      where: { createdById_clientGroupId: { createdById: viewer.userId, clientGroupId } },
    });
    if (!first) throw error;
    if (!canRead(await findMembership(db, first.id, viewer.userId)) && !isPublic(first)) {
      throw notFound('input.clientGroupId', 'Conversation');
    }
    if (!first.inputHash || Buffer.compare(first.inputHash, inputHash) !== 0) {
      throw new ChatError('CONFLICT', 'This clientGroupId was used with another input.', {
        field: 'input.clientGroupId',
      });
    }
    return first;
  }
}

/** `choose` says who is in it, of the viewer and of those who are `wanted`: while all of these are held. */
async function create(
  deps: Deps,
  viewer: Viewer,
  data: Omit<Prisma.ConversationUncheckedCreateInput, 'id' | 'createdById'>,
  choose: (tx: Tx) => Promise<{ userId: string; role?: Membership['role'] }[]>,
  wantedIds: readonly string[],
): Promise<Conversation> {
  const id = newId();
  const { conversation, changes } = await deps.database.transaction(async (tx) => {
    const held = await holdPeople(tx, [viewer.userId, ...wantedIds]);
    if (!held.some((user) => user.id === viewer.userId && isHere(user))) throw sessionOver();
    const members = await choose(tx);
    const userIds = members.map(({ userId }) => userId);
    const conversation = await tx.conversation.create({
      data: { ...data, id, createdById: viewer.userId, changeSeq: 1, memberCount: members.length },
    });
    await bringIn(tx, conversation, members, viewer.userId);
    const change = conversationChanged('created', viewer.userId, null, { conversation, memberIds: userIds });
    const created = await recordChange(tx, change);
    if (conversation.kind === 'DIRECT') return { conversation, changes: [created] };
    const told = await recordSystemMessage(deps, tx, id, {
      type: 'GROUP_CREATED',
      actorId: viewer.userId,
      newValue: conversation.title,
    });
    return { conversation: told[0]?.data.message.conversation ?? conversation, changes: [created, ...told] };
  });
  await deps.feed.announceAll(changes);
  return conversation;
}

/** The viewer's conversations, latest activity first. `query` is what of them is to be read. */
export async function listConversations(
  { database, config }: Deps,
  viewer: Viewer,
  args: PageArgs,
  query: object,
): Promise<Page<Conversation>> {
  const list = `conversations:${viewer.userId}`;
  const page = readPageArgs(list, args, ['date', 'uuid'], config);
  const rows = await listOfMember(database.db, viewer.userId, page, query);
  return toPage(list, page, rows, (row) => [row.lastActivityAt, row.id]);
}

/** As people search: longer than any title. */
const SEARCH_MAX_CHARS = 160;

/**
 * Public groups, by the beginnings of words of their title; without `search` all of them. Latest activity first.
 * @throws {ChatError} BAD_USER_INPUT of `search` or of the page's arguments; RATE_LIMITED.
 */
export async function listPublicConversations(
  { database, config, rates }: Deps,
  viewer: Viewer,
  search: string | null,
  args: PageArgs,
  query: object,
): Promise<Page<Conversation>> {
  if (search !== null && search.length > SEARCH_MAX_CHARS) {
    throw badInput('search', `A search has at most ${SEARCH_MAX_CHARS} characters.`);
  }
  const list = `public:${search ?? ''}`;
  const page = readPageArgs(list, args, ['date', 'uuid'], config);
  take(rates.searchPerPerson, viewer);
  return toPage(list, page, await listPublic(database.db, search, page, query), (row) => [row.lastActivityAt, row.id]);
}

/**
 * The members of a conversation that the viewer sees, in the order of joining.
 * @param read gives a page of one conversation.
 */
export async function listMembers(
  { config }: Deps,
  conversation: Conversation,
  args: PageArgs,
  read: (conversationId: string, page: MembersPage) => Promise<Membership[]>,
): Promise<Page<Membership>> {
  const list = `members:${conversation.id}`;
  const page = readPageArgs(list, args, ['date', 'uuid'], config);
  const from = page.from ? ([page.from[0].toISOString(), page.from[1]] as const) : null;
  const rows = await read(conversation.id, { behind: from, limit: page.size + 1 });
  return toPage(list, page, rows, (row) => [row.joinedAt, row.id]);
}
