import { newId } from '../../core/ids.js';
import type { Prisma } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { recordChange } from '../../realtime/change-log.js';
import { isActive } from '../user/user.policy.js';
import { lockUsersForShare, sessionEnded } from '../user/user.store.js';
import { conversationChanged } from './conversation.events.js';
import { type Conversation, insertMembers, type Membership } from './conversation.store.js';

/** A conversation that a call created, or that existed before. */
export interface OpenedConversation {
  conversation: Conversation;
  wasCreated: boolean;
}

/**
 * Creates a conversation with its members and records the change.
 * @param choose selects the members among the viewer and the people in `wantedIds`, whose rows are locked meanwhile.
 * @param recordMore records further changes in the same transaction, and returns the conversation as they leave it.
 */
export async function createConversation(
  deps: Deps,
  viewer: Viewer,
  data: Omit<Prisma.ConversationUncheckedCreateInput, 'id' | 'createdById'>,
  choose: (tx: Tx) => Promise<{ userId: string; role?: Membership['role'] }[]>,
  wantedIds: readonly string[],
  recordMore: (tx: Tx, conversation: Conversation) => Promise<Conversation | undefined> = async () => undefined,
): Promise<Conversation> {
  const id = newId();
  return deps.database.transaction(async (tx) => {
    const held = await lockUsersForShare(tx, [viewer.userId, ...wantedIds]);
    if (!held.some((user) => user.id === viewer.userId && isActive(user))) throw sessionEnded();
    const members = await choose(tx);
    const userIds = members.map(({ userId }) => userId);
    const conversation = await tx.conversation.create({
      data: { ...data, id, createdById: viewer.userId, changeSeq: 1, memberCount: members.length },
    });
    await insertMembers(tx, conversation, members, viewer.userId);
    const change = conversationChanged('created', viewer.userId, null, { conversation, memberIds: userIds });
    await recordChange(tx, change);
    return (await recordMore(tx, conversation)) ?? conversation;
  });
}
