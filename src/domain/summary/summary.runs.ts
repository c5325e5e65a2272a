import { setTimeout as pause } from 'node:timers/promises';
import { ChatError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import type { Deps } from '../../platform/deps.js';
import { changeConversation } from '../conversation/conversation.store.js';
import {
  CLAIM_MS,
  claimRun,
  countTalk,
  endRun,
  findMade,
  findParts,
  findRun,
  imprintOf,
  keepPart,
  keepSummary,
  type Made,
  type Range,
  readTalk,
  renewRun,
  type Steps,
} from './summary.store.js';
import type { Summarizer, Talk } from './summary.summarizer.js';

/** Makes each summary once: a caller that asks for one that is already being made, on any node, waits for that one. */
export interface SummaryRuns {
  /**
   * Returns the id of the summary of a range: of a stored one, or of a new one that the first working way makes.
   * `tell` receives the progress. `enter` is awaited before a new run begins on this node, and what it resolves to is
   * called when the run has ended; joining a run that is in progress does not call it.
   * @throws {ChatError} RATE_LIMITED for the caller; UNAVAILABLE when the queue is full or the messages keep changing.
   */
  get(range: Range, userId: string, tell: (steps: Steps) => void, enter?: () => Promise<() => void>): Promise<string>;
  /** Since the start: those kept that were enough, those made in each way, and how often a way failed. */
  readonly counts: { kept: number; quoted: number; written: number; failures: number };
  close(): Promise<void>;
}

/** How often a node asks how far another one is, in milliseconds, and at most tells how far it is itself. */
const LOOK_MS = 250;
const TELL_MS = 200;
/** How often it is begun anew because messages were edited or deleted meanwhile. */
const ATTEMPTS_MAX = 3;

/** One that is made or waited for here. */
interface Run {
  userId: string;
  last: Steps;
  listeners: Set<(steps: Steps) => void>;
  id: Promise<string>;
}

export function createRuns(
  deps: Pick<Deps, 'config' | 'database' | 'log' | 'turns'>,
  /** The ways to make a summary of a range at this moment, the best first. */
  waysNow: (range: Range) => readonly [Summarizer, ...Summarizer[]],
  /** Hears that a way failed. */
  onFailure: (way: Summarizer, range: Range, error: unknown) => void,
): SummaryRuns {
  const { config, database, log } = deps;
  const { sql } = database;
  const runs = new Map<string, Run>();
  const counts = { kept: 0, quoted: 0, written: 0, failures: 0 };
  let closed = false;

  const keyOf = ({ conversationId, fromSeq, toSeq, recipe }: Made) => `${conversationId} ${fromSeq} ${toSeq} ${recipe}`;

  async function get(
    range: Range,
    userId: string,
    tell: (steps: Steps) => void,
    enter: () => Promise<() => void> = async () => () => {},
  ): Promise<string> {
    for (;;) {
      const [way] = waysNow(range);
      const made = { ...range, recipe: way.recipe };
      const kept = await findMade(sql, made);
      if (kept !== undefined) {
        counts.kept += 1;
        return kept;
      }
      const key = keyOf(made);
      let run = runs.get(key);
      let leave = () => {};
      if (!run) {
        leave = await enter();
        // Somebody else may have begun it during the wait.
        run = runs.get(key) ?? begin(key, made, userId);
      }
      run.listeners.add(tell);
      tell(run.last);
      try {
        return await run.id;
      } catch (error) {
        // It is somebody else who has had too much.
        if (run.userId === userId || !(error instanceof ChatError) || error.code !== 'RATE_LIMITED') throw error;
      } finally {
        run.listeners.delete(tell);
        leave();
      }
    }
  }

  function begin(key: string, made: Made, userId: string): Run {
    const run: Run = { userId, last: { done: 0, total: 1 }, listeners: new Set(), id: Promise.resolve('') };
    runs.set(key, run);
    const tell = (steps: Steps) => {
      if (steps.done === run.last.done && steps.total === run.last.total) return;
      run.last = steps;
      for (const listener of run.listeners) listener(steps);
    };
    run.id = claimAndMake(made, userId, tell).finally(() => runs.delete(key));
    return run;
  }

  async function claimAndMake(made: Made, userId: string, tell: (steps: Steps) => void): Promise<string> {
    const id = newId();
    while (!(await claimRun(sql, made, id))) {
      if (closed) throw stopping();
      const steps = await findRun(sql, made);
      if (steps) tell(steps);
      await pause(LOOK_MS);
      // Of a run that has ended it may be the second best way that worked.
      for (const { recipe } of steps ? [made] : [made, ...waysNow(made)]) {
        const kept = await findMade(sql, { ...made, recipe });
        if (kept !== undefined) return kept;
      }
    }
    let last: Steps = { done: 0, total: 1 };
    let toldAt = 0;
    const renew = () => {
      toldAt = performance.now();
      renewRun(sql, made, id, last).catch((error: unknown) =>
        log.warn({ err: error }, 'lease of a summary could not be renewed'),
      );
    };
    const alive = setInterval(renew, CLAIM_MS / 3);
    try {
      // Who had it before may have been done in between.
      const kept = await findMade(sql, made);
      if (kept !== undefined) return kept;
      return await make(made, userId, (steps) => {
        last = steps;
        tell(steps);
        if (performance.now() - toldAt >= TELL_MS) renew();
      });
    } finally {
      clearInterval(alive);
      await endRun(sql, made, id).catch((error: unknown) =>
        log.warn({ err: error }, 'lease of a summary could not be released'),
      );
    }
  }

  async function make(made: Range, userId: string, tell: (steps: Steps) => void): Promise<string> {
    const { conversationId, fromSeq, toSeq } = made;
    const range = { conversationId, fromSeq, toSeq };
    const ways = waysNow(range);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const before = await imprintOf(sql, range);
      const count = await countTalk(sql, range);
      for (const way of ways) {
        try {
          const digest = await way.summarize(talkOf(range, way, { userId, count, tell }));
          const { model, written, recipe } = way;
          const summary = { ...range, ...digest, recipe, model, written, messageCount: count };
          const id = await changeConversation(deps, conversationId, (tx) =>
            keepSummary(tx, summary, before, config.summariesKept),
          );
          if (id !== undefined) {
            counts[written ? 'written' : 'quoted'] += 1;
            return id;
          }
          break;
        } catch (error) {
          if (closed) throw stopping();
          if (error instanceof ChatError || way === ways.at(-1)) throw error;
          counts.failures += 1;
          onFailure(way, range, error);
        }
      }
    }
    throw new ChatError('UNAVAILABLE', 'These messages are being edited. Try again in a moment.', {
      retryAfterMs: 1_000,
    });
  }

  function talkOf(range: Range, { recipe }: Summarizer, more: Pick<Talk, 'userId' | 'count' | 'tell'>): Talk {
    return {
      ...more,
      range,
      read: (part, only) => readTalk(sql, part, only),
      parts: () => findParts(sql, { ...range, recipe }),
      async keepPart(part, find) {
        const before = await imprintOf(sql, part);
        const notes = await find();
        await changeConversation(deps, part.conversationId, (tx) => keepPart(tx, { ...part, recipe }, notes, before));
        return notes;
      },
    };
  }

  return {
    get,
    counts,
    async close() {
      closed = true;
      await Promise.allSettled([...runs.values()].map(({ id }) => id));
    },
  };
}

const stopping = () => new ChatError('UNAVAILABLE', 'The server is shutting down. Try again.', { retryAfterMs: 1_000 });
