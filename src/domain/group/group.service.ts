import { z } from 'zod';
import { badInput, ChatError, limitReached, notFound } from '../../core/errors.js';
import { foldWords } from '../../core/text/fold.js';
import { isUniqueViolation } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput, hashInput } from '../../platform/input.js';
import type { Viewer } from '../../platform/viewer.js';
import { createConversation, type OpenedConversation } from '../conversation/conversation.creation.js';
import { canRead, isPublic } from '../conversation/conversation.policy.js';
import { findMembership, findUsersAtGroupLimit, isAtGroupLimit } from '../conversation/conversation.store.js';
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
 * Creates a group owned by the viewer. Users who cannot be added are silently omitted. Repeating the call with the same
 * `clientGroupId` and the same input returns the group created first.
 * @param input with `memberIds` as ids of rows; the viewer's own id is ignored.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND of `input.memberIds`, or of `input.clientGroupId`: the viewer can no
 *   longer see the group created first; CONFLICT of `input.clientGroupId`: it was used with another input; FORBIDDEN:
 *   the viewer is in too many groups.
 */
export async function createGroup(
  deps: Deps,
  viewer: Viewer,
  input: z.input<typeof group>,
): Promise<OpenedConversation> {
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
  // The default is omitted from the hash, so that it stays equal to hashes stored before this option existed.
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
    const conversation = await createConversation(
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
        const full = await findUsersAtGroupLimit(tx, wantedIds, viewer, groupsAddedMax);
        if (await isAtGroupLimit(tx, viewer.userId, groupsMax)) {
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
    return { conversation, wasCreated: true };
  } catch (error) {
    if (clientGroupId === null || !(isUniqueViolation(error) || error instanceof ChatError)) throw error;
    // A retry returns the first group even if some of the users have been deleted since.
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
    return { conversation: first, wasCreated: false };
  }
}
