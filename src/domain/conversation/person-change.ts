import { ChatError } from '../../core/errors.js';
import type { User } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database.js';
import type { Change } from '../../realtime/change.js';
import type { Deps } from '../deps.js';
import { type ConversationChanged, conversationChanged } from './conversation.events.js';
import { isElsewhere, type LockedConversation, lockAllOf, numberAll } from './conversation.store.js';

/** Somebody came into a conversation while theirs were being locked. */
class CameIn extends Error {}
/** How often that may happen before the call is given up. */
const ATTEMPTS_MAX = 5;

/**
 * Runs a transaction in which all conversations of a person are locked. When somebody comes with them into another one
 * meanwhile, it is run again: `check` throws for that, and is to be called when the person's row is held.
 */
export async function underAllLocks<Result>(
  deps: Pick<Deps, 'database'>,
  userId: string,
  work: (tx: Tx, conversations: LockedConversation[], check: () => Promise<void>) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await deps.database.transaction(async (tx) => {
        const conversations = await lockAllOf(tx, userId);
        const ids = conversations.map(({ id }) => id);
        // Whoever brings them in somewhere holds their row until that is done.
        return work(tx, conversations, async () => {
          if (await isElsewhere(tx, userId, ids)) throw new CameIn();
        });
      });
    } catch (error) {
      if (!(error instanceof CameIn)) throw error;
      if (attempt === ATTEMPTS_MAX) throw new ChatError('UNAVAILABLE', 'Too much happens at once.', { cause: error });
    }
  }
}

/**
 * Changes a person, and tells it in every conversation that they are in: whoever sees them there hears of it.
 * `work` runs under the locks of all these, and gives them as they are after it; null: nothing changed.
 */
export async function changePerson(
  deps: Deps,
  userId: string,
  actorId: string,
  work: (tx: Tx) => Promise<User | null>,
): Promise<User | null> {
  const { user, changes } = await underAllLocks(deps, userId, async (tx, conversations, check) => {
    const user = await work(tx);
    if (!user) return { user, changes: [] };
    await check();
    const ids = conversations.map(({ id }) => id);
    const memberships = await tx.membership.findMany({ where: { userId, conversationId: { in: ids } } });
    const byConversation = new Map(memberships.map((membership) => [membership.conversationId, membership]));
    const changes = (await numberAll(tx, ids)).flatMap((conversation): Change<ConversationChanged>[] => {
      const membership = byConversation.get(conversation.id);
      if (!membership) return [];
      return [
        conversationChanged('memberUpdated', actorId, userId, { conversation, membership: { ...membership, user } }),
      ];
    });
    await recordAll(tx, changes);
    return { user, changes };
  });
  for (const change of changes) deps.feed.announce(change);
  if (user) deps.presence.personChanged(userId);
  return user;
}

/**
 * Records that these locked conversations are not what they were to those in them, without saying who made them so: of
 * a direct conversation that one of the two cannot be reached any more, or again.
 * @returns what is to be announced.
 */
export async function recordUpdated(tx: Tx, ids: readonly string[]): Promise<Change<ConversationChanged>[]> {
  const changes = (await numberAll(tx, ids)).map((conversation) =>
    conversationChanged('updated', null, null, { conversation }),
  );
  await recordAll(tx, changes);
  return changes;
}

const recordAll = (tx: Tx, changes: readonly Change[]) =>
  tx.change.createMany({ data: changes.map(({ data: _data, ...row }) => row) });
