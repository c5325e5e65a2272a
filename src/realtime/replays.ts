/** Somebody's turn to replay what they missed. */
export interface ReplayTurn {
  /** To be called before and after what is waited for on our side: that is no fault of who reads. */
  working(isWorking: boolean): void;
  /** Lets the next one begin; calling it again does nothing. */
  end(): void;
}

/**
 * Lets few replays of one person run at a time, so that what these hold in memory is bounded, however many streams the
 * person opens. Others wait for their turn, and hold nothing meanwhile.
 */
export interface Replays {
  /**
   * Resolves when it is their turn. `onStalled` is called when others wait and nothing was read of this one for long: it
   * is to end then.
   */
  begin(userId: string, onStalled: () => void): Promise<ReplayTurn>;
}

/** Replays of one person at a time. */
const AT_ONCE = 2;
/** How long one that is not read may keep others waiting, in milliseconds. */
const STALL_MS = 10_000;

interface Running {
  onStalled: () => void;
  /** Since when it waits for who reads it; undefined while it works. */
  idleSince: number | undefined;
}

interface Person {
  running: Set<Running>;
  waiting: (() => void)[];
  timer: NodeJS.Timeout | undefined;
}

export function createReplays({ atOnce = AT_ONCE, stallMs = STALL_MS } = {}): Replays {
  const people = new Map<string, Person>();

  function endStalled({ running }: Person): void {
    for (const { idleSince, onStalled } of [...running]) {
      if (idleSince !== undefined && performance.now() - idleSince >= stallMs) onStalled();
    }
  }

  function end(userId: string, person: Person, ended: Running): void {
    if (!person.running.delete(ended)) return;
    person.waiting.shift()?.();
    if (person.waiting.length === 0) {
      clearInterval(person.timer);
      person.timer = undefined;
    }
    if (person.running.size === 0) people.delete(userId);
  }

  return {
    async begin(userId, onStalled) {
      let person = people.get(userId);
      if (!person) {
        person = { running: new Set(), waiting: [], timer: undefined };
        people.set(userId, person);
      }
      const mine = person;
      const own: Running = { onStalled, idleSince: performance.now() };
      const start = () => {
        own.idleSince = performance.now();
        mine.running.add(own);
      };
      if (mine.running.size < atOnce) start();
      else {
        mine.timer ??= setInterval(() => endStalled(mine), stallMs / 4).unref();
        await new Promise<void>((resolve) => {
          mine.waiting.push(() => {
            start();
            resolve();
          });
        });
      }
      return {
        working(isWorking) {
          own.idleSince = isWorking ? undefined : performance.now();
        },
        end: () => end(userId, mine, own),
      };
    },
  };
}
