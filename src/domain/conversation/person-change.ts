import type { User } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineHook } from '../../platform/service.js';
import { recordChanges } from '../../realtime/change-log.js';
import { conversationChanged } from './conversation.events.js';
import { numberAll } from './conversation.store.js';
import { recordUpdate } from './person-updates.store.js';

/** After each change of a person's row is committed, on the node that made it. */
export const personChanged = defineHook<[userId: string]>('person changed');

/**
 * Changes a person; whoever sees them in a conversation hears of it there. `work` changes the person's row, which it must
 * lock first (`holdSelf`), so that nobody brings them into a conversation as they were before; null: nothing changed.
 * When this resolves the change is committed and told in the person's first conversations; the others follow.
 */
export async function changePerson(
  deps: Deps,
  userId: string,
  work: (tx: Tx) => Promise<User | null>,
): Promise<User | null> {
  const user = await deps.database.transaction(async (tx) => {
    const changed = await work(tx);
    if (changed) await recordUpdate(tx, userId, 'MEMBER_UPDATED');
    return changed;
  });
  if (user) personChanged.emit(deps, userId);
  return user;
}

/**
 * Records that these locked conversations are not what they were to those in them, without saying who made them so: of
 * a direct conversation that one of the two cannot be reached any more, or again.
 */
export async function recordUpdated(tx: Tx, ids: readonly string[]): Promise<void> {
  const changes = (await numberAll(tx, ids)).map((conversation) =>
    conversationChanged('updated', null, null, { conversation }),
  );
  await recordChanges(tx, changes);
}

/** Records that a member of these locked conversations has changed. */
export async function recordMemberUpdated(tx: Tx, userId: string, ids: readonly string[]): Promise<void> {
  const memberships = await tx.membership.findMany({
    where: { userId, conversationId: { in: [...ids] } },
    include: { user: true },
  });
  const byConversation = new Map(memberships.map((membership) => [membership.conversationId, membership]));
  const changes = (await numberAll(tx, [...byConversation.keys()])).map((conversation) =>
    conversationChanged('memberUpdated', userId, userId, {
      conversation,
      membership: byConversation.get(conversation.id) ?? null,
    }),
  );
  await recordChanges(tx, changes);
}
