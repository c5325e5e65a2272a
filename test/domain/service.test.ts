import { beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import { startSession } from '../../src/domain/session/session.service.js';
import type { RunningNode } from '../../src/server/start.js';
import { ask, connect, eventually, type Json, listen, type Person, register, request } from '../support/client.js';
import { anyMode, inOneMode, makePlace, modes, type Place, sharedNode } from '../support/place.js';
import { Provider } from '../support/provider.js';
import { openSse } from '../support/sse.js';
import { attempt, createGroup, MESSAGES, send } from '../support/talk.js';

// In the form of `openssl rand -base64 48`, with every kind of character of base64.
const KEY = `a+key/of~the-tests_${'x'.repeat(20)}==`;

const ME = '{ viewer { email user { id kind username displayName } sessions { id current } } }';
const CREATE = `mutation ($input: CreateUserInput!) {
  createUser(input: $input) { user { id kind username displayName } }
}`;
const FIND = 'query ($externalId: String!) { userByExternalId(externalId: $externalId) { id username deletedAt } }';
const ACCESS = `mutation ($input: CreateAccessTokenInput!) {
  createAccessToken(input: $input) { tokens { accessToken refreshToken accessTokenExpiresAt } user { id } }
}`;
const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { viewer { email user { id } } } }';
const REFRESH = `mutation ($input: RefreshSessionInput!) {
  refreshSession(input: $input) { viewer { user { id } } }
}`;
const codeOf = async (url: string, query: string, variables: Json, token?: string) =>
  (await request(url, query, variables, token)).errors?.[0]?.extensions.code ?? 'no error';
const rowOf = (globalId: string) => ({ id: decodeGlobalId(globalId, 'id').id });
const LOGOUT = 'mutation ($input: LogoutInput) { logout(input: $input) { sessionId } }';

let count = 0;
const fresh = () => {
  count += 1;
  return { username: `made.${count}`, displayName: `Made ${count}`, externalId: `customers/${count}` };
};

describe.each(modes)('the service key in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let place: Place;
  let node: RunningNode;
  let other: RunningNode;
  let url: string;
  /** The service's bot as a `Person`, for the helpers of the tests. */
  let bot: Person;

  beforeAll(async () => {
    place = await makePlace(mode);
    node = await place.start({ SERVICE_KEY: KEY });
    other = mode === 'postgresql' ? await place.start({ SERVICE_KEY: KEY }) : node;
    url = node.url;
    bot = {
      ask: (query: string, variables?: Json) => ask(url, query, variables, KEY),
      request: (query: string, variables?: Json) => request(url, query, variables, KEY),
      token: KEY,
    } as Person;
  });

  it('belongs to a bot that is created at the first start, and to one session that is created at its first use', async () => {
    const own = await makePlace(mode);
    const nodes = [await own.start({ SERVICE_KEY: KEY })];
    const input = { username: 'Service', email: 'service@example.com', password: 'long enough' };
    const { errors } = await request(
      (nodes[0] as RunningNode).url,
      'mutation ($input: RegisterInput!) { register(input: $input) { tokens { accessToken } } }',
      { input },
    );
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'CONFLICT', field: 'input.username' });
    if (mode === 'postgresql') nodes.push(await own.start({ SERVICE_KEY: KEY }));
    const viewers = await Promise.all([...nodes, ...nodes, ...nodes, ...nodes].map((at) => ask(at.url, ME, {}, KEY)));
    const { user, email, sessions } = viewers[0].viewer;
    expect(user).toMatchObject({ kind: 'BOT', username: 'service', displayName: 'service' });
    expect([email, sessions]).toEqual(['', [{ id: expect.any(String), current: true }]]);
    expect(new Set(viewers.map(({ viewer }) => JSON.stringify(viewer))).size).toBe(1);
    const { db } = (nodes[0] as RunningNode).deps.database;
    expect([await db.user.count(), await db.session.count()]).toEqual([1, 1]);
  });

  it('creates groups, sends messages as a bot and receives the answers, over HTTP, SSE and WebSocket', async () => {
    const [ann, ben] = [await register(url, 'ann'), await register(url, 'ben')];
    const group = await createGroup(bot, [ann]);
    await bot.ask('mutation ($input: AddMembersInput!) { addMembers(input: $input) { __typename } }', {
      input: { conversationId: group, userIds: [ben.id] },
    });
    const client = connect(other.url, KEY);
    const received = listen(client, MESSAGES, { conversationId: group });
    await received.until(({ type }) => type === 'CAUGHT_UP');
    const sse = await openSse(url, KEY, { conversationId: group });
    const answers = connect(url, ben.token);
    const bens = listen(answers, 'subscription { messages { type message { text sender { kind username } } } }');
    await bens.until(({ type }) => type === 'CAUGHT_UP');
    await send(bot, group, 'from the service');
    await send(ben, group, 'to the service');
    await received.until(({ message }) => message?.text === 'to the service');
    await eventually('the message arrives over SSE too', () =>
      sse.results.some(({ data }) => data?.messages.message?.text === 'to the service'),
    );
    const { message } = await bens.until((event) => event.message?.text === 'from the service');
    expect(message.sender).toEqual({ kind: 'BOT', username: 'service' });
    sse.cancel();
    await Promise.all([client.dispose(), answers.dispose()]);
  });

  itOnce.each([
    ['has another last character', `${KEY.slice(0, -3)}y==`],
    ['lacks the last character', KEY.slice(0, -1)],
    ['is longer', `${KEY.slice(0, -2)}x==`],
  ])('a key that %s is UNAUTHENTICATED, and its WebSocket is closed', async (_name, key) => {
    expect((await request(url, ME, {}, key)).errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    const code = await new Promise<number>((resolve) => {
      const client = connect(url, key, { on: { closed: (event) => resolve((event as { code: number }).code) } });
      void listen(client, MESSAGES);
    });
    expect(code).toBe(4403);
  });

  itOnce('cannot be logged out', async () => {
    const { viewer } = await bot.ask(ME);
    for (const variables of [{}, { input: { sessionId: viewer.sessions[0].id } }]) {
      expect((await bot.request(LOGOUT, variables)).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    }
    expect((await bot.ask(ME)).viewer).toEqual(viewer);
  });

  it('gets a new session after its session has ended for any reason, unless its account is suspended', async () => {
    const { viewer } = await bot.ask(ME);
    const { db } = node.deps.database;
    const row = await db.user.findUniqueOrThrow({ where: rowOf(viewer.user.id) });
    const { accessToken } = await node.deps.database.transaction((tx) => startSession(node.deps, tx, row, null));
    await ask(url, LOGOUT, { input: { sessionId: viewer.sessions[0].id } }, accessToken);
    await ask(url, LOGOUT, {}, accessToken);
    const current = { current: true };
    for (const at of [url, other.url]) {
      const answers = await Promise.all(Array.from({ length: 10 }, () => ask(at, ME, {}, KEY)));
      for (const again of answers) {
        expect(again.viewer).toMatchObject({ user: viewer.user, sessions: [current] });
        expect(again.viewer.sessions[0].id).not.toBe(viewer.sessions[0].id);
      }
    }
    // Ended by a node whose clock is ahead, while the account is suspended.
    const endedAt = new Date(Date.now() + 60_000);
    await db.session.updateMany({ where: { userId: row.id, endedAt: null }, data: { endedAt } });
    const suspend = (suspendedAt: Date | null) => db.user.update({ where: { id: row.id }, data: { suspendedAt } });
    await suspend(new Date());
    expect(await codeOf(url, ME, {}, KEY)).toBe('UNAUTHENTICATED');
    await suspend(null);
    for (const at of [url, other.url]) expect((await ask(at, ME, {}, KEY)).viewer.sessions).toMatchObject([current]);
  });

  itOnce('cannot delete its account with any session', async () => {
    const { viewer } = await bot.ask(ME);
    const row = await node.deps.database.db.user.findUniqueOrThrow({ where: rowOf(viewer.user.id) });
    const { accessToken } = await node.deps.database.transaction((tx) => startSession(node.deps, tx, row, null));
    for (const token of [KEY, accessToken]) {
      const remove = 'mutation { deleteAccount(input: {}) { userId } }';
      expect(await codeOf(url, remove, {}, token)).toBe('FORBIDDEN');
    }
    expect((await bot.ask(ME)).viewer.user).toEqual(viewer.user);
    await ask(url, LOGOUT, {}, accessToken);
  });

  itOnce(
    'is required for createUser, createAccessToken and userByExternalId, which are FORBIDDEN for everybody else',
    async () => {
      const person = await register(url);
      const { user } = (await bot.ask(CREATE, { input: { ...fresh(), kind: 'BOT' } })).createUser;
      const { tokens } = (await bot.ask(ACCESS, { input: { userId: user.id } })).createAccessToken;
      const before = await node.deps.database.db.user.count();
      const operations: [string, Json][] = [
        [CREATE, { input: fresh() }],
        [CREATE, { input: { ...fresh(), username: '!' } }],
        [FIND, { externalId: 'customers/1' }],
        [ACCESS, { input: { userId: person.id } }],
        [ACCESS, { input: { userId: user.id } }],
      ];
      for (const token of [person.token, tokens.accessToken])
        for (const [query, variables] of operations) {
          const { errors } = await request(url, query, variables, token);
          expect(errors?.[0]?.extensions.code, query).toBe('FORBIDDEN');
        }
      expect(await node.deps.database.db.user.count()).toBe(before);
    },
  );

  describe('createUser', () => {
    it('creates a person, a bot, and a user who signs in with a password', async () => {
      const person = fresh();
      const { user } = (await bot.ask(CREATE, { input: person })).createUser;
      expect(user).toEqual({
        id: expect.any(String),
        kind: 'PERSON',
        username: person.username,
        displayName: person.displayName,
      });
      expect((await bot.ask(FIND, { externalId: person.externalId })).userByExternalId.id).toBe(user.id);
      expect((await ask(other.url, FIND, { externalId: 'nobody' }, KEY)).userByExternalId).toBeNull();
      const made = (await bot.ask(CREATE, { input: { ...fresh(), kind: 'BOT' } })).createUser.user;
      expect(made.kind).toBe('BOT');
      const input = { ...fresh(), email: `made.${count}.${mode}@example.com`, password: 'long enough' };
      const known = (await bot.ask(CREATE, { input })).createUser.user;
      const { login } = await ask(url, LOGIN, { input: { usernameOrEmail: input.email, password: input.password } });
      expect(login.viewer).toEqual({ email: input.email, user: { id: known.id } });
    });

    itOnce('returns the first user to a retry, also after a rename, and CONFLICT for another input', async () => {
      const input = { ...fresh(), email: 'once@example.com' };
      const { user } = (await bot.ask(CREATE, { input })).createUser;
      const { userId } = await node.deps.database.db.outsideIdentity.findFirstOrThrow({
        where: { subject: input.externalId },
      });
      await node.deps.database.db.user.update({ where: { id: userId }, data: { displayName: 'Called otherwise' } });
      const again = (await ask(other.url, CREATE, { input }, KEY)).createUser.user;
      expect(again).toEqual({ ...user, displayName: 'Called otherwise' });
      const changes: Json[] = [
        { displayName: 'X' },
        { username: `x.${input.username}` },
        { email: 'x@example.com' },
        { email: null },
        { kind: 'BOT' },
      ];
      for (const change of changes) {
        const { errors } = await bot.request(CREATE, { input: { ...input, ...change } });
        expect(errors?.[0]?.extensions, JSON.stringify(change)).toMatchObject({
          code: 'CONFLICT',
          field: 'input.externalId',
        });
      }
    });

    it('returns CONFLICT for the externalId of a deleted account, which userByExternalId still finds', async () => {
      const input = { ...fresh(), email: `gone.${mode}@example.com` };
      const { user } = (await bot.ask(CREATE, { input })).createUser;
      const { tokens } = (await bot.ask(ACCESS, { input: { userId: user.id } })).createAccessToken;
      await ask(url, 'mutation { deleteAccount(input: {}) { userId } }', {}, tokens.accessToken);
      for (const again of [input, { ...input, displayName: 'Another' }]) {
        const { errors } = await bot.request(CREATE, { input: again });
        expect(errors?.[0]?.message).toContain('deleted');
        expect(errors?.[0]?.extensions).toMatchObject({ code: 'CONFLICT', field: 'input.externalId' });
      }
      const found = (await bot.ask(FIND, { externalId: input.externalId })).userByExternalId;
      expect(found).toMatchObject({ id: user.id, deletedAt: expect.any(String) });
      // The username is available again for another externalId.
      const other = (await bot.ask(CREATE, { input: { ...input, externalId: `${input.externalId}/2` } })).createUser;
      expect(other.user.id).not.toBe(user.id);
    });

    itOnce('does not compare or store the password of a retry', async () => {
      const input = { ...fresh(), email: `again.${mode}@example.com`, password: 'long enough' };
      const { user } = (await bot.ask(CREATE, { input })).createUser;
      const again = (await bot.ask(CREATE, { input: { ...input, password: 'another one' } })).createUser.user;
      expect(again.id).toBe(user.id);
      const credentials = { usernameOrEmail: input.email, password: 'another one' };
      expect((await request(url, LOGIN, { input: credentials })).errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    });

    itOnce('creates one user for ten concurrent calls with the same input', async () => {
      for (let round = 0; round < 8; round += 1) {
        const input = fresh();
        const answers = await Promise.all(
          Array.from({ length: 10 }, (_, index) => ask(index % 2 ? url : other.url, CREATE, { input }, KEY)),
        );
        expect(new Set(answers.map(({ createUser }) => createUser.user.id)).size).toBe(1);
      }
    });

    itOnce('returns CONFLICT with the field if the username or email address is taken', async () => {
      const person = await register(url);
      const sameName = { ...fresh(), username: person.username.toUpperCase() };
      const sameEmail = { ...fresh(), email: person.email.toUpperCase(), password: 'long enough' };
      for (const [input, field] of [
        [sameName, 'input.username'],
        [sameEmail, 'input.email'],
      ] as const) {
        const { errors } = await bot.request(CREATE, { input });
        expect(errors?.[0]?.extensions).toMatchObject({ code: 'CONFLICT', field });
        expect((await bot.ask(FIND, { externalId: input.externalId })).userByExternalId).toBeNull();
      }
      const racing = [fresh(), fresh()].map((input) => ({ ...input, username: `race.${mode}` }));
      const codes = (await Promise.all(racing.map((input) => bot.request(CREATE, { input })))).map(
        ({ errors }) => errors?.[0]?.extensions,
      );
      expect(codes).toContainEqual(undefined);
      expect(codes).toContainEqual({ code: 'CONFLICT', field: 'input.username' });
    });

    itOnce.each([
      ['username', { username: 'everyone' }],
      ['displayName', { displayName: '' }],
      ['email', { email: 'nobody' }],
      ['email', { password: 'long enough' }],
      ['password', { email: 'a@example.com', password: 'short' }],
      ['externalId', { externalId: '' }],
      ['externalId', { externalId: 'x'.repeat(129) }],
      ['externalId', { externalId: 'a\0b' }],
    ])('rejects the %s of %j', async (field, change) => {
      const { errors } = await bot.request(CREATE, { input: { ...fresh(), ...change } });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: `input.${field}` });
    });
  });

  itOnce('rejects an invalid externalId in userByExternalId', async () => {
    const { errors } = await bot.request(FIND, { externalId: 'a\0b' });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'externalId' });
  });

  describe('createAccessToken', () => {
    it('creates a session with which a user acts as themselves', async () => {
      const { user } = (await bot.ask(CREATE, { input: { ...fresh(), email: 'handed@example.com' } })).createUser;
      const input = { userId: user.id, deviceName: 'handed over' };
      const { createAccessToken } = await bot.ask(ACCESS, { input });
      expect(createAccessToken.user.id).toBe(user.id);
      const { accessToken, refreshToken } = createAccessToken.tokens;
      const { viewer } = await ask(
        other.url,
        '{ viewer { email user { id } sessions { deviceName current } } }',
        {},
        accessToken,
      );
      expect(viewer).toEqual({
        email: 'handed@example.com',
        user: { id: user.id },
        sessions: [{ deviceName: 'handed over', current: true }],
      });
      const { refreshSession } = await ask(url, REFRESH, { input: { refreshToken } });
      expect(refreshSession.viewer.user.id).toBe(user.id);
      await ask(url, LOGOUT, {}, accessToken);
      expect((await request(other.url, ME, {}, accessToken)).errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    });

    itOnce('creates sessions that end when their user becomes a moderator of the service', async () => {
      const { user } = (await bot.ask(CREATE, { input: fresh() })).createUser;
      const { tokens } = (await bot.ask(ACCESS, { input: { userId: user.id } })).createAccessToken;
      const { accessToken, refreshToken } = tokens;
      expect(await codeOf(url, ME, {}, accessToken)).toBe('no error');
      let closedWith: number | undefined;
      const client = connect(other.url, accessToken, {
        on: {
          closed: (event) => {
            closedWith = (event as { code: number }).code;
          },
        },
      });
      await listen(client, MESSAGES).until(({ type }) => type === 'CAUGHT_UP');
      await node.deps.database.db.user.update({ where: rowOf(user.id), data: { serviceRole: 'MODERATOR' } });
      expect(await codeOf(url, ME, {}, accessToken)).toBe('UNAUTHENTICATED');
      expect(await codeOf(url, REFRESH, { input: { refreshToken } })).toBe('UNAUTHENTICATED');
      await eventually('the socket is closed', () => closedWith === 4403);
    });

    itOnce('returns NOT_FOUND for a deleted or unknown user', async () => {
      const { user } = (await bot.ask(CREATE, { input: fresh() })).createUser;
      await node.deps.database.db.user.updateMany({
        where: { username: user.username },
        data: { deletedAt: new Date() },
      });
      const nobody = 'User_AaH9b5HNcECpvBfEbG_tgA';
      for (const userId of [user.id, nobody]) {
        const { errors } = await bot.request(ACCESS, { input: { userId } });
        expect(errors?.[0]?.extensions).toMatchObject({ code: 'NOT_FOUND', field: 'input.userId' });
      }
      const { errors } = await bot.request(ACCESS, { input: { userId: 'nonsense' } });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.userId' });
    });
  });
});

describe('the account of the service', () => {
  it('has the configured names, also after they change, and never a username that is taken', async () => {
    const place = await makePlace(anyMode);
    const first = await place.start({ SERVICE_KEY: KEY, SERVICE_USERNAME: 'helper', SERVICE_NAME: 'The Helper' });
    const person = await register(first.url);
    const { user } = (await ask(first.url, ME, {}, KEY)).viewer;
    expect(user).toMatchObject({ username: 'helper', displayName: 'The Helper' });
    await first.stop();
    const second = await place.start({ SERVICE_KEY: KEY, SERVICE_USERNAME: person.username });
    const renamed = (await ask(second.url, ME, {}, KEY)).viewer.user;
    expect(renamed).toMatchObject({ id: user.id, kind: 'BOT', displayName: person.username });
    expect(renamed.username).toMatch(new RegExp(`^${person.username}-[0-9a-f]{4}$`));
  });

  it('can be used even if it cannot be renamed', async () => {
    const place = await makePlace(anyMode);
    const first = await place.start({ SERVICE_KEY: KEY, SERVICE_NAME: 'Before' });
    const { user } = (await ask(first.url, ME, {}, KEY)).viewer;
    const { db } = first.deps.database;
    await db.$executeRaw`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''too much''; END'`;
    await db.$executeRaw`CREATE TRIGGER refuse BEFORE UPDATE ON users EXECUTE FUNCTION refuse()`;
    await first.stop();
    const second = await place.start({ SERVICE_KEY: KEY, SERVICE_NAME: 'After' });
    expect((await ask(second.url, ME, {}, KEY)).viewer.user).toEqual(user);
    await second.deps.database.db.$executeRaw`DROP TRIGGER refuse ON users`;
    await second.stop();
    const third = await place.start({ SERVICE_KEY: KEY, SERVICE_NAME: 'After' });
    expect((await ask(third.url, ME, {}, KEY)).viewer.user).toEqual({ ...user, displayName: 'After' });
  });

  it('loses exactly the sessions that a service key has created when that key is removed', async () => {
    const place = await makePlace(anyMode);
    const keys = { first: KEY, second: `${KEY.slice(0, -3)}y==` };
    let { url, stop } = await place.start({ SERVICE_KEY: keys.first });
    const restart = async (env: Record<string, string>) => {
      await stop();
      ({ url, stop } = await place.start(env));
    };
    const input = { ...fresh(), email: 'both@example.com', password: 'long enough' };
    const { user } = (await ask(url, CREATE, { input }, keys.first)).createUser;
    const access = async (key: string) =>
      (await ask(url, ACCESS, { input: { userId: user.id } }, key)).createAccessToken.tokens;
    const codes = async ({ accessToken, refreshToken }: { accessToken: string; refreshToken: string }) => [
      await codeOf(url, ME, {}, accessToken),
      await codeOf(url, REFRESH, { input: { refreshToken } }),
    ];
    const [lives, ended] = [
      ['no error', 'no error'],
      ['UNAUTHENTICATED', 'UNAUTHENTICATED'],
    ];
    const person = await register(url);
    const [early, kept] = [await access(keys.first), await access(keys.first)];
    const { login } = await ask(url, LOGIN.replace('{ viewer', '{ tokens { accessToken refreshToken } viewer'), {
      input: { usernameOrEmail: input.email, password: input.password },
    });

    await restart({ SERVICE_KEY: keys.first });
    expect(await codes(kept)).toEqual(lives);
    await restart({ SERVICE_KEY: keys.second });
    expect(await codes(early)).toEqual(ended);
    expect(await codeOf(url, ME, {}, kept.accessToken)).toBe('UNAUTHENTICATED');
    expect(await codeOf(url, ME, {}, keys.first)).toBe('UNAUTHENTICATED');
    const later = await access(keys.second);
    expect(await codes(later)).toEqual(lives);
    await restart({});
    expect(await codeOf(url, ME, {}, later.accessToken)).toBe('UNAUTHENTICATED');
    for (const tokens of [login.tokens, { accessToken: person.token, refreshToken: person.refreshToken }]) {
      expect(await codes(tokens)).toEqual(lives);
    }
  });

  it('can create access tokens only for users that it created or that the identity provider signs in', async () => {
    const provider = await Provider.start();
    const place = await makePlace(anyMode);
    let { url, stop } = await place.start({ SERVICE_KEY: KEY });
    const restart = async (env: Record<string, string>) => {
      await stop();
      ({ url, stop } = await place.start({ SERVICE_KEY: KEY, ...env }));
    };
    const access = (userId: string) =>
      attempt({ request: (query, more) => request(url, query, more, KEY) } as Person, 'createAccessToken', { userId });
    const yes = { __typename: 'CreateAccessTokenPayload' };
    const no = 'FORBIDDEN input.userId';
    const person = await register(url);
    const made = (await ask(url, CREATE, { input: fresh() }, KEY)).createUser.user;
    expect([await access(made.id), await access(person.id)]).toEqual([yes, no]);
    await restart(provider.env);
    const theirs = (await ask(url, ME, {}, await provider.sign('auth0|789'))).viewer.user;
    expect([await access(made.id), await access(theirs.id), await access(person.id)]).toEqual([yes, yes, no]);
    await restart({});
    expect([await access(made.id), await access(theirs.id), await access(person.id)]).toEqual([yes, no, no]);
  });

  it('cannot be used if no key is configured', async () => {
    const { url } = await sharedNode(anyMode);
    expect((await request(url, ME, {}, KEY)).errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
  });

  it('creates accounts in advance for users of an identity provider', async () => {
    const provider = await Provider.start();
    const { url } = await (await makePlace(anyMode)).start({ SERVICE_KEY: KEY, ...provider.env });
    const input = { ...fresh(), externalId: 'auth0|123' };
    const { user } = (await ask(url, CREATE, { input }, KEY)).createUser;
    const claims = { preferred_username: 'another.name', name: 'Another Name', email: 'a@example.com' };
    const viewer = async (more: Json) => {
      const token = await provider.sign(input.externalId, { ...claims, ...more });
      return (await ask(url, ME, {}, token)).viewer;
    };
    expect(await viewer({})).toMatchObject({ email: 'a@example.com', user });
    // Later changes at the identity provider are applied.
    expect((await viewer({ name: 'A New Name' })).user).toEqual({ ...user, displayName: 'A New Name' });
    // The account of a user who has signed in first was created without an input, but the service can find it.
    const subject = 'auth0|456';
    const early = await provider.sign(subject);
    const { user: signedIn } = (await ask(url, ME, {}, early)).viewer;
    const { errors } = await request(url, CREATE, { input: { ...fresh(), externalId: subject } }, KEY);
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'CONFLICT', field: 'input.externalId' });
    expect((await ask(url, FIND, { externalId: subject }, KEY)).userByExternalId.id).toBe(signedIn.id);
  });
});
