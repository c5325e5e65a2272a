import bcrypt from 'bcryptjs';
import { describe, expect, it } from 'vitest';
import { createPasswords } from '../../src/infra/auth/passwords.js';
import { smallest } from '../support/client.js';

describe('passwords', () => {
  it('match their hash, and match nothing without a hash', async () => {
    const passwords = createPasswords({ cost: 4, queueMax: 10 });
    const hash = await passwords.hash('correct horse');
    expect(hash).toMatch(/^\$2[aby]\$04\$/);
    expect(await passwords.verify('correct horse', hash)).toBe(true);
    expect(await passwords.verify('battery staple', hash)).toBe(false);
    expect(await passwords.verify('nobody has this password', undefined)).toBe(false);
    await passwords.close();
  });

  it('are hashed without blocking the event loop', async () => {
    const cost = 12;
    const passwords = createPasswords({ cost, queueMax: 10 });
    const started = performance.now();
    bcrypt.hashSync('correct horse', cost);
    const onThisThread = performance.now() - started;
    /** The longest pause of this thread while others hash. */
    async function longestPause(): Promise<number> {
      let longest = 0;
      let last = performance.now();
      const note = () => {
        longest = Math.max(longest, performance.now() - last);
        last = performance.now();
      };
      const timer = setInterval(note, 1);
      await Promise.all(Array.from({ length: 2 }, () => passwords.hash('correct horse')));
      clearInterval(timer);
      // The timer has not fired at all if this thread was blocked the whole time.
      note();
      return longest;
    }
    expect(await smallest(onThisThread / 2, longestPause)).toBeLessThan(onThisThread / 2);
    await passwords.close();
  });

  it('are rejected with UNAVAILABLE when the queue is full', async () => {
    const passwords = createPasswords({ cost: 8, queueMax: 2 });
    const answers = await Promise.allSettled(Array.from({ length: 20 }, () => passwords.hash('correct horse')));
    const refused = answers.filter((answer) => answer.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: 1_000 });
    await passwords.close();
  });
});
