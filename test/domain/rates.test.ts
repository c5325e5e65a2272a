import { Redis } from 'ioredis';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { networkOf } from '../../src/core/networks.js';
import { refreshPerAddress } from '../../src/domain/session/session.rates.js';
import type { Config } from '../../src/infra/config/config.js';
import { redisOptions } from '../../src/infra/config/redis-options.js';
import { openRateStore } from '../../src/infra/rates.js';
import { createServices } from '../../src/platform/service.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  type Answer,
  ask,
  connectInTest,
  eventually,
  type Json,
  type Person,
  register,
  registerAll,
} from '../support/client.js';
import { inOneMode, makePlace, modes, type Place, servicesFound, startTwo } from '../support/place.js';
import { startServers } from '../support/servers.js';
import { attempt, createGroup, openDirect, SEND } from '../support/talk.js';

const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { tokens { refreshToken } } }';
const REGISTER = 'mutation ($input: RegisterInput!) { register(input: $input) { tokens { refreshToken } } }';
const REQUEST_RESET = 'mutation ($email: String!) { requestPasswordReset(input: { email: $email }) { accepted } }';
const RESET =
  'mutation ($token: String!) { resetPassword(input: { token: $token, newPassword: "another one" }) { tokens { refreshToken } } }';
const REFRESH =
  'mutation ($refreshToken: String) { refreshSession(input: { refreshToken: $refreshToken }) { tokens { refreshToken } } }';
const CHANGE =
  'mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { tokens { accessToken refreshToken } } }';
const DELETE = 'mutation ($password: String) { deleteAccount(input: { password: $password }) { userId } }';
const UPDATE = 'mutation { updateProfile(input: { bio: "same" }) { viewer { id } } }';
const SEARCH = '{ users(search: "person") { nodes { id } } }';
const ROOMS = '{ publicConversations { nodes { id } } }';
const MESSAGES = '{ searchMessages(query: "word") { nodes { id } } }';

const SERVICE_KEY = 'the-key-of-the-service-in-these-tests';

let addresses = 0;
/** An address that no other test uses. */
const fresh = () => {
  addresses += 1;
  return `198.18.${addresses >> 8}.${addresses & 255}`;
};

/** A request that came from this address, through a proxy that is trusted. */
async function from(address: string, url: string, query: string, variables: Json = {}, token?: string) {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-forwarded-for': address,
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify({ query, variables }),
  });
  return (await response.json()) as Answer;
}

const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions.code;
const waitOf = ({ errors }: Answer): number => errors?.[0]?.extensions['retryAfterMs'];
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Only the limits that a test sets apply. */
const off = Object.fromEntries(
  [
    'SIGN_IN_PER_ADDRESS',
    'SIGN_IN_PER_ACCOUNT',
    'SIGN_IN_PER_ACCOUNT_AND_ADDRESS',
    'SESSION_PER_ACCOUNT',
    'REGISTRATION_PER_ADDRESS',
    'PASSWORD_RESET_PER_ADDRESS',
    'REFRESH_PER_ADDRESS',
    'REFRESH_PER_SESSION',
    'SEND_PER_PERSON',
    'MUTATION_PER_PERSON',
    'SEARCH_PER_PERSON',
  ].map((name) => [`RATE_${name}`, 'off']),
);

/** The values of all settings that are rates. */
const ratesOf = (config: Config) =>
  Object.fromEntries(Object.entries(config).filter(([name]) => /^rate[A-Z]/.test(name) && name !== 'rateLimits'));

const wrong = (usernameOrEmail: string) => ({ input: { usernameOrEmail, password: 'a wrong password' } });
const right = ({ username, password }: Person) => ({ input: { usernameOrEmail: username, password } });

describe('a rate', () => {
  it('is a number of calls in a duration, or off', () => {
    expect(readConfig({ RATE_SEND_PER_PERSON: '30/10m' }).rateSendPerPerson).toEqual({ count: 30, perMs: 600_000 });
    expect(readConfig({ RATE_SEND_PER_PERSON: 'off' }).rateSendPerPerson).toBeUndefined();
    for (const text of ['30', '0/1m', '-1/1m', '30/10', '30/0s', '30/1y', '1/8d', '1.5/1m', 'on']) {
      expect(() => readConfig({ RATE_SEND_PER_PERSON: text }), text).toThrow(/^RATE_SEND_PER_PERSON: /);
    }
  });

  it('is unlimited for every setting if RATE_LIMITS is off', () => {
    const config = readConfig({ RATE_LIMITS: 'off', SOCKETS_PER_PERSON_MAX: '3' });
    const { socketsPerPersonMax, socketsPerAddressMax, streamsPerPersonMax } = config;
    expect(new Set(Object.values(ratesOf(config)))).toEqual(new Set([undefined]));
    const none = Number.POSITIVE_INFINITY;
    expect([socketsPerPersonMax, socketsPerAddressMax, streamsPerPersonMax]).toEqual([none, none, none]);
  });
});

describe('the network of an address', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
    ['', ''],
    ['no:address', 'no:address'],
  ])('of %s is %s', (address, network) => expect(networkOf(address)).toBe(network));
});

describe.each(modes)('rate limits in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let place: Place;
  /** Two nodes. In embedded mode, both are the same node. */
  let first: RunningNode;
  let second: RunningNode;
  beforeAll(async () => {
    place = await makePlace(mode);
    [first, second] = await startTwo(place, { TRUSTED_PROXIES: 'loopback', SERVICE_KEY });
  });

  /** Makes both nodes behave as if they had been started with these limits. */
  async function limit(env: Record<string, string>): Promise<void> {
    for (const node of new Set([first, second])) {
      const config = readConfig({ ...place.env, ...off, ...env });
      const { redisUrl, redisPrefix: prefix } = config;
      const options = redisUrl === undefined ? undefined : redisOptions(redisUrl);
      const store = openRateStore(options && { options, prefix: `${prefix}:${limits}` }, node.deps.log);
      onTestFinished(() => store.close());
      await eventually('it is connected', () => store.shared === (options !== undefined));
      node.deps.rateStore = store;
      node.deps.config = { ...node.deps.config, ...ratesOf(config) };
      const services = createServices(() => node.deps);
      onTestFinished(() => services.close());
      node.deps.services = services;
    }
    limits += 1;
  }
  /** The number of calls of `limit`, so that each test has its own counters. */
  let limits = 0;

  describe('limits of sign-ins', () => {
    it('count failed sign-ins to one account from one address, on all nodes together', async () => {
      await limit({ RATE_SIGN_IN_PER_ACCOUNT_AND_ADDRESS: '3/1h' });
      const person = await register(first.url);
      const here = fresh();
      const fail = (node: RunningNode) => from(here, node.url, LOGIN, wrong(person.username.toUpperCase()));
      expect([await fail(first), await fail(second), await fail(first)].map(codeOf)).toEqual(
        Array(3).fill('BAD_USER_INPUT'),
      );
      const refused = await from(here, second.url, LOGIN, right(person));
      expect(codeOf(refused)).toBe('RATE_LIMITED');
      expect(waitOf(refused)).toBeGreaterThan(3_000_000);
      expect(waitOf(refused)).toBeLessThanOrEqual(3_600_001);
      // Other users at this address are not limited, nor is this user at other addresses.
      const other = await register(first.url);
      expect(codeOf(await from(here, second.url, LOGIN, right(other)))).toBeUndefined();
      expect(codeOf(await from(fresh(), second.url, LOGIN, right(person)))).toBeUndefined();
    });

    itOnce('end after the announced time, even if the client retries in between', async () => {
      await limit({ RATE_SIGN_IN_PER_ACCOUNT_AND_ADDRESS: '2/2s', RATE_SIGN_IN_PER_ADDRESS: '2/2s' });
      const person = await register(first.url);
      const here = fresh();
      let refused: Answer = { status: 0 };
      let passed: Promise<unknown> = Promise.resolve();
      // On a busy machine, the time can be over before all further attempts have been made.
      await eventually('there are too many, and all further ones are rejected', async () => {
        refused = await from(here, first.url, LOGIN, wrong(person.username));
        if (codeOf(refused) !== 'RATE_LIMITED') return false;
        passed = pause(waitOf(refused));
        const further = await Promise.all([1, 2, 3].map(() => from(here, second.url, LOGIN, wrong(person.username))));
        return further.every((answer) => codeOf(answer) === 'RATE_LIMITED');
      });
      expect(waitOf(refused)).toBeGreaterThan(0);
      expect(waitOf(refused)).toBeLessThanOrEqual(2_001);
      await passed;
      expect(codeOf(await from(here, second.url, LOGIN, right(person)))).toBeUndefined();
    });

    itOnce('do not count sign-ins with the right password', async () => {
      await limit({ RATE_SIGN_IN_PER_ACCOUNT_AND_ADDRESS: '2/1h', RATE_SIGN_IN_PER_ADDRESS: '2/1h' });
      const person = await register(first.url);
      const here = fresh();
      for (let count = 0; count < 5; count += 1) {
        expect(codeOf(await from(here, first.url, LOGIN, right(person)))).toBeUndefined();
      }
      expect(codeOf(await from(here, first.url, LOGIN, wrong(person.username)))).toBe('BAD_USER_INPUT');
      expect(codeOf(await from(here, first.url, LOGIN, right(person)))).toBeUndefined();
    });

    itOnce('count aliased fields of one operation and concurrent requests', async () => {
      await limit({ RATE_SIGN_IN_PER_ACCOUNT_AND_ADDRESS: '4/1h' });
      const person = await register(first.url);
      const operation = `mutation ($input: LoginInput!) {
        ${Array.from({ length: 6 }, (_, index) => `a${index}: login(input: $input) { tokens { refreshToken } }`).join(' ')}
      }`;
      const { errors = [] } = await from(fresh(), first.url, operation, wrong(person.username));
      expect(errors.map(({ extensions }) => extensions.code)).toEqual([
        ...Array(4).fill('BAD_USER_INPUT'),
        ...Array(2).fill('RATE_LIMITED'),
      ]);
      const here = fresh();
      const atOnce = await Promise.all(
        Array.from({ length: 10 }, () => from(here, first.url, LOGIN, wrong(person.username))),
      );
      expect(atOnce.map(codeOf).sort()).toEqual([...Array(4).fill('BAD_USER_INPUT'), ...Array(6).fill('RATE_LIMITED')]);
    });

    itOnce(
      'count failures from one address for any account, existing or not, and for IPv6 from the whole network',
      async () => {
        await limit({ RATE_SIGN_IN_PER_ADDRESS: '3/1h' });
        const person = await register(first.url);
        const names = [person.username, 'nobody_of_that_name', 'nobody@example.com'];
        const network = '2001:db8:7:8';
        for (const [index, name] of names.entries()) {
          const answer = await from(`${network}::${index}`, index % 2 ? first.url : second.url, LOGIN, wrong(name));
          expect(codeOf(answer)).toBe('BAD_USER_INPUT');
        }
        expect(codeOf(await from(`${network}:1:2:3:4`, second.url, LOGIN, right(person)))).toBe('RATE_LIMITED');
        expect(codeOf(await from('2001:db8:7:9::1', second.url, LOGIN, right(person)))).toBeUndefined();
      },
    );

    itOnce(
      'count failures for one account from all addresses, but do not lock out addresses where the user has signed in before',
      async () => {
        await limit({ RATE_SIGN_IN_PER_ACCOUNT: '3/1h' });
        const person = await register(first.url);
        const home = fresh();
        expect(codeOf(await from(home, first.url, LOGIN, right(person)))).toBeUndefined();
        for (const node of [first, second, first]) {
          expect(codeOf(await from(fresh(), node.url, LOGIN, wrong(person.username)))).toBe('BAD_USER_INPUT');
        }
        const elsewhere = fresh();
        expect(codeOf(await from(elsewhere, second.url, LOGIN, right(person)))).toBe('RATE_LIMITED');
        // From the known address, sign-in works on any node, by username or email address, and after a failure.
        expect(codeOf(await from(home, second.url, LOGIN, wrong(person.username)))).toBe('BAD_USER_INPUT');
        expect(codeOf(await from(home, second.url, LOGIN, right(person)))).toBeUndefined();
        const byEmail = { input: { usernameOrEmail: person.email, password: person.password } };
        for (const _each of [1, 2, 3]) await from(fresh(), first.url, LOGIN, wrong(person.email));
        expect(codeOf(await from(elsewhere, second.url, LOGIN, byEmail))).toBe('RATE_LIMITED');
        expect(codeOf(await from(home, second.url, LOGIN, byEmail))).toBeUndefined();
      },
    );

    itOnce('do not count sign-ins that another limit has refused', async () => {
      await limit({ RATE_SIGN_IN_PER_ADDRESS: '2/1h', RATE_SIGN_IN_PER_ACCOUNT: '5/1d' });
      const name = 'nobody_of_that_name';
      const here = fresh();
      for (let count = 0; count < 10; count += 1) await from(here, first.url, LOGIN, wrong(name));
      const elsewhere = [fresh(), fresh(), fresh()];
      for (const address of elsewhere) {
        expect(codeOf(await from(address, second.url, LOGIN, wrong(name)))).toBe('BAD_USER_INPUT');
      }
      // If two limits refuse, the longer waiting time is returned.
      const refused = await from(here, second.url, LOGIN, wrong(name));
      expect([codeOf(refused), waitOf(refused) > 3_600_001]).toEqual(['RATE_LIMITED', true]);
    });

    itOnce('count wrong passwords of signed-in users who must enter their password', async () => {
      await limit({ RATE_SIGN_IN_PER_ACCOUNT_AND_ADDRESS: '2/1h' });
      const person = await register(first.url);
      const here = fresh();
      const change = (currentPassword: string) =>
        from(here, first.url, CHANGE, { input: { currentPassword, newPassword: 'another one' } }, person.token);
      expect(codeOf(await change('wrong password'))).toBe('BAD_USER_INPUT');
      const remove = (password: string) => from(here, first.url, DELETE, { password }, person.token);
      expect(codeOf(await remove('wrong password'))).toBe('BAD_USER_INPUT');
      expect(codeOf(await change(person.password))).toBe('RATE_LIMITED');
      expect(codeOf(await remove(person.password))).toBe('RATE_LIMITED');
      expect(codeOf(await from(here, first.url, LOGIN, right(person)))).toBe('RATE_LIMITED');
    });
  });

  it('a rate limit does not count refused calls, and allows further calls after a refund', async () => {
    await limit({ RATE_REFRESH_PER_ADDRESS: '3/1h' });
    const rate = refreshPerAddress.of(first.deps);
    const key = fresh();
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => rate.take(key)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    for (const _each of [1, 2, 3]) await rate.refund(key);
    for (const _each of [1, 2, 3]) await rate.take(key);
    await expect(rate.take(key)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  });

  itOnce(
    'concurrent valid refreshes and sign-ins from one address all succeed, while each failure is counted',
    async () => {
      await limit({
        RATE_REFRESH_PER_ADDRESS: '8/1h',
        RATE_SIGN_IN_PER_ADDRESS: '8/1h',
        RATE_SIGN_IN_PER_ACCOUNT: '8/1h',
        RATE_SIGN_IN_PER_ACCOUNT_AND_ADDRESS: '2/1h',
      });
      const office = fresh();
      const people = await Promise.all(Array.from({ length: 30 }, () => register(first.url)));
      const refreshed = await Promise.all(
        people.map(({ refreshToken }, index) =>
          from(office, index % 2 ? first.url : second.url, REFRESH, { refreshToken }),
        ),
      );
      expect(refreshed.map(codeOf)).toEqual(Array(30).fill(undefined));
      const signedIn = await Promise.all(people.map((person) => from(office, first.url, LOGIN, right(person))));
      expect(signedIn.map(codeOf)).toEqual(Array(30).fill(undefined));
      const failed = await Promise.all(
        Array.from({ length: 12 }, () => from(office, first.url, REFRESH, { refreshToken: 'nonsense' })),
      );
      expect(failed.map(codeOf).sort()).toEqual([
        ...Array(4).fill('RATE_LIMITED'),
        ...Array(8).fill('UNAUTHENTICATED'),
      ]);
    },
  );

  itOnce('new sessions of one account are limited, and failed sign-ins do not count', async () => {
    await limit({ RATE_SESSION_PER_ACCOUNT: '2/1h' });
    const person = await register(first.url);
    for (let count = 0; count < 5; count += 1) {
      expect(codeOf(await from(fresh(), first.url, LOGIN, wrong(person.username)))).toBe('BAD_USER_INPUT');
    }
    for (const node of [first, second]) {
      expect(codeOf(await from(fresh(), node.url, LOGIN, right(person)))).toBeUndefined();
    }
    const refused = await from(fresh(), first.url, LOGIN, right(person));
    expect([codeOf(refused), waitOf(refused) > 3_000_000]).toEqual(['RATE_LIMITED', true]);
    expect(codeOf(await from(fresh(), first.url, LOGIN, right(await register(first.url))))).toBeUndefined();
  });

  itOnce('registrations from one address are limited on all nodes together', async () => {
    await limit({ RATE_REGISTRATION_PER_ADDRESS: '2/1h' });
    const here = fresh();
    const input = (name: string) => ({
      input: { username: `${name}_${addresses}`, email: `${name}_${addresses}@example.com`, password: 'long enough' },
    });
    // Invalid input does not count.
    expect(codeOf(await from(here, first.url, REGISTER, { input: { ...input('x').input, password: '1' } }))).toBe(
      'BAD_USER_INPUT',
    );
    expect(codeOf(await from(here, first.url, REGISTER, input('one')))).toBeUndefined();
    expect(codeOf(await from(here, second.url, REGISTER, input('one')))).toBe('CONFLICT');
    const refused = await from(here, second.url, REGISTER, input('two'));
    expect([codeOf(refused), waitOf(refused) > 3_000_000]).toEqual(['RATE_LIMITED', true]);
    expect(codeOf(await from(fresh(), first.url, REGISTER, input('two')))).toBeUndefined();
  });

  itOnce('password reset emails and wrong reset tokens are limited per address on all nodes together', async () => {
    await limit({ RATE_PASSWORD_RESET_PER_ADDRESS: '3/1h' });
    const here = fresh();
    expect(codeOf(await from(here, first.url, REQUEST_RESET, { email: 'a@example.com' }))).toBeUndefined();
    expect(codeOf(await from(here, second.url, REQUEST_RESET, { email: 'b@example.com' }))).toBeUndefined();
    expect(codeOf(await from(here, first.url, RESET, { token: 'no token' }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await from(here, second.url, RESET, { token: 'no token' }))).toBe('RATE_LIMITED');
    expect(codeOf(await from(here, second.url, REQUEST_RESET, { email: 'c@example.com' }))).toBe('RATE_LIMITED');
    expect(codeOf(await from(fresh(), second.url, REQUEST_RESET, { email: 'c@example.com' }))).toBeUndefined();
  });

  itOnce(
    'failed refreshes from one address, and all refreshes of one session, are limited on all nodes together',
    async () => {
      await limit({ RATE_REFRESH_PER_ADDRESS: '2/1h', RATE_REFRESH_PER_SESSION: '3/1h' });
      const person = await register(first.url);
      const here = fresh();
      const refresh = (node: RunningNode, refreshToken: string, address = here) =>
        from(address, node.url, REFRESH, { refreshToken });
      let { refreshToken } = person;
      for (const node of [first, second, first]) {
        const answer = await refresh(node, refreshToken);
        expect(codeOf(answer)).toBeUndefined();
        ({ refreshToken } = answer.data.refreshSession.tokens);
      }
      expect(codeOf(await refresh(second, refreshToken))).toBe('RATE_LIMITED');
      // This token was valid, so that it does not count as a failure.
      const other = await register(second.url);
      expect(codeOf(await refresh(first, 'nonsense'))).toBe('UNAUTHENTICATED');
      expect(codeOf(await refresh(second, 'nonsense'))).toBe('UNAUTHENTICATED');
      expect(codeOf(await refresh(first, 'nonsense'))).toBe('RATE_LIMITED');
      expect(codeOf(await refresh(second, other.refreshToken))).toBe('RATE_LIMITED');
      expect(codeOf(await refresh(second, other.refreshToken, fresh()))).toBeUndefined();
    },
  );

  inOneMode(mode, describe)('limits per user', () => {
    it('allow a burst of messages over HTTP and WebSocket together, then a steady rate, on each node separately', async () => {
      await limit({ RATE_SEND_PER_PERSON: '4/4s', RATE_MUTATION_PER_PERSON: '2/1h' });
      const [alice, bob] = [await register(first.url), await register(first.url)];
      // Uses one of the two other mutations.
      const conversationId = await openDirect(alice, bob);
      const input = (text: string) => ({ input: { conversationId, text } });
      const socket = connectInTest(first.url, alice.token);
      const overSocket = async (variables: Json): Promise<Answer> => {
        for await (const result of socket.iterate({ query: SEND, variables })) return result as Answer;
        throw new Error('no answer');
      };
      const started = performance.now();
      const answers = [
        await alice.request(SEND, input('1')),
        await overSocket(input('2')),
        await alice.request(SEND, input('3')),
        await overSocket(input('4')),
      ];
      expect(answers.map(codeOf)).toEqual(Array(4).fill(undefined));
      const burst = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((each) => alice.request(SEND, input(`${each}`))));
      const seconds = (performance.now() - started) / 1_000;
      const through = burst.filter((answer) => codeOf(answer) === undefined).length;
      // One more per second, in case the machine is slow.
      expect(through).toBeLessThanOrEqual(Math.ceil(seconds));
      const refused = burst.find((answer) => codeOf(answer) === 'RATE_LIMITED') as Answer;
      expect(waitOf(refused)).toBeGreaterThan(0);
      expect(waitOf(refused)).toBeLessThanOrEqual(1_000);
      expect(codeOf(await bob.request(SEND, input('from bob')))).toBeUndefined();
      if (second !== first) expect(codeOf(await alice.at(second.url).request(SEND, input('2.1')))).toBeUndefined();
      // On a busy machine, another message of the burst can have been accepted after this one was rejected.
      let last = refused;
      await eventually('a message is rejected', async () => {
        last = await alice.request(SEND, input('too early'));
        return codeOf(last) === 'RATE_LIMITED';
      });
      await pause(waitOf(last));
      expect(codeOf(await alice.request(SEND, input('later')))).toBeUndefined();
      // Messages are counted separately from other mutations.
      expect(codeOf(await alice.request(UPDATE))).toBeUndefined();
      expect(codeOf(await alice.request(UPDATE))).toBe('RATE_LIMITED');
    });

    it('count other mutations under any alias', async () => {
      await limit({ RATE_MUTATION_PER_PERSON: '3/1h' });
      const [alice, bob] = [await register(first.url), await register(first.url)];
      const fields = [1, 2, 3, 4, 5].map((each) => `a${each}: updateProfile(input: {}) { viewer { id } }`);
      const { errors = [], data } = await alice.request(`mutation { ${fields.join(' ')} }`);
      expect(errors.map(({ path, extensions }) => [path?.[0], extensions.code])).toEqual([
        ['a4', 'RATE_LIMITED'],
        ['a5', 'RATE_LIMITED'],
      ]);
      expect(data).toMatchObject({ a3: { viewer: {} }, a4: null });
      expect(codeOf(await bob.request(UPDATE))).toBeUndefined();
    });

    it('count drafts separately from other mutations', async () => {
      await limit({ RATE_DRAFT_PER_PERSON: '2/1h', RATE_MUTATION_PER_PERSON: '2/1h' });
      const [alice, bob] = await registerAll(first.url, 'alice', 'bob');
      const conversationId = await openDirect(bob, alice);
      for (const text of ['one', 'two']) await attempt(alice, 'saveDraft', { conversationId, text });
      expect(await attempt(alice, 'saveDraft', { conversationId, text: 'three' })).toBe('RATE_LIMITED');
      for (const _twice of [1, 2]) expect(codeOf(await alice.request(UPDATE))).toBeUndefined();
      expect(await attempt(bob, 'saveDraft', { conversationId, text: 'one' })).toMatchObject({});
    });

    it('count profile changes separately, and also among all mutations', async () => {
      await limit({ RATE_PROFILE_PER_PERSON: '2/1h', RATE_MUTATION_PER_PERSON: '3/1h' });
      const [alice, bob] = await registerAll(first.url, 'alice', 'bob');
      for (const bio of ['one', 'two']) expect(await attempt(alice, 'updateProfile', { bio })).toMatchObject({});
      expect(await attempt(alice, 'updateProfile', { bio: 'three' })).toBe('RATE_LIMITED');
      expect(await attempt(alice, 'addContact', { userId: bob.id })).toBe('RATE_LIMITED');
      expect(await attempt(bob, 'updateProfile', { bio: 'one' })).toMatchObject({});
    });

    it('count searches for users, groups, messages and members together', async () => {
      await limit({ RATE_SEARCH_PER_PERSON: '2/1h' });
      const [alice, bob] = [await register(first.url), await register(first.url)];
      expect(codeOf(await alice.request(SEARCH))).toBeUndefined();
      expect(codeOf(await alice.request(ROOMS))).toBeUndefined();
      expect(codeOf(await alice.request(SEARCH))).toBe('RATE_LIMITED');
      expect(codeOf(await alice.request(ROOMS))).toBe('RATE_LIMITED');
      expect(codeOf(await alice.request(MESSAGES))).toBe('RATE_LIMITED');
      const group = await createGroup(alice, [bob]);
      const membersOf = (search?: string) =>
        alice.request(
          'query ($id: ID!, $search: String) { conversation(id: $id) { members(search: $search) { nodes { id } } } }',
          { id: group, search },
        );
      expect(codeOf(await membersOf('alice'))).toBe('RATE_LIMITED');
      expect(codeOf(await membersOf())).toBeUndefined();
      expect(codeOf(await bob.request(SEARCH))).toBeUndefined();
    });

    it('count new direct conversations, but not existing ones', async () => {
      await limit({ RATE_OPEN_DIRECT_PER_PERSON: '2/1h' });
      const [alice, ...others] = await registerAll(first.url, 'alice', 'bob', 'carol', 'dave');
      const open = (at: number) =>
        attempt(alice, 'openDirectConversation', { userId: others[at]?.id }, 'conversation { id }');
      const there = await open(0);
      expect(await open(0)).toEqual(there);
      expect(await open(1)).toMatchObject({ conversation: {} });
      expect(await open(2)).toBe('RATE_LIMITED');
      expect(await open(0)).toEqual(there);
    });

    it('do not apply to the service key', async () => {
      await limit({
        RATE_MUTATION_PER_PERSON: '1/1h',
        RATE_SEARCH_PER_PERSON: '1/1h',
      });
      const asService = (query: string) => ask(first.url, query, {}, SERVICE_KEY);
      for (const _each of [1, 2, 3]) {
        await asService(UPDATE);
        await asService(SEARCH);
      }
    });
  });

  itOnce('nothing is limited if RATE_LIMITS is off', async () => {
    await limit({ RATE_LIMITS: 'off', RATE_SIGN_IN_PER_ADDRESS: '1/1h', RATE_SIGN_IN_PER_ACCOUNT_AND_ADDRESS: '1/1h' });
    const person = await register(first.url);
    for (const _each of [1, 2, 3]) {
      const { errors } = await from('192.0.2.1', first.url, LOGIN, wrong(person.username));
      expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    }
  });
});

describe.skipIf(!servicesFound)('rate limits without Redis', () => {
  it('are counted by each node by itself until Redis is reachable again', async () => {
    const servers = await startServers();
    try {
      const place = await makePlace('postgresql');
      const node = await place.start({
        RATE_LIMITS: 'on',
        RATE_SIGN_IN_PER_ACCOUNT_AND_ADDRESS: '2/1h',
        TRUSTED_PROXIES: 'loopback',
        REDIS_URL: servers.redis.url,
      });
      const person = await register(node.url);
      const tries = async (address: string) => {
        const codes = [];
        for (let count = 0; count < 3; count += 1) {
          codes.push(codeOf(await from(address, node.url, LOGIN, wrong(person.username))));
        }
        return codes;
      };
      const bounded = ['BAD_USER_INPUT', 'BAD_USER_INPUT', 'RATE_LIMITED'];
      expect(await tries(fresh())).toEqual(bounded);
      servers.redis.freeze();
      expect(await tries(fresh())).toEqual(bounded);
      servers.redis.thaw();
      await servers.redis.kill();
      const here = fresh();
      expect(await tries(here)).toEqual(bounded);
      expect(codeOf(await from(fresh(), node.url, LOGIN, right(person)))).toBeUndefined();
      await servers.redis.start();
      await eventually('it is counted there again', async () => {
        await from(fresh(), node.url, LOGIN, wrong(person.username));
        const redis = new Redis(servers.redis.url);
        const keys = await redis.keys('*:rate:*');
        redis.disconnect();
        // The keys contain no names or addresses.
        return keys.length > 0 && !keys.some((key) => key.includes(person.username) || key.includes('198.18'));
      });
      await node.stop();
    } finally {
      await servers.remove();
    }
  }, 120_000);
});
