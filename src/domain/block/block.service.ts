import { badInput, limitReached, notFound } from '../../core/errors.js';
import { type Page, type PageArgs, readPage } from '../../core/page.js';
import type { Block, User } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { lockDirect } from '../conversation/conversation.store.js';
import { recordUpdated } from '../conversation/person-change.js';
import type { ListChangeType } from '../relationship/relationship.events.js';
import { recordRelationshipChanges } from '../relationship/relationship.store.js';
import { findReachable } from '../user/reach.store.js';
import { lockUsersForUpdate, requireActiveViewer } from '../user/user.store.js';
import { blockEndings } from './block.endings.js';
import { listBlocks } from './block.store.js';

/**
 * Blocks a user. From now on, the two can neither send each other direct messages, nor open a direct conversation, nor
 * see each other's presence, and the blocked user cannot add the viewer to groups. The user is removed from the
 * viewer's contacts and is not notified. Idempotent.
 * @throws {ChatError} BAD_USER_INPUT of `input.userId`: it is the viewer; NOT_FOUND; FORBIDDEN: the viewer has blocked
 *   too many users.
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
 * Removes a block. Idempotent.
 * @throws {ChatError} NOT_FOUND of `input.userId`: there is no such user.
 */
export async function unblockUser(deps: Deps, viewer: Viewer, userId: string): Promise<User> {
  return change(deps, viewer, userId, async (tx) => {
    const { count } = await tx.block.deleteMany({ where: { blockerId: viewer.userId, blockedId: userId } });
    return count > 0 ? 'UNBLOCKED' : null;
  });
}

/**
 * Changes the viewer's blocks. If the two can no longer reach each other, or can again, both are notified that their
 * direct conversation changed, but not of the reason. `work` returns the change of the viewer's own list; null if there
 * is none.
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
    // Locked before the change, so that a concurrent message is either stored before it or rejected. Locking the users
    // excludes that the conversation is being created at the same time.
    let direct = await lockDirect(tx, viewerId, userId);
    await lockUsersForUpdate(tx, [viewerId, userId]);
    await requireActiveViewer(tx, viewer);
    direct ??= await lockDirect(tx, viewerId, userId);
    const [wasReachable] = await findReachable(tx, viewerId, [userId]);
    const type = await work(tx);
    const [isReachable] = await findReachable(tx, viewerId, [userId]);
    const isOther = wasReachable !== isReachable;
    await recordRelationshipChanges(tx, [
      ...(type === null ? [] : [{ userId: viewerId, type, aboutId: userId }]),
      // The other user's event only reports that the data visible to them may have changed, not why.
      ...(isOther ? [{ userId, type: null, aboutId: null }] : []),
    ]);
    if (!isOther || !direct) return;
    if (!isReachable) for (const end of blockEndings.of(deps)) await end(deps, tx, viewerId, direct);
    await recordUpdated(tx, [direct.id]);
  });
  return user;
}

/** The users blocked by the viewer, latest first. Throws BAD_USER_INPUT for invalid arguments of the page. */
export function pageOfBlocks(
  { database, config }: Deps,
  { userId }: Viewer,
  args: PageArgs,
): Promise<Page<Block & { blocked: User }>> {
  return readPage(args, config, {
    name: `blocks:${userId}`,
    keys: ['date', 'uuid'],
    read: (page) => listBlocks(database.db, userId, page),
    keysetOf: (row) => [row.blockedAt, row.blockedId],
  });
}
