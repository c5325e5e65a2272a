/** A user's permission to run one replay. */
export interface ReplaySlot {
  /** Reports whether the replay is reading from the database. Meanwhile, it does not count as stalled. */
  setReading(isReading: boolean): void;
  /** Frees the slot for the next waiting replay. Calling it again does nothing. */
  release(): void;
}

/**
 * Limits the concurrent replays of each user, to bound their memory however many streams a user opens. Further replays
 * wait, first come, first served, and use no memory meanwhile.
 */
export interface ReplayLimiter {
  /**
   * Resolves when the user has a free slot. `onStalled` is called if other replays of the user wait and the consumer of
   * this one has not read for a while; the caller should then end the replay.
   */
  acquire(userId: string, onStalled: () => void): Promise<ReplaySlot>;
}

/** The maximum number of concurrent replays of one user. */
const CONCURRENT_MAX = 2;
/** How long a replay that is not read may keep others waiting, in milliseconds. */
const STALL_MS = 10_000;

interface Running {
  onStalled: () => void;
  /** Since when the replay has been waiting for its consumer; undefined while it reads from the database. */
  idleSince: number | undefined;
}

/** The replays of one user. */
interface UserReplays {
  running: Set<Running>;
  waiting: (() => void)[];
  timer: NodeJS.Timeout | undefined;
}

export function createReplayLimiter({ concurrentMax = CONCURRENT_MAX, stallMs = STALL_MS } = {}): ReplayLimiter {
  const byUser = new Map<string, UserReplays>();

  function endStalled({ running }: UserReplays): void {
    for (const { idleSince, onStalled } of [...running]) {
      if (idleSince !== undefined && performance.now() - idleSince >= stallMs) onStalled();
    }
  }

  function release(userId: string, replays: UserReplays, released: Running): void {
    if (!replays.running.delete(released)) return;
    replays.waiting.shift()?.();
    if (replays.waiting.length === 0) {
      clearInterval(replays.timer);
      replays.timer = undefined;
    }
    if (replays.running.size === 0) byUser.delete(userId);
  }

  return {
    async acquire(userId, onStalled) {
      const replays = byUser.get(userId) ?? { running: new Set(), waiting: [], timer: undefined };
      byUser.set(userId, replays);
      const own: Running = { onStalled, idleSince: performance.now() };
      const start = () => {
        own.idleSince = performance.now();
        replays.running.add(own);
      };
      if (replays.running.size < concurrentMax) start();
      else {
        replays.timer ??= setInterval(() => endStalled(replays), stallMs / 4).unref();
        await new Promise<void>((resolve) => {
          replays.waiting.push(() => {
            start();
            resolve();
          });
        });
      }
      return {
        setReading(isReading) {
          own.idleSince = isReading ? undefined : performance.now();
        },
        release: () => release(userId, replays, own),
      };
    },
  };
}
