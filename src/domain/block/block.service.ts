import { badInput, limitReached, notFound } from '../../core/errors.js';
import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import type { Block, User } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { lockDirect } from '../conversation/conversation.store.js';
import { recordUpdated } from '../conversation/person-change.js';
import type { ListChangeType } from '../relationship/relationship.events.js';
import { recordRelationshipChanges } from '../relationship/relationship.store.js';
import { findReachable } from '../user/reach.store.js';
import { holdToChange, holdViewer } from '../user/user.store.js';
import { listBlocks } from './block.store.js';

/**
 * Blocks somebody: from now on neither can write to the other in a direct conversation, begin one, or see the other's
 * presence, and they cannot bring the viewer into groups. They are off the viewer's contacts, and are not told. Who is
 * blocked already stays so.
 * @throws {ChatError} BAD_USER_INPUT of `input.userId`: the viewer themselves; NOT_FOUND; FORBIDDEN: too many are.
 */
export async function blockUser(deps: Deps, viewer: Viewer, userId: string): Promise<User> {
  const field = 'input.userId';
  if (userId === viewer.userId) throw badInput(field, 'You cannot block yourself.');
  return change(deps, viewer, userId, async (tx) => {
    const { blocksMax } = deps.config;
    const data = { blockerId: viewer.userId, blockedId: userId };
    const { count } = await tx.block.createMany({ data, skipDuplicates: true });
    if (count > 0 && (await tx.block.count({ where: { blockerId: viewer.userId } })) > blocksMax) {
      throw limitReached('blocksMax', `You can block at most ${blocksMax} users.`, field);
    }
    const { count: contacts } = await tx.contact.deleteMany({ where: { ownerId: viewer.userId, userId } });
    return count + contacts > 0 ? 'BLOCKED' : null;
  });
}

/**
 * Takes a block back; who is not blocked stays so.
 * @throws {ChatError} NOT_FOUND of `input.userId`: no such person.
 */
export async function unblockUser(deps: Deps, viewer: Viewer, userId: string): Promise<User> {
  return change(deps, viewer, userId, async (tx) => {
    const { count } = await tx.block.deleteMany({ where: { blockerId: viewer.userId, blockedId: userId } });
    return count > 0 ? 'UNBLOCKED' : null;
  });
}

/**
 * When they can reach each other no more, or again, both hear that their direct conversation changed, not by whom.
 * `work` says what became of the viewer's own list; null: nothing did.
 */
async function change(
  deps: Deps,
  viewer: Viewer,
  userId: string,
  work: (tx: Tx) => Promise<ListChangeType | null>,
): Promise<User> {
  const { userId: viewerId } = viewer;
  const user = await deps.database.db.user.findUnique({ where: { id: userId } });
  if (!user) throw notFound('input.userId', 'User');
  await deps.database.transaction(async (tx) => {
    // Locked before: what is being sent in it is sent before or refused. Held after: so is a conversation being opened.
    let direct = await lockDirect(tx, viewerId, userId);
    await holdToChange(tx, [viewerId, userId]);
    await holdViewer(tx, viewer);
    direct ??= await lockDirect(tx, viewerId, userId);
    const [wasReachable] = await findReachable(tx, viewerId, [userId]);
    const type = await work(tx);
    const [isReachable] = await findReachable(tx, viewerId, [userId]);
    const isOther = wasReachable !== isReachable;
    await recordRelationshipChanges(tx, [
      ...(type === null ? [] : [{ userId: viewerId, type, aboutId: userId }]),
      // To the other one nothing but what they see is told.
      ...(isOther ? [{ userId, type: null, aboutId: null }] : []),
    ]);
    if (isOther && direct) await recordUpdated(tx, [direct.id]);
  });
  return user;
}

/** Whom the viewer has blocked, the latest first. @throws {ChatError} BAD_USER_INPUT of the page's arguments. */
export async function pageOfBlocks(
  { database, config }: Deps,
  { userId }: Viewer,
  args: PageArgs,
): Promise<Page<Block & { blocked: User }>> {
  const list = `blocks:${userId}`;
  const page = readPageArgs(list, args, ['date', 'uuid'], config);
  return toPage(list, page, await listBlocks(database.db, userId, page), (row) => [row.blockedAt, row.blockedId]);
}
