/** Looks for work repeatedly: when it is woken, and otherwise after a pause. Only one look is in progress at a time. */
export interface Polling {
  /** Looks for work now, or again when the look in progress has ended. */
  wake(): void;
  /** Whether `close` has been called: a look should end soon then. */
  readonly isClosed: boolean;
  /** Resolves when the look in progress has ended. There is no further one. */
  close(): Promise<void>;
}

/**
 * Creates a polling that begins with the first `wake`.
 * @param look looks for work, and does it or starts it.
 * @param nextMs determines the pause after a look, in milliseconds: by default `intervalMs`.
 * @param intervalMs the pause after an error.
 * @param onError is called if `look` or `nextMs` fails, except while closing.
 */
export function createPolling({
  look,
  nextMs,
  intervalMs,
  onError,
}: {
  look(): Promise<void>;
  nextMs?: () => Promise<number>;
  intervalMs: number;
  onError(error: unknown): void;
}): Polling {
  let isClosed = false;
  let again = false;
  let looking: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  /** Looks until it was not woken in the meantime. Returns the pause. */
  async function lookAll(): Promise<number> {
    try {
      while (again && !isClosed) {
        again = false;
        await look();
      }
      return isClosed || !nextMs ? intervalMs : await nextMs();
    } catch (error) {
      if (!isClosed) onError(error);
      return intervalMs;
    }
  }

  function wake(): void {
    if (isClosed) return;
    again = true;
    clearTimeout(timer);
    looking ??= lookAll().then((ms) => {
      looking = undefined;
      if (isClosed) return;
      timer = setTimeout(wake, again ? 0 : ms).unref();
    });
  }

  return {
    wake,
    get isClosed() {
      return isClosed;
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await looking;
    },
  };
}
