import type { User } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineHook } from '../../platform/service.js';
import { recordChanges } from '../../realtime/change-log.js';
import { recordSettingsChanged } from '../viewer-changes/viewer-changes.events.js';
import { conversationChanged } from './conversation.events.js';
import { numberAll } from './conversation.store.js';
import { recordUpdate } from './person-updates.store.js';

/** Emitted after a change of a user's row was committed, on the node that made it. */
export const personChanged = defineHook<[userId: string]>('person changed');

/**
 * Changes a user and notifies the members of their conversations. `work` changes the row, which it must lock first
 * (`lockActiveViewer`), so that nobody adds the user to a conversation with the previous data; it returns null if nothing
 * changed. Resolves when the change is committed and announced in the first conversations of the user; the others
 * follow in the background.
 */
export async function changePerson(
  deps: Deps,
  userId: string,
  work: (tx: Tx) => Promise<User | null>,
): Promise<User | null> {
  const user = await deps.database.transaction(async (tx) => {
    const changed = await work(tx);
    if (changed) await recordUpdate(tx, userId, 'MEMBER_UPDATED');
    if (changed && !changed.deletedAt) recordSettingsChanged(tx, userId);
    return changed;
  });
  if (user) personChanged.emit(deps, userId);
  return user;
}

/**
 * Records a change of these locked conversations without an actor: the other user of a direct conversation can no
 * longer be reached, or can again.
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
