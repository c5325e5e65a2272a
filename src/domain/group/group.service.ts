import { z } from 'zod';
import { badInput, ChatError, limitReached, notFound } from '../../core/errors.js';
import { foldWords } from '../../core/text/fold.js';
import { isUniqueViolation } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput, hashInput } from '../../platform/input.js';
import type { Viewer } from '../../platform/viewer.js';
import { createConversation } from '../conversation/conversation.creation.js';
import { canRead, isPublic } from '../conversation/conversation.policy.js';
import { type Conversation, findFull, findMembership, isFull } from '../conversation/conversation.store.js';
import { findReachable } from '../user/reach.store.js';
import { clientKey } from '../user/user.input.js';
import { lockCounts } from '../user/user.store.js';
import { description, title } from './group.input.js';
import { recordSystemMessage } from './system-message.js';

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
  const { groupMaxMembers } = deps.config;
  if (wantedIds.length + 1 > groupMaxMembers) {
    throw badInput('input.memberIds', `A group can have at most ${groupMaxMembers} members.`, 'groupMaxMembers');
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
      const message = `A request can add at most ${groupAddMax} users to a group. Add the others later.`;
      throw badInput('input.memberIds', message, 'groupAddMax');
    }
    const there = await db.user.count({ where: { id: { in: wantedIds }, deletedAt: null } });
    if (there !== wantedIds.length) throw notFound('input.memberIds', 'User');
    return await createConversation(
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
        if (await isFull(tx, viewer.userId, groupsMax)) {
          throw limitReached('groupsMax', `You can create and join at most ${groupsMax} groups.`);
        }
        const areReachable = await findReachable(tx, viewer.userId, wantedIds);
        const memberIds = wantedIds.filter((id, index) => areReachable[index] && !full.has(id));
        return [{ userId: viewer.userId, role: 'OWNER' }, ...memberIds.map((userId) => ({ userId }))];
      },
      wantedIds,
      (tx, { id, title: newValue }) =>
        recordSystemMessage(deps, tx, id, { type: 'GROUP_CREATED', actorId: viewer.userId, newValue }),
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
      throw new ChatError('CONFLICT', 'This clientGroupId has already been used with different input.', {
        field: 'input.clientGroupId',
      });
    }
    return first;
  }
}
