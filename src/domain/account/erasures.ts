import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineExtensionPoint } from '../../platform/feature.js';
import { defineService } from '../../platform/service.js';
import { changeConversation } from '../conversation/conversation.store.js';

/**
 * Does what is left of accounts that were deleted: takes them out of their groups and, where that is configured, deletes
 * their messages and reactions. In steps that each leave everything right, on whichever node; what one that dies leaves behind,
 * another takes up.
 */
export interface Erasures {
  /** Looks what there is to do; to be called when an account's deletion is committed. */
  begin(): void;
  /** Resolves when what is under way here has come to the end of its step. */
  close(): Promise<void>;
}

/** How often a node looks for what another has left behind, in milliseconds. */
const LOOK_MS = 60_000;
/** How long a step may take at most, in milliseconds: then another node takes over. */
const CLAIM_MS = 60_000;
/**
 * Something of a deleted account that is erased after the deletion, conversation by conversation, in the order of the
 * features: because it takes long, or because others have to be notified of it.
 */
export interface ErasureStep {
  /** The conversations in which there is something to erase. */
  findConversations(deps: ErasureDeps, userId: string): Promise<readonly string[]>;
  /** Erases some of it in one conversation. @returns whether there is more. */
  erase(deps: ErasureDeps, tx: Tx, conversationId: string, userId: string): Promise<boolean>;
}
type ErasureDeps = Pick<Deps, 'config' | 'database' | 'log' | 'turns' | 'features'>;

export const erasureSteps = defineExtensionPoint<ErasureStep>('erasure steps');

export function createErasures(deps: ErasureDeps, { lookMs = LOOK_MS }: { lookMs?: number } = {}): Erasures {
  const { database, log } = deps;
  const { db } = database;
  let closed = false;
  let underWay: Promise<void> | undefined;
  let again = false;

  function begin(): void {
    if (closed) return;
    again = true;
    underWay ??= (async () => {
      while (again && !closed) {
        again = false;
        for (let userId = await claim(); userId !== undefined && !closed; userId = await claim()) await erase(userId);
      }
    })()
      .catch((error: unknown) => {
        if (!closed) log.warn({ err: error }, 'data of a deleted account could not be erased; retrying');
      })
      .finally(() => {
        underWay = undefined;
      });
  }

  async function claim(): Promise<string | undefined> {
    const [row] = await db.$queryRaw<{ userId: string }[]>`
      UPDATE erasures SET claimed_until = clock_timestamp() + ${CLAIM_MS}::int * interval '1 millisecond'
      WHERE user_id = (
        SELECT user_id FROM erasures
        WHERE claimed_until < clock_timestamp()
          -- Everyone hears that the account is deleted before they hear that it leaves.
          AND NOT EXISTS (SELECT FROM person_updates WHERE person_updates.user_id = erasures.user_id)
        LIMIT 1 FOR UPDATE SKIP LOCKED
      )
      RETURNING user_id::text AS "userId"`;
    return row?.userId;
  }

  const keepClaim = (userId: string) =>
    db.$executeRaw`
      UPDATE erasures SET claimed_until = clock_timestamp() + ${CLAIM_MS}::int * interval '1 millisecond'
      WHERE user_id = ${userId}::uuid`;

  async function erase(userId: string): Promise<void> {
    for (const step of erasureSteps.of(deps)) {
      for (const conversationId of await step.findConversations(deps, userId)) {
        for (let more = true; more; ) {
          if (closed) return;
          more = await changeConversation(deps, conversationId, (tx) => step.erase(deps, tx, conversationId, userId));
          await keepClaim(userId);
        }
      }
    }
    await db.erasure.deleteMany({ where: { userId } });
  }

  const timer = setInterval(begin, lookMs);
  begin();
  return {
    begin,
    async close() {
      closed = true;
      clearInterval(timer);
      await underWay;
    },
  };
}

export const erasures = defineService('account erasures', (deps) => createErasures(deps));
