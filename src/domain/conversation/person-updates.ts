import { setTimeout } from 'node:timers/promises';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineHook, defineService } from '../../platform/service.js';
import { changeConversation, lock, lockAvailable } from './conversation.store.js';
import { recordMemberUpdated, recordUpdated } from './person-change.js';
import {
  claimUpdates,
  findNextConversations,
  finishUpdate,
  moveUpdate,
  type PersonUpdate,
  peopleUpdated,
} from './person-updates.store.js';

/**
 * Announces changes of users in all of their conversations, a few conversations at a time, so that no conversation is
 * locked for long, the caller that changed the user does not wait for all of them, and other work is not starved. The
 * remaining work is stored in the transaction of the change, so that another node continues if this one crashes.
 */
export interface PersonUpdates {
  /**
   * Starts to announce a committed update. Resolves when it was announced in the first conversations, except those
   * locked by others. It never rejects; failed steps are retried later.
   */
  begin(update: PersonUpdate): Promise<void>;
  /** Stops the job. Resolves when the current step is complete. */
  close(): Promise<void>;
}

const record = (tx: Tx, { userId, type }: PersonUpdate, ids: readonly string[]) =>
  type === 'MEMBER_UPDATED' ? recordMemberUpdated(tx, userId, ids) : recordUpdated(tx, ids);

/**
 * The number of conversations per step. It is smaller for the embedded database, where all other calls wait for a step.
 */
const STEPS = { postgresql: 50, embedded: 5 } as const;
/** The interval at which a node checks for work that another node left unfinished, in milliseconds. */
const POLL_INTERVAL_MS = 30_000;
/**
 * The minimum pause between two steps, in milliseconds. A pause is as long as the preceding step, so that half of the
 * time remains for other work.
 */
const PAUSE_MIN_MS = 5;

export function createPersonUpdates(
  deps: Pick<Deps, 'database' | 'log' | 'services'>,
  {
    onAnnounced,
    pollIntervalMs = POLL_INTERVAL_MS,
  }: {
    /** Called when all changes of a user have been announced. */
    onAnnounced: () => void;
    pollIntervalMs?: number;
  },
): PersonUpdates {
  const { database, log } = deps;
  const stepSize = STEPS[database.mode];
  let closed = false;
  /** The updates that this node has claimed. They take turns, one step each. */
  const claimed: PersonUpdate[] = [];
  const steps = new Set<Promise<unknown>>();
  let running: Promise<void> | undefined;

  /**
   * Announces an update in the next conversations. `onFree` is called when it was announced in those that nobody else
   * had locked.
   * @returns the remaining update; undefined if it is complete.
   */
  async function step(update: PersonUpdate, onFree = () => {}): Promise<PersonUpdate | undefined> {
    const ids = await findNextConversations(database.db, update, stepSize);
    const announced = await announce(update, ids);
    onFree();
    // Conversations that were locked are processed one by one, so that each of them is not locked while waiting for the
    // others.
    for (const id of ids.filter((each) => !announced.has(each))) {
      await changeConversation(deps, id, async (tx) => {
        await lock(tx, id);
        await record(tx, update, [id]);
      });
    }
    const last = ids.at(-1);
    if (last !== undefined && ids.length === stepSize) return moveUpdate(database.db, update, last);
    // After the last conversation, processing continues with the first one, up to the starting position.
    if (update.afterId !== null && update.lastId !== null && update.afterId >= update.lastId) {
      return moveUpdate(database.db, update, null);
    }
    return finishUpdate(database.db, update);
  }

  /** Announces an update in the conversations that nobody else has locked. Returns their ids. */
  async function announce(update: PersonUpdate, ids: readonly string[]): Promise<ReadonlySet<string>> {
    if (ids.length === 0) return new Set();
    const free = await database.transaction(async (tx) => {
      const locked = await lockAvailable(tx, ids);
      await record(tx, update, locked);
      return locked;
    });
    return new Set(free);
  }

  async function processNext(update: PersonUpdate): Promise<void> {
    const began = performance.now();
    try {
      const next = await step(update);
      if (next) claimed.push(next);
      else onAnnounced();
    } catch (error) {
      logFailure(error);
    }
    if (!closed && claimed.length > 0) await setTimeout(Math.max(PAUSE_MIN_MS, performance.now() - began));
  }

  /** A failed update stays claimed for some time. Afterwards any node retries it. */
  function logFailure(error: unknown): void {
    if (!closed) log.warn({ err: error }, 'profile change not yet delivered to all conversations; retrying');
  }

  function run(): void {
    if (closed) return;
    running ??= (async () => {
      for (let next = claimed.shift(); next && !closed; next = claimed.shift()) await processNext(next);
    })().finally(() => {
      running = undefined;
      if (claimed.length > 0) run();
    });
  }

  function claimPending(): void {
    const claiming = claimUpdates(database.db)
      .then((found) => {
        claimed.push(...found);
        run();
      })
      .catch(logFailure);
    track(claiming);
  }

  function track(work: Promise<unknown>): void {
    steps.add(work);
    void work.finally(() => steps.delete(work));
  }

  const timer = setInterval(claimPending, pollIntervalMs);
  claimPending();
  return {
    begin: (update) =>
      new Promise((resolve) => {
        if (closed || !update.isClaimed) {
          resolve();
          return;
        }
        const first = step(update, resolve).then(
          (next) => {
            resolve();
            if (next) {
              claimed.push(next);
              run();
            } else onAnnounced();
          },
          (error: unknown) => {
            resolve();
            logFailure(error);
          },
        );
        track(first);
      }),
    async close() {
      closed = true;
      clearInterval(timer);
      await Promise.allSettled([...steps, running]);
    },
  };
}

/** Emitted when all members have been notified of the changes of a user. */
export const personUpdatesDone = defineHook<[]>('person updates done');

export const personUpdates = defineService('person updates', (deps) => {
  const updates = createPersonUpdates(deps, { onAnnounced: () => personUpdatesDone.emit(deps) });
  deps.database.onCommitted(peopleUpdated, async (committed) => {
    await Promise.all(committed.map((update) => updates.begin(update)));
  });
  return updates;
});
