import { newId } from '../../core/ids.js';
import type { Prisma } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Viewer } from '../../platform/viewer.js';
import type { Change } from '../../realtime/change.js';
import { recordChange } from '../../realtime/change-log.js';
import type { Deps } from '../deps.js';
import { isHere } from '../user/user.policy.js';
import { holdPeople, sessionOver } from '../user/user.store.js';
import { conversationChanged } from './conversation.events.js';
import { bringIn, type Conversation, type Membership } from './conversation.store.js';

/**
 * Creates a conversation with its members, records the change, and announces it after the commit.
 * @param choose selects the members among the viewer and the people in `wantedIds`, whose rows are locked meanwhile.
 * @param recordMore records further changes in the same transaction; the last of them carries the newest conversation.
 */
export async function createConversation(
  deps: Deps,
  viewer: Viewer,
  data: Omit<Prisma.ConversationUncheckedCreateInput, 'id' | 'createdById'>,
  choose: (tx: Tx) => Promise<{ userId: string; role?: Membership['role'] }[]>,
  wantedIds: readonly string[],
  recordMore: (
    tx: Tx,
    conversation: Conversation,
  ) => Promise<Change<{ message: { conversation: Conversation } }>[]> = async () => [],
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
    const more = await recordMore(tx, conversation);
    return { conversation: more.at(-1)?.data.message.conversation ?? conversation, changes: [created, ...more] };
  });
  await deps.feed.announceAll(changes);
  return conversation;
}
