/**
 * Checks for work repeatedly: when it is woken, and otherwise after a pause. Only one check is in progress at a time.
 */
export interface Polling {
  /** Checks for work now, or again when the check in progress has ended. */
  wake(): void;
  /** Whether `close` has been called: a check in progress should then end soon. */
  readonly isClosed: boolean;
  /** Resolves when the check in progress has ended. No further check follows. */
  close(): Promise<void>;
}

/**
 * Creates a polling that begins with the first `wake`.
 * @param check checks for work, and does it or starts it.
 * @param nextMs determines the pause after a check, in milliseconds: by default `intervalMs`.
 * @param intervalMs the pause after an error.
 * @param onError is called if `check` or `nextMs` fails, except while closing.
 */
export function createPolling({
  check,
  nextMs,
  intervalMs,
  onError,
}: {
  check(): Promise<void>;
  nextMs?: () => Promise<number>;
  intervalMs: number;
  onError(error: unknown): void;
}): Polling {
  let isClosed = false;
  let again = false;
  let checking: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  /** Checks until it was not woken in the meantime. Returns the pause. */
  async function checkAll(): Promise<number> {
    try {
      while (again && !isClosed) {
        again = false;
        await check();
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
    checking ??= checkAll().then((ms) => {
      checking = undefined;
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
      await checking;
    },
  };
}
