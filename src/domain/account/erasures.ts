import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineExtensionPoint } from '../../platform/feature.js';
import { defineService } from '../../platform/service.js';
import { changeConversation } from '../conversation/conversation.store.js';

/**
 * The job that completes the deletion of accounts: it removes them from their groups and, if configured, deletes their
 * messages and reactions. It runs in steps that each leave a consistent state, on any node. If a node crashes, another
 * one continues.
 */
export interface AccountErasureJob {
  /** Starts the job; to be called after the deletion of an account was committed. */
  begin(): void;
  /** Stops the job. Resolves when the current step is complete. */
  close(): Promise<void>;
}

/** The interval at which a node checks for work that another node left unfinished, in milliseconds. */
const POLL_INTERVAL_MS = 60_000;
/** The maximum duration of a step in milliseconds, after which another node takes over. */
const CLAIM_MS = 60_000;
/**
 * Data of a deleted account that is erased after the deletion, one conversation at a time and in the order of the
 * features, because it takes long or because others must be notified of it.
 */
export interface ErasureStep {
  /** The conversations in which there is something to erase. */
  findConversations(deps: ErasureDeps, userId: string): Promise<readonly string[]>;
  /** Erases a part of the data in one conversation. Returns whether there is more. */
  erase(deps: ErasureDeps, tx: Tx, conversationId: string, userId: string): Promise<boolean>;
}
type ErasureDeps = Pick<Deps, 'config' | 'database' | 'log' | 'services' | 'features'>;

export const erasureSteps = defineExtensionPoint<ErasureStep>('erasure steps');

export function createAccountErasureJob(
  deps: ErasureDeps,
  { pollIntervalMs = POLL_INTERVAL_MS }: { pollIntervalMs?: number } = {},
): AccountErasureJob {
  const { database, log } = deps;
  const { db } = database;
  let closed = false;
  let running: Promise<void> | undefined;
  let again = false;

  function begin(): void {
    if (closed) return;
    again = true;
    running ??= (async () => {
      while (again && !closed) {
        again = false;
        for (let userId = await claim(); userId !== undefined && !closed; userId = await claim()) await erase(userId);
      }
    })()
      .catch((error: unknown) => {
        if (!closed) log.warn({ err: error }, 'data of a deleted account could not be erased; retrying');
      })
      .finally(() => {
        running = undefined;
      });
  }

  async function claim(): Promise<string | undefined> {
    const [row] = await db.$queryRaw<{ userId: string }[]>`
      UPDATE erasures SET claimed_until = clock_timestamp() + ${CLAIM_MS}::int * interval '1 millisecond'
      WHERE user_id = (
        SELECT user_id FROM erasures
        WHERE claimed_until < clock_timestamp()
          -- Members are notified that the account was deleted before they are notified that it left.
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

  const timer = setInterval(begin, pollIntervalMs);
  begin();
  return {
    begin,
    async close() {
      closed = true;
      clearInterval(timer);
      await running;
    },
  };
}

export const erasures = defineService('account erasures', (deps) => createAccountErasureJob(deps));
