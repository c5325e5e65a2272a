import { createWorkers } from '../async/workers.js';

/** bcrypt reads no further: a longer password would be cut without a word. */
export const PASSWORD_MAX_BYTES = 72;

export interface Passwords {
  /** bcrypt hash of a password of at most 72 bytes. */
  hash(password: string): Promise<string>;
  /**
   * Whether the password is the one that was hashed. Without a hash it takes the same time and says no, so that
   * nobody can tell by the clock whether an account exists.
   */
  verify(password: string, hash: string | undefined): Promise<boolean>;
  /** Calls that wait for a worker. */
  readonly waiting: number;
  close(): Promise<void>;
}

/**
 * Hashing in worker threads, because bcryptjs would keep the event loop busy for tens of milliseconds a password.
 * One core stays free for the event loop. More than `queueMax` waiting calls: UNAVAILABLE.
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
