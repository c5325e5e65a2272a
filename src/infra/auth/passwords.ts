import { createWorkers } from '../async/workers.js';

/** bcrypt silently ignores bytes beyond this length. */
export const PASSWORD_MAX_BYTES = 72;

export interface Passwords {
  /** The bcrypt hash of a password of at most 72 bytes. */
  hash(password: string): Promise<string>;
  /**
   * Whether the password matches the hash. Without a hash it takes equally long and returns false, so that response
   * times do not reveal whether an account exists.
   */
  verify(password: string, hash: string | undefined): Promise<boolean>;
  /** The number of calls that wait for a worker thread. */
  readonly waiting: number;
  close(): Promise<void>;
}

/**
 * Hashes passwords in worker threads, because bcryptjs would block the event loop for tens of milliseconds per
 * password. One core is left to the event loop. Calls fail with UNAVAILABLE if more than `queueMax` are waiting.
 */
export function createPasswords({ cost, queueMax }: { cost: number; queueMax: number }): Passwords {
  const workers = createWorkers({
    file: new URL('./password-worker.js', import.meta.url),
    queueMax,
    what: 'sign-ins',
  });
  let absent: Promise<string> | undefined;
  const nobodysHash = () => {
    absent ??= workers.run<string>('hash', { password: 'nobody has this password', cost }).catch((error: unknown) => {
      absent = undefined;
      throw error;
    });
    return absent;
  };
  return {
    hash: (password) => workers.run('hash', { password, cost }),
    async verify(password, hash) {
      const matches = await workers.run<boolean>('verify', { password, hash: hash ?? (await nobodysHash()) });
      return matches && hash !== undefined;
    },
    get waiting() {
      return workers.waiting;
    },
    close: () => workers.close(),
  };
}
