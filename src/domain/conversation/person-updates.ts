import { setTimeout } from 'node:timers/promises';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineHook, defineService } from '../../platform/service.js';
import { changeConversation, lock, lockFree } from './conversation.store.js';
import { recordMemberUpdated, recordUpdated } from './person-change.js';
import {
  claimUpdates,
  findToldNext,
  finishUpdate,
  moveUpdate,
  type PersonUpdate,
  peopleUpdated,
} from './person-updates.store.js';

/**
 * Tells that people have changed in all the conversations that they are in, a few conversations at a time: none is
 * locked for long, whoever changes a person waits for none of them, and other work has its turn in between. What is left
 * to do is stored with the change itself, so that another node takes over from one that has died.
 */
export interface PersonUpdates {
  /**
   * Begins to tell of an update that is committed; resolves when the first conversations are told, but for those that
   * somebody else has locked. It never rejects: what fails is tried again later.
   */
  begin(update: PersonUpdate): Promise<void>;
  /** Resolves when what is under way here has come to the end of its step. */
  close(): Promise<void>;
}

const record = (tx: Tx, { userId, type }: PersonUpdate, ids: readonly string[]) =>
  type === 'MEMBER_UPDATED' ? recordMemberUpdated(tx, userId, ids) : recordUpdated(tx, ids);

/** Conversations in which a step announces a change: fewer in the embedded database, where other calls wait for it. */
const STEPS = { postgresql: 50, embedded: 10 } as const;
/** How often a node looks for what another has left behind, in milliseconds. */
const LOOK_MS = 30_000;
/** The least pause between two steps, in milliseconds: it is as long as the step was, so that half the time is others'. */
const PAUSE_MIN_MS = 5;

export function createPersonUpdates(
  deps: Pick<Deps, 'database' | 'log' | 'turns'>,
  {
    onTold,
    lookMs = LOOK_MS,
  }: {
    /** Called when everyone is told of the changes of a person. */
    onTold: () => void;
    lookMs?: number;
  },
): PersonUpdates {
  const { database, log } = deps;
  const stepSize = STEPS[database.footing];
  let closed = false;
  /** What this node has claimed and not told everywhere yet: each gets one step in its turn. */
  const claimed: PersonUpdate[] = [];
  const steps = new Set<Promise<unknown>>();
  let underWay: Promise<void> | undefined;

  /**
   * Tells of it in the next conversations. `onFree` is called when it is told where nobody stood in the way.
   * @returns the update as it is to go on; undefined: it is done.
   */
  async function step(update: PersonUpdate, onFree = () => {}): Promise<PersonUpdate | undefined> {
    const ids = await findToldNext(database.db, update, stepSize);
    const told = await tell(update, ids);
    onFree();
    // Those that somebody had locked, one by one: the others are not held up meanwhile.
    for (const id of ids.filter((each) => !told.has(each))) {
      await changeConversation(deps, id, async (tx) => {
        await lock(tx, id);
        await record(tx, update, [id]);
      });
    }
    const last = ids.at(-1);
    if (last !== undefined && ids.length === stepSize) return moveUpdate(database.db, update, last);
    // Behind the last conversation it goes on before the first, up to where it began.
    if (update.afterId !== null && update.lastId !== null && update.afterId >= update.lastId) {
      return moveUpdate(database.db, update, null);
    }
    return finishUpdate(database.db, update);
  }

  /** Tells of it in those of the conversations that nobody has locked. @returns which these are. */
  async function tell(update: PersonUpdate, ids: readonly string[]): Promise<ReadonlySet<string>> {
    if (ids.length === 0) return new Set();
    const free = await database.transaction(async (tx) => {
      const locked = await lockFree(tx, ids);
      await record(tx, update, locked);
      return locked;
    });
    return new Set(free);
  }

  async function goOn(update: PersonUpdate): Promise<void> {
    const began = performance.now();
    try {
      const next = await step(update);
      if (next) claimed.push(next);
      else onTold();
    } catch (error) {
      failed(error);
    }
    if (!closed && claimed.length > 0) await setTimeout(Math.max(PAUSE_MIN_MS, performance.now() - began));
  }

  /** What failed stays claimed for a while, then whichever node looks first tries again. */
  function failed(error: unknown): void {
    if (!closed) log.warn({ err: error }, 'profile change not yet delivered to all conversations; retrying');
  }

  function run(): void {
    if (closed) return;
    underWay ??= (async () => {
      for (let next = claimed.shift(); next && !closed; next = claimed.shift()) await goOn(next);
    })().finally(() => {
      underWay = undefined;
      if (claimed.length > 0) run();
    });
  }

  function look(): void {
    const looking = claimUpdates(database.db)
      .then((found) => {
        claimed.push(...found);
        run();
      })
      .catch(failed);
    track(looking);
  }

  function track(work: Promise<unknown>): void {
    steps.add(work);
    void work.finally(() => steps.delete(work));
  }

  const timer = setInterval(look, lookMs);
  look();
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
            } else onTold();
          },
          (error: unknown) => {
            resolve();
            failed(error);
          },
        );
        track(first);
      }),
    async close() {
      closed = true;
      clearInterval(timer);
      await Promise.allSettled([...steps, underWay]);
    },
  };
}

/** When everyone has been notified of the changes of a person. */
export const personUpdatesDone = defineHook<[]>('person updates done');

export const personUpdates = defineService('person updates', (deps) => {
  const updates = createPersonUpdates(deps, { onTold: () => personUpdatesDone.emit(deps) });
  deps.database.onCommitted(peopleUpdated, async (committed) => {
    await Promise.all(committed.map((update) => updates.begin(update)));
  });
  return updates;
});
