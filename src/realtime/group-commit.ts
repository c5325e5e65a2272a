import pLimit from 'p-limit';
import { ChatError } from '../core/errors.js';
import { by, type Metrics } from '../infra/telemetry/metrics.js';

/**
 * Commits calls in batches that share a transaction. A call never waits for a batch to fill up: it starts immediately
 * unless the maximum number of batches is in progress, and calls that are submitted meanwhile form the next batch. The
 * batch size therefore grows with the load.
 *
 * Calls with the same key (such as a conversation) are executed in the order of submission: a key is in at most one
 * batch at a time. A failing call does not fail others: if a batch was rolled back, its calls are retried one by one.
 * A call whose caller is locked is set aside together with the caller's later calls for the same key; calls of other
 * callers overtake it.
 * @throws {ChatError} UNAVAILABLE if too many calls are waiting.
 */
export interface GroupCommit<Call, Result> {
  (key: string, call: Call): Promise<Result>;
  readonly counts: Readonly<GroupCommitCounts>;
}

interface GroupCommitCounts {
  /** The number of calls that are waiting for their batch or for their caller. */
  waiting: number;
  /** Started batches, and the calls in them. A call that is retried counts again. */
  batches: number;
  calls: number;
}

/**
 * The outcome of a call in a batch: it was committed; it failed; it was rolled back together with the whole batch, possibly
 * because of another call (`rolledBack`); or it was not executed because another transaction holds the lock of its key
 * (LOCKED) or of its caller (CALLER_LOCKED).
 */
export type Outcome<Result> =
  | { result: Result }
  | { error: unknown; rolledBack?: boolean }
  | 'LOCKED'
  | 'CALLER_LOCKED';

export interface Batches<Call, Result> {
  /**
   * Executes calls in one transaction and returns their outcomes in the same order. With `wait`, all calls have the same
   * key, and it waits for the key's lock instead of returning LOCKED. It never waits for the lock of a caller. If it
   * throws, all calls are rejected with the error.
   */
  commit(calls: readonly Call[], how: { wait: boolean }): Promise<Outcome<Result>[]>;
  /** The maximum number of concurrent batches with many keys. The lower it is, the larger are the batches. */
  sharedMax: number;
  /** The maximum number of concurrent batches with one key: those that wait for a lock, and calls that are retried. */
  singleKeyMax: number;
  /** Absent if no outcome is CALLER_LOCKED. */
  callers?: {
    /** The caller of a call. */
    of(call: Call): string;
    /** Resolves when the caller is no longer locked. If it throws, the caller's calls are rejected with the error. */
    untilUnlocked(caller: string): Promise<void>;
    /** The maximum number of callers that are waited for concurrently. */
    waitedForMax: number;
  };
}

/** Registers the counts of a queue under the metrics that all queues share. */
export function exposeGroupCommit(
  metrics: Metrics,
  queue: string,
  { counts }: Pick<GroupCommit<unknown, unknown>, 'counts'>,
): void {
  const labels = ['queue'];
  metrics.read(
    'gauge',
    'parley_group_commit_waiting',
    'Calls waiting for a shared transaction, by queue.',
    () => by('queue', { [queue]: counts.waiting }),
    labels,
  );
  metrics.read(
    'counter',
    'parley_group_commit_batches_total',
    'Shared transactions, by queue.',
    () => by('queue', { [queue]: counts.batches }),
    labels,
  );
  metrics.read(
    'counter',
    'parley_group_commit_calls_total',
    'Calls committed in shared transactions, by queue.',
    () => by('queue', { [queue]: counts.calls }),
    labels,
  );
}

/** The maximum number of calls in one batch, so that a transaction takes at most a few tens of milliseconds. */
const BATCH_MAX = 200;
/** The maximum number of waiting calls, of a few kilobytes each. Further calls are rejected. */
const WAITING_MAX = 20_000;
/**
 * How often a rolled-back call is retried by itself. The second retry sees the committed data that made the first one
 * fail.
 */
const RETRIES_MAX = 2;
/** How often a call may find its caller locked (again) before it is rejected. */
const CALLER_TRIES = 20;

/** A submitted call. */
interface Pending<Call, Result> {
  call: Call;
  /** How often it was in a batch that was rolled back. */
  rollbacks: number;
  /** How often its caller was locked. */
  callerLocks: number;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/** The waiting calls of one key, in the order of submission. */
interface KeyQueue<Call, Result> {
  key: string;
  calls: Pending<Call, Result>[];
  /** Whether another transaction held the key's lock in the last batch. */
  isLocked: boolean;
}

export function createGroupCommit<Call, Result>(batches: Batches<Call, Result>): GroupCommit<Call, Result> {
  type Queue = KeyQueue<Call, Result>;
  const queues = new Map<string, Queue>();
  // Queues with waiting calls and without a batch in progress, each in one of these sets.
  const shared = new Set<Queue>();
  const singleKey = new Set<Queue>();
  const inProgress = { shared: 0, singleKey: 0 };
  /** The calls that were set aside, by key and caller, in the order of submission. */
  const setAside = new Map<string, Pending<Call, Result>[]>();
  const { callers } = batches;
  const limitWaits = pLimit(callers?.waitedForMax ?? 1);
  const callerOf = (call: Call) => callers?.of(call) ?? '';
  const setAsideKey = (key: string, call: Call) => `${key} ${callerOf(call)}`;
  const counts: GroupCommitCounts = { waiting: 0, batches: 0, calls: 0 };
  let isStartScheduled = false;

  /** Starts batches when all calls of this turn of the event loop have been submitted. */
  function scheduleStart(): void {
    if (isStartScheduled) return;
    isStartScheduled = true;
    setImmediate(() => {
      isStartScheduled = false;
      start();
    });
  }

  function start(): void {
    while (shared.size > 0 && inProgress.shared < batches.sharedMax) {
      const batch: [Queue, Pending<Call, Result>[]][] = [];
      let room = BATCH_MAX;
      for (const queue of shared) {
        if (room === 0) break;
        shared.delete(queue);
        const calls = queue.calls.splice(0, room);
        room -= calls.length;
        batch.push([queue, calls]);
      }
      void run('shared', batch);
    }
    while (singleKey.size > 0 && inProgress.singleKey < batches.singleKeyMax) {
      const [queue] = singleKey as Iterable<Queue> as [Queue];
      singleKey.delete(queue);
      void run('singleKey', [[queue, queue.calls.splice(0, isRetry(queue) ? 1 : BATCH_MAX)]]);
    }
  }

  async function run(kind: 'shared' | 'singleKey', batch: [Queue, Pending<Call, Result>[]][]): Promise<void> {
    inProgress[kind] += 1;
    const all = batch.flatMap(([queue, calls]) => calls.map((pending) => ({ queue, pending })));
    counts.waiting -= all.length;
    counts.batches += 1;
    counts.calls += all.length;
    const requeued = new Set<Pending<Call, Result>>();
    try {
      const outcomes = await batches.commit(
        all.map(({ pending }) => pending.call),
        { wait: kind === 'singleKey' },
      );
      for (const [queue] of batch) queue.isLocked = false;
      for (const [index, { queue, pending }] of all.entries()) {
        const outcome = outcomes[index] ?? { error: new Error('a batch left a call without an outcome') };
        if (outcome === 'LOCKED') {
          queue.isLocked = true;
          requeued.add(pending);
        } else if (outcome === 'CALLER_LOCKED') waitForCaller(queue.key, pending);
        else if ('result' in outcome) pending.resolve(outcome.result);
        else if (outcome.rolledBack && pending.rollbacks < RETRIES_MAX) {
          pending.rollbacks += 1;
          requeued.add(pending);
        } else pending.reject(outcome.error);
      }
    } catch (error) {
      for (const { pending } of all) pending.reject(error);
    }
    inProgress[kind] -= 1;
    counts.waiting += requeued.size;
    for (const [queue, calls] of batch) {
      queue.calls.unshift(...calls.filter((pending) => requeued.has(pending)));
      if (setAside.size > 0) setAsideLaterCalls(queue);
      if (queue.calls.length > 0) makeReady(queue);
      else queues.delete(queue.key);
    }
    scheduleStart();
  }

  const isRetry = ({ calls }: Queue): boolean => (calls[0]?.rollbacks ?? 0) > 0;

  function makeReady(queue: Queue): void {
    (queue.isLocked || isRetry(queue) ? singleKey : shared).add(queue);
  }

  /** Sets a call aside until its caller is unlocked. */
  function waitForCaller(key: string, pending: Pending<Call, Result>): void {
    pending.callerLocks += 1;
    if (pending.callerLocks > CALLER_TRIES) {
      pending.reject(
        new ChatError('UNAVAILABLE', 'Your account has too many requests in progress. Try again in a moment.', {
          retryAfterMs: 1_000,
        }),
      );
      return;
    }
    counts.waiting += 1;
    const name = setAsideKey(key, pending.call);
    const others = setAside.get(name);
    if (others) {
      others.push(pending);
      return;
    }
    const calls = [pending];
    setAside.set(name, calls);
    limitWaits(async () => callers?.untilUnlocked(callerOf(pending.call))).then(
      () => {
        setAside.delete(name);
        for (const each of calls) enqueue(key, each);
        scheduleStart();
      },
      (error: unknown) => {
        setAside.delete(name);
        counts.waiting -= calls.length;
        for (const each of calls) each.reject(error);
      },
    );
  }

  /** Sets aside the calls of a queue that would otherwise overtake an earlier call of their caller. */
  function setAsideLaterCalls(queue: Queue): void {
    queue.calls = queue.calls.filter((pending) => {
      const calls = setAside.get(setAsideKey(queue.key, pending.call));
      calls?.push(pending);
      return calls === undefined;
    });
  }

  /** Appends a call, which is already counted, to the queue of its key. */
  function enqueue(key: string, pending: Pending<Call, Result>): void {
    const queue = queues.get(key);
    // A queue with a batch in progress becomes ready again when the batch is over.
    if (queue) queue.calls.push(pending);
    else {
      const created = { key, calls: [pending], isLocked: false };
      queues.set(key, created);
      makeReady(created);
    }
  }

  const submit = (key: string, call: Call): Promise<Result> =>
    new Promise((resolve, reject) => {
      if (counts.waiting >= WAITING_MAX) {
        reject(
          new ChatError('UNAVAILABLE', 'Too many messages are being sent at the moment. Try again in a moment.', {
            retryAfterMs: 1_000,
          }),
        );
        return;
      }
      counts.waiting += 1;
      const pending = { call, rollbacks: 0, callerLocks: 0, resolve, reject };
      const earlier = setAside.size > 0 ? setAside.get(setAsideKey(key, call)) : undefined;
      if (earlier) earlier.push(pending);
      else enqueue(key, pending);
      scheduleStart();
    });
  return Object.assign(submit, { counts });
}
