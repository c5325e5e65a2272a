import pLimit from 'p-limit';
import { ChatError } from '../core/errors.js';
import { by, type Metrics } from '../infra/telemetry/metrics.js';

/**
 * Lets many calls share one transaction, without waiting for company: a call starts at once when a batch may start, and
 * calls that come while batches are under way make up the next one. So the busier it is, the more each batch carries.
 *
 * Calls of one key (a conversation) are carried out in the order in which they came, for a key is in one batch at a
 * time. One call never fails another: what may be one call's own fault is tried again with each call by itself.
 * A call whose caller is locked waits by itself, with the later calls of this caller for the same key behind it; calls of
 * other callers overtake it.
 * @throws {ChatError} UNAVAILABLE, when too many calls wait already.
 */
export interface GroupCommit<Call, Result> {
  (key: string, call: Call): Promise<Result>;
  readonly counts: Readonly<GroupCommitCounts>;
}

interface GroupCommitCounts {
  /** Calls that wait for their batch, or for their caller, at the moment. */
  waiting: number;
  /** Batches that were begun, and the calls that these carried: one that is put back is carried again. */
  batches: number;
  calls: number;
}

/**
 * What became of a call in a batch: done; refused; `rolledBack` with all others, maybe for one of them only; or its key
 * is LOCKED, or its caller is (CALLER_LOCKED), by somebody else, and nothing was done.
 */
export type Outcome<Result> =
  | { result: Result }
  | { error: unknown; rolledBack?: boolean }
  | 'LOCKED'
  | 'CALLER_LOCKED';

export interface Batches<Call, Result> {
  /**
   * Carries out calls in one transaction; the outcomes in their order. With `wait` (then all calls are of one key) it
   * waits for the key's lock instead of answering LOCKED; it never waits for a caller. What it throws is thrown to all of
   * them.
   */
  commit(calls: readonly Call[], how: { wait: boolean }): Promise<Outcome<Result>[]>;
  /** Most batches of many keys under way at once: fewer carry more calls each. */
  sharedMax: number;
  /** Most batches under way at once of keys that are waited for, and of calls that are tried by themselves. */
  aloneMax: number;
  /** Absent where no call is answered CALLER_LOCKED. */
  callers?: {
    /** Who makes a call. */
    of(call: Call): string;
    /** Resolves when the caller is locked no more. What it throws is thrown to the calls that wait for the caller. */
    untilUnlocked(caller: string): Promise<void>;
    /** Most callers that are waited for at once. */
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

/** Most calls in one batch: keeps a transaction, and what others wait for, to some ten milliseconds. */
const BATCH_MAX = 200;
/** Most calls that wait in a node, at some kilobytes each; more are refused. */
const WAITING_MAX = 20_000;
/** How often a call is tried by itself: twice, as the second sees what stood in the way of the first. */
const ALONE_TRIES = 2;
/** How often a call finds its caller locked before it is given up: each time it was unlocked in between. */
const CALLER_TRIES = 20;

/** A call that waits, how often it was in a batch that failed, and how often its caller was locked. */
interface Waiting<Call, Result> {
  call: Call;
  failures: number;
  callerLocks: number;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/** The calls of one key, in the order in which they came. */
interface Lane<Call, Result> {
  key: string;
  waiting: Waiting<Call, Result>[];
  /** Somebody else holds its lock, as far as is known. */
  locked: boolean;
}

export function createGroupCommit<Call, Result>(batches: Batches<Call, Result>): GroupCommit<Call, Result> {
  type TheLane = Lane<Call, Result>;
  const lanes = new Map<string, TheLane>();
  // Lanes with something to do, in no batch at present: each in one of these.
  const shared = new Set<TheLane>();
  const alone = new Set<TheLane>();
  const underWay = { shared: 0, alone: 0 };
  /** The calls of a locked caller for one key, in the order in which they came; by both. */
  const held = new Map<string, Waiting<Call, Result>[]>();
  const { callers } = batches;
  const inTurn = pLimit(callers?.waitedForMax ?? 1);
  const callerOf = (call: Call) => callers?.of(call) ?? '';
  const heldName = (key: string, call: Call) => `${key} ${callerOf(call)}`;
  const counts: GroupCommitCounts = { waiting: 0, batches: 0, calls: 0 };
  let startAsked = false;

  /** Starts what may start, when all calls of this turn of the event loop have come. */
  function askStart(): void {
    if (startAsked) return;
    startAsked = true;
    setImmediate(() => {
      startAsked = false;
      start();
    });
  }

  function start(): void {
    for (; shared.size > 0 && underWay.shared < batches.sharedMax; ) {
      const carried: [TheLane, Waiting<Call, Result>[]][] = [];
      let room = BATCH_MAX;
      for (const lane of shared) {
        if (room === 0) break;
        shared.delete(lane);
        const calls = lane.waiting.splice(0, room);
        room -= calls.length;
        carried.push([lane, calls]);
      }
      void run('shared', carried);
    }
    for (; alone.size > 0 && underWay.alone < batches.aloneMax; ) {
      const [lane] = alone as Iterable<TheLane> as [TheLane];
      alone.delete(lane);
      const single = (lane.waiting[0]?.failures ?? 0) > 0;
      void run('alone', [[lane, lane.waiting.splice(0, single ? 1 : BATCH_MAX)]]);
    }
  }

  async function run(way: 'shared' | 'alone', carried: [TheLane, Waiting<Call, Result>[]][]): Promise<void> {
    underWay[way] += 1;
    const all = carried.flatMap(([lane, calls]) => calls.map((waiting) => ({ lane, waiting })));
    counts.waiting -= all.length;
    counts.batches += 1;
    counts.calls += all.length;
    const putBack = new Set<Waiting<Call, Result>>();
    try {
      const outcomes = await batches.commit(
        all.map(({ waiting }) => waiting.call),
        { wait: way === 'alone' },
      );
      for (const [lane] of carried) lane.locked = false;
      for (const [index, { lane, waiting }] of all.entries()) {
        const outcome = outcomes[index] ?? { error: new Error('a batch left a call without an outcome') };
        if (outcome === 'LOCKED') {
          lane.locked = true;
          putBack.add(waiting);
        } else if (outcome === 'CALLER_LOCKED') hold(lane.key, waiting);
        else if ('result' in outcome) waiting.resolve(outcome.result);
        else if (outcome.rolledBack && waiting.failures < ALONE_TRIES) {
          waiting.failures += 1;
          putBack.add(waiting);
        } else waiting.reject(outcome.error);
      }
    } catch (error) {
      for (const { waiting } of all) waiting.reject(error);
    }
    underWay[way] -= 1;
    counts.waiting += putBack.size;
    for (const [lane, calls] of carried) {
      lane.waiting.unshift(...calls.filter((waiting) => putBack.has(waiting)));
      if (held.size > 0) holdBack(lane);
      if (lane.waiting.length > 0) queue(lane);
      else lanes.delete(lane.key);
    }
    askStart();
  }

  function queue(lane: TheLane): void {
    const single = (lane.waiting[0]?.failures ?? 0) > 0;
    (lane.locked || single ? alone : shared).add(lane);
  }

  /** Takes a call out of its lane until its caller is unlocked. */
  function hold(key: string, waiting: Waiting<Call, Result>): void {
    waiting.callerLocks += 1;
    if (waiting.callerLocks > CALLER_TRIES) {
      waiting.reject(
        new ChatError('UNAVAILABLE', 'Your account has too many requests in progress. Try again in a moment.', {
          retryAfterMs: 1_000,
        }),
      );
      return;
    }
    counts.waiting += 1;
    const name = heldName(key, waiting.call);
    const others = held.get(name);
    if (others) {
      others.push(waiting);
      return;
    }
    const calls = [waiting];
    held.set(name, calls);
    inTurn(async () => callers?.untilUnlocked(callerOf(waiting.call))).then(
      () => {
        held.delete(name);
        for (const each of calls) enqueue(key, each);
        askStart();
      },
      (error: unknown) => {
        held.delete(name);
        counts.waiting -= calls.length;
        for (const each of calls) each.reject(error);
      },
    );
  }

  /** Holds the calls in a lane that came after one that is held, so that they do not overtake it. */
  function holdBack(lane: TheLane): void {
    lane.waiting = lane.waiting.filter((waiting) => {
      const calls = held.get(heldName(lane.key, waiting.call));
      calls?.push(waiting);
      return calls === undefined;
    });
  }

  /** Puts a call, which is counted, at the end of its lane. */
  function enqueue(key: string, waiting: Waiting<Call, Result>): void {
    const lane = lanes.get(key);
    // One that is in a batch is queued again when that is done.
    if (lane) lane.waiting.push(waiting);
    else {
      const opened = { key, waiting: [waiting], locked: false };
      lanes.set(key, opened);
      queue(opened);
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
      const waiting = { call, failures: 0, callerLocks: 0, resolve, reject };
      const heldCalls = held.size > 0 ? held.get(heldName(key, call)) : undefined;
      if (heldCalls) heldCalls.push(waiting);
      else enqueue(key, waiting);
      askStart();
    });
  return Object.assign(submit, { counts });
}
