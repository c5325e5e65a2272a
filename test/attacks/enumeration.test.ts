import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { type Json, type Person, register, request } from '../support/client.js';
import { makePlace, modes } from '../support/place.js';

const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { tokens { accessToken } } }';
const DELETE = 'mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { __typename } }';

/** How often each case is tried. The cases alternate, so that a busy machine slows all of them. */
const TRIES = 9;

const median = (numbers: number[]) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;

describe.each(modes)('a client that tries to find out which accounts exist in %s mode', (mode) => {
  let node: RunningNode;
  let person: Person;
  let gone: Person;
  beforeAll(async () => {
    // The default cost, because the time of a hash must be hidden.
    node = await (await makePlace(mode)).start({ BCRYPT_COST: '10' });
    [person, gone] = await Promise.all([register(node.url, 'person'), register(node.url, 'gone')]);
    await gone.ask(DELETE, { input: { password: gone.password } });
  });

  const tries = (): Record<string, { usernameOrEmail: string; password: string }> => ({
    'a wrong password': { usernameOrEmail: person.username, password: 'not the password' },
    'a wrong password, by email': { usernameOrEmail: person.email, password: 'not the password' },
    'an unknown name': { usernameOrEmail: 'nobody_at_all', password: 'not the password' },
    'an unknown email': { usernameOrEmail: 'nobody@example.com', password: 'not the password' },
    'what cannot be a name': { usernameOrEmail: "' OR '1'='1", password: 'not the password' },
    'a deleted account': { usernameOrEmail: gone.username, password: gone.password },
    'a password that cannot be': { usernameOrEmail: person.username, password: 'x'.repeat(100) },
  });

  it('gets the same response to every failed sign-in', async () => {
    const answers: Json[] = [];
    for (const input of Object.values(tries())) answers.push(await request(node.url, LOGIN, { input }));
    const bodies = answers.map(({ errors, data, status }) => JSON.stringify({ errors, data, status }));
    expect(new Set(bodies).size).toBe(1);
  });

  it('gets a response after one comparison of a hash, whether the account exists or not', async () => {
    const verify = vi.spyOn(node.deps.passwords, 'verify');
    for (const [what, input] of Object.entries(tries())) {
      verify.mockClear();
      await request(node.url, LOGIN, { input });
      expect(verify, what).toHaveBeenCalledTimes(1);
    }
    verify.mockRestore();
  });

  it('learns nothing from response times', { timeout: 120_000 }, async () => {
    const times = new Map<string, number[]>();
    for (let round = 0; round < TRIES; round += 1) {
      for (const [what, input] of Object.entries(tries())) {
        const started = performance.now();
        await request(node.url, LOGIN, { input });
        times.set(what, [...(times.get(what) ?? []), performance.now() - started]);
      }
    }
    const medians = [...times.values()].map(median);
    // Without the hash, a response takes a tenth of the time.
    expect(Math.max(...medians) / Math.min(...medians), JSON.stringify([...times.keys()])).toBeLessThan(3);
  });
});
