import { once } from 'node:events';
import jwt from 'jsonwebtoken';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { decodeGlobalId, newId } from '../../src/core/ids.js';
import { trimSessions } from '../../src/domain/session/session.trim.js';
import type { Session } from '../../src/generated/prisma/client.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  ask,
  connect,
  connectInTest,
  eventually,
  type Json,
  listen,
  type Person,
  register,
  request,
  socketUrl,
} from '../support/client.js';
import { anyMode, inOneMode, makePlace, modes, sharedNode } from '../support/place.js';
import { createGroup, MESSAGES, SEND } from '../support/talk.js';

const REGISTER = `mutation ($input: RegisterInput!) {
  register(input: $input) { tokens { accessToken refreshToken accessTokenExpiresAt } viewer { email user { id username displayName } } }
}`;
const LOGIN = `mutation ($input: LoginInput!) {
  login(input: $input) { tokens { accessToken refreshToken } viewer { user { id } sessions { id deviceName current } } }
}`;
const REFRESH = `mutation ($input: RefreshSessionInput!) {
  refreshSession(input: $input) { tokens { accessToken refreshToken } viewer { user { id } } }
}`;
const LOGOUT = 'mutation ($input: LogoutInput) { logout(input: $input) { sessionId } }';
const ME = '{ viewer { user { id } } }';

let count = 0;
const fresh = () => {
  count += 1;
  return { username: `Fresh.${count}`, email: `Fresh.${count}@Example.com`, password: 'long enough' };
};

describe.each(modes)('sessions in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let url: string;

  beforeAll(async () => {
    node = await sharedNode(mode);
    url = node.url;
  });

  const signIn = async (person: Person, deviceName?: string) => {
    const input = { usernameOrEmail: person.username, password: person.password, deviceName };
    return (await ask(url, LOGIN, { input })).login;
  };

  describe('register', () => {
    it('creates an account and a session', async () => {
      const input = { ...fresh(), displayName: '  Fresh  Person ' };
      const { register: made } = await ask(url, REGISTER, { input });
      expect(made.viewer).toMatchObject({
        email: input.email,
        user: { username: input.username, displayName: 'Fresh  Person' },
      });
      expect(Date.parse(made.tokens.accessTokenExpiresAt)).toBeGreaterThan(Date.now());
      expect((await ask(url, ME, {}, made.tokens.accessToken)).viewer.user.id).toBe(made.viewer.user.id);
    });

    itOnce.each([
      ['username', 'ab'],
      ['username', 'a'.repeat(33)],
      ['username', 'with space'],
      ['username', 'umläut'],
      ['username', ''],
      ['email', 'nobody'],
      ['email', 'a@b'],
      ['email', `${'x'.repeat(250)}@example.com`],
      ['password', 'short'],
      ['password', 'ä'.repeat(37)],
      ['password', `with\0nul and more`],
      ['displayName', ' '],
      ['displayName', 'x'.repeat(81)],
      ['displayName', 'two\nlines'],
      ['deviceName', 'x'.repeat(81)],
    ])('rejects the %s %j', async (field, value) => {
      const input = { ...fresh(), [field]: value };
      const before = await node.deps.database.db.user.count();
      const { errors, data } = await request(url, REGISTER, { input });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: `input.${field}` });
      expect(data).toEqual({ register: null });
      expect(await node.deps.database.db.user.count()).toBe(before);
    });

    itOnce('returns all invalid fields in one error', async () => {
      const input = { ...fresh(), username: 'x', email: 'nobody', password: 'short' };
      const { errors } = await request(url, REGISTER, { input });
      expect(errors).toHaveLength(1);
      expect(errors?.[0]?.extensions).toEqual({
        code: 'BAD_USER_INPUT',
        field: 'input.username',
        fields: ['username', 'email', 'password'].map((name) => ({
          field: `input.${name}`,
          message: expect.stringMatching(/^(?:A|This) .*\.$/),
        })),
      });
    });

    itOnce('accepts a password of exactly 8 and 72 bytes', async () => {
      for (const password of ['12345678', 'ä'.repeat(36)])
        await ask(url, REGISTER, { input: { ...fresh(), password } });
    });

    it('returns CONFLICT with the field if the username or email address is taken, ignoring case', async () => {
      const first = fresh();
      await ask(url, REGISTER, { input: first });
      const other = fresh();
      const sameName = await request(url, REGISTER, { input: { ...other, username: first.username.toUpperCase() } });
      const sameEmail = await request(url, REGISTER, { input: { ...other, email: first.email.toLowerCase() } });
      expect(sameName.errors?.[0]?.extensions).toMatchObject({ code: 'CONFLICT', field: 'input.username' });
      expect(sameEmail.errors?.[0]?.extensions).toMatchObject({ code: 'CONFLICT', field: 'input.email' });
    });

    itOnce('creates one account for ten concurrent calls', async () => {
      const input = fresh();
      const answers = await Promise.all(Array.from({ length: 10 }, () => request(url, REGISTER, { input })));
      expect(answers.filter(({ errors }) => !errors)).toHaveLength(1);
      expect(new Set(answers.flatMap(({ errors }) => errors?.map((error) => error.extensions.code) ?? []))).toEqual(
        new Set(['CONFLICT']),
      );
    });
  });

  describe('login', () => {
    it('accepts the username or the email address in any case, and stores the device name', async () => {
      const person = await register(url);
      for (const usernameOrEmail of [person.username.toUpperCase(), ` ${person.email.toUpperCase()} `]) {
        const input = { usernameOrEmail, password: person.password, deviceName: 'A phone' };
        const { login } = await ask(url, LOGIN, { input });
        expect(login.viewer.user.id).toBe(person.id);
        expect(login.viewer.sessions[0]).toMatchObject({ deviceName: 'A phone', current: true });
      }
    });

    itOnce('returns the same error for a wrong password and an unknown account', async () => {
      const person = await register(url);
      const answers = await Promise.all(
        [
          { usernameOrEmail: person.username, password: 'wrong password' },
          { usernameOrEmail: person.username, password: '' },
          { usernameOrEmail: person.username, password: `${person.password}${'x'.repeat(80)}` },
          { usernameOrEmail: 'nobody.at.all', password: person.password },
          { usernameOrEmail: 'nobody@example.com', password: person.password },
        ].map((input) => request(url, LOGIN, { input })),
      );
      for (const { errors } of answers) {
        expect(errors?.[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
        expect(errors?.[0]?.message).toBe(answers[0]?.errors?.[0]?.message);
      }
    });
  });

  itOnce('are limited per user: another one ends the least recently used session and its sockets', async () => {
    const { deps, url: ownUrl } = await (await makePlace(mode)).start({ SESSIONS_PER_PERSON_MAX: '3' });
    const person = await register(ownUrl);
    const closed: number[] = [];
    const client = connectInTest(ownUrl, person.token, {
      on: { closed: (event) => void closed.push((event as { code: number }).code) },
    });
    await listen(client, MESSAGES).until(({ type }) => type === 'CAUGHT_UP');
    const signIn = async (deviceName: string) => {
      const input = { usernameOrEmail: person.username, password: person.password, deviceName };
      return (await ask(ownUrl, LOGIN, { input })).login;
    };
    await signIn('second');
    const third = await signIn('third');
    expect(closed).toEqual([]);
    expect(third.viewer.sessions).toHaveLength(3);
    const { viewer } = await signIn('fourth');
    expect(viewer.sessions.map(({ deviceName }: Json) => deviceName)).toEqual(['fourth', 'third', 'second']);
    await eventually('its socket is closed', () => closed.length === 1);
    expect(closed).toEqual([4403]);
    expect((await request(ownUrl, '{ viewer { id } }', {}, person.token)).errors?.[0]?.extensions.code).toBe(
      'UNAUTHENTICATED',
    );
    // Of sessions from before the limit, `sessions` lists as many as it allows, and `sessionPages` all.
    const { id } = decodeGlobalId(person.id, 'id');
    const [one] = await deps.database.db.session.findMany({ where: { userId: id, endedAt: null }, take: 1 });
    await deps.database.db.session.createMany({
      data: Array.from({ length: 5 }, () => ({ ...(one as Session), id: newId(), lastUsedAt: new Date(0) })),
    });
    const PAGES = `query ($after: String) { viewer { sessions { id } sessionPages(first: 6, after: $after) {
      nodes { id } pageInfo { hasNextPage endCursor } } } }`;
    const token = third.tokens.accessToken;
    const first = (await ask(ownUrl, PAGES, {}, token)).viewer;
    expect([first.sessions.length, first.sessionPages.nodes.length]).toEqual([3, 6]);
    const after = first.sessionPages.pageInfo.endCursor;
    const rest = (await ask(ownUrl, PAGES, { after }, token)).viewer.sessionPages;
    expect([rest.nodes.length, rest.pageInfo.hasNextPage]).toEqual([2, false]);
    expect(new Set([...first.sessionPages.nodes, ...rest.nodes].map((session: Json) => session.id)).size).toBe(8);
  });

  describe('refreshSession', () => {
    it('returns new tokens for the same session', async () => {
      const person = await register(url);
      const { refreshSession } = await ask(url, REFRESH, { input: { refreshToken: person.refreshToken } });
      expect(refreshSession.viewer.user.id).toBe(person.id);
      expect(refreshSession.tokens.refreshToken).not.toBe(person.refreshToken);
      expect((await ask(url, ME, {}, refreshSession.tokens.accessToken)).viewer.user.id).toBe(person.id);
      expect((await ask(url, ME, {}, person.token)).viewer.user.id).toBe(person.id);
    });

    itOnce('extends the session, whose expiry its user can see', async () => {
      const signedIn = async () => {
        const { sessions } = (await ask(url, '{ viewer { sessions { expiresAt lastUsedAt current } } }', {}, token))
          .viewer;
        const [session] = sessions.filter(({ current }: Json) => current);
        return { at: Date.parse(session.expiresAt), usedAt: Date.parse(session.lastUsedAt) };
      };
      const person = await register(url);
      let { token } = person;
      // Simulates that the session was last used an hour before.
      const [sessionId] = person.refreshToken.split('.') as [string];
      const { db } = node.deps.database;
      const { expiresAt } = await db.session.findUniqueOrThrow({ where: { id: sessionId } });
      const earlier = new Date(expiresAt.getTime() - 3_600_000);
      await db.session.update({ where: { id: sessionId }, data: { expiresAt: earlier } });
      expect((await signedIn()).at).toBe(earlier.getTime());
      const { refreshSession } = await ask(url, REFRESH, { input: { refreshToken: person.refreshToken } });
      token = refreshSession.tokens.accessToken;
      const { at, usedAt } = await signedIn();
      expect(at).toBeGreaterThanOrEqual(expiresAt.getTime());
      // The sum of the time of the refresh and the configured duration, 30 days.
      expect(Math.abs(at - usedAt - 30 * 86_400_000)).toBeLessThan(60_000);
    });

    itOnce('works with an invalid Authorization header', async () => {
      const person = await register(url);
      const input = { refreshToken: person.refreshToken };
      const { errors } = await request(url, REFRESH, { input }, 'not.a.token');
      expect(errors).toBeUndefined();
    });

    const refresh = async (refreshToken: string, at = url) => {
      const { data, errors } = await request(at, REFRESH, { input: { refreshToken } });
      return errors ? (errors[0]?.extensions.code as string) : (data.refreshSession.tokens.refreshToken as string);
    };

    it('ends the session when a refresh token is used again after its successor was used', async () => {
      const person = await register(url);
      const second = await refresh(person.refreshToken);
      const { refreshSession } = await ask(url, REFRESH, { input: { refreshToken: second } });
      expect(await refresh(person.refreshToken)).toBe('UNAUTHENTICATED');
      const thief = await request(url, ME, {}, refreshSession.tokens.accessToken);
      expect(thief.errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
      expect(await refresh(refreshSession.tokens.refreshToken)).toBe('UNAUTHENTICATED');
    });

    it('returns the same tokens again to a repeated call within REFRESH_GRACE', async () => {
      const person = await register(url);
      const second = await refresh(person.refreshToken);
      expect(await refresh(person.refreshToken)).toBe(second);
      expect(await refresh(second)).not.toBe(second);
      // After REFRESH_GRACE.
      const late = await register(url);
      const third = await refresh(late.refreshToken);
      const { db } = node.deps.database;
      const lastUsedAt = new Date(Date.now() - 30_001);
      await db.session.update({ where: { id: late.refreshToken.split('.')[0] as string }, data: { lastUsedAt } });
      expect(await refresh(late.refreshToken)).toBe('UNAUTHENTICATED');
      expect(await refresh(third)).toBe('UNAUTHENTICATED');
    });

    itOnce('returns the same tokens to concurrent calls with the same refresh token', async () => {
      const person = await register(url);
      const answers = await Promise.all(Array.from({ length: 8 }, () => refresh(person.refreshToken)));
      expect(new Set(answers).size).toBe(1);
      expect(answers[0]).toMatch(/^[0-9a-f-]{36}\./);
    });

    itOnce('rejects invalid refresh tokens, and keeps the session', async () => {
      const person = await register(url);
      const [id, , own] = person.refreshToken.split('.');
      for (const refreshToken of ['', 'nonsense', `${id}.${'A'.repeat(43)}.${own}`, person.token]) {
        const { errors } = await request(url, REFRESH, { input: { refreshToken } });
        expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
      }
      expect((await ask(url, ME, {}, person.token)).viewer.user.id).toBe(person.id);
      const { errors } = await request(url, REFRESH, { input: {} });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.refreshToken' });
    });
  });

  describe('logout', () => {
    it('ends this session only, and its sockets', async () => {
      const person = await register(url);
      const other = await signIn(person);
      const closed = new Promise<{ code: number }>((resolve) => {
        const client = connect(url, person.token, { on: { closed: (event) => resolve(event as { code: number }) } });
        void listen(client, MESSAGES)
          .until(({ type }) => type === 'CAUGHT_UP')
          .then(() => person.ask(LOGOUT));
      });
      expect((await closed).code).toBe(4403);
      const { errors } = await person.request(ME);
      expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
      expect((await ask(url, ME, {}, other.tokens.accessToken)).viewer.user.id).toBe(person.id);
      const again = await request(url, REFRESH, { input: { refreshToken: person.refreshToken } });
      expect(again.errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    });

    itOnce('ends another session of the viewer, but not one of another user', async () => {
      const [person, stranger] = [await register(url), await register(url)];
      const other = await signIn(person, 'lost phone');
      const { viewer } = await person.ask('{ viewer { sessions { id deviceName current } } }');
      const lost = viewer.sessions.find(({ deviceName }: { deviceName: string }) => deviceName === 'lost phone');
      const foreign = await stranger.request(LOGOUT, { input: { sessionId: lost.id } });
      expect(foreign.errors?.[0]?.extensions).toMatchObject({ code: 'NOT_FOUND', field: 'input.sessionId' });
      expect((await person.ask(LOGOUT, { input: { sessionId: lost.id } })).logout.sessionId).toBe(lost.id);
      const { errors } = await request(url, ME, {}, other.tokens.accessToken);
      expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
      expect((await person.ask(ME)).viewer.user.id).toBe(person.id);
      expect((await person.ask('{ viewer { sessions { id } } }')).viewer.sessions).toHaveLength(1);
    });
  });

  itOnce('that start in an operation apply only to the fields below the mutation that starts them', async () => {
    const alice = await register(url, 'alice');
    const input = fresh();
    const { data } = await alice.request(
      `mutation ($input: RegisterInput!) {
        register(input: $input) { viewer { user { username } sessions { current } } }
        createGroup(input: { title: "whose?" }) { conversation { viewerMembership { user { username } } } }
      }`,
      { input },
    );
    expect(data.register.viewer).toEqual({ user: { username: input.username }, sessions: [{ current: true }] });
    expect(data.createGroup.conversation.viewerMembership.user.username).toBe(alice.username);
  });

  itOnce('that have ended cannot be used any more on a socket that does not close', async () => {
    const alice = await register(url, 'alice');
    const group = await createGroup(alice, []);
    const socket = new WebSocket(socketUrl(url), 'graphql-transport-ws');
    await once(socket, 'open');
    const sendFrame = (message: object) => socket.send(JSON.stringify(message));
    sendFrame({ type: 'connection_init', payload: { authorization: alice.token } });
    await once(socket, 'message');
    // The client never answers the close frame.
    socket.close = () => {};
    (socket as unknown as { _receiver: { removeAllListeners(name: string): void } })._receiver.removeAllListeners(
      'conclude',
    );
    await alice.ask(LOGOUT);
    const variables = { input: { conversationId: group, text: 'after the end' } };
    for (let count = 0; count < 20; count += 1) {
      sendFrame({ type: 'subscribe', id: String(count), payload: { query: SEND, variables } });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(await node.deps.database.db.message.count({ where: { text: 'after the end' } })).toBe(0);
    socket.terminate();
  });

  inOneMode(mode, describe)('an access token', () => {
    it('that is invalid causes an error for fields that need a viewer, and is not treated like no token', async () => {
      const person = await register(url);
      const claims = jwt.decode(person.token) as jwt.JwtPayload;
      const [header, body] = person.token.split('.');
      const tokens = {
        garbage: 'garbage',
        'without its signature': `${header}.${body}.`,
        'alg none': jwt.sign({ ...claims }, '', { algorithm: 'none' }),
        'another secret': jwt.sign({ ...claims }, 'x'.repeat(40)),
        'a refresh token': person.refreshToken,
      };
      for (const [name, token] of Object.entries(tokens)) {
        const { data, errors } = await request(url, ME, {}, token);
        expect(errors?.[0]?.extensions.code, name).toBe('UNAUTHENTICATED');
        expect(data, name).toEqual({ viewer: null });
      }
      expect((await request(url, ME)).data).toEqual({ viewer: null });
      expect((await request(url, ME)).errors).toBeUndefined();
    });
  });
});

describe('an access token that expires', () => {
  it('is rejected, its sockets are closed, and a refresh returns a new one', async () => {
    const node = await (await makePlace(anyMode)).start({ ACCESS_TOKEN_TTL: '2s' });
    const person = await register(node.url);
    const code = await new Promise<number>((resolve) => {
      const client = connect(node.url, person.token, {
        on: { closed: (event) => resolve((event as { code: number }).code) },
      });
      void listen(client, MESSAGES);
    });
    expect(code).toBe(4403);
    const { errors } = await person.request(ME);
    expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    const { refreshSession } = await ask(node.url, REFRESH, { input: { refreshToken: person.refreshToken } });
    expect((await ask(node.url, ME, {}, refreshSession.tokens.accessToken)).viewer.user.id).toBe(person.id);
  });
});

describe('JWT_SECRET and JWT_SECRET_PREVIOUS', () => {
  it('can be replaced without invalidating tokens', async () => {
    const [one, two] = ['one', 'two'].map((name) => `${name} secret of these tests, long enough`) as [string, string];
    const place = await makePlace(anyMode);
    const start = (JWT_SECRET: string, JWT_SECRET_PREVIOUS = '') => place.start({ JWT_SECRET, JWT_SECRET_PREVIOUS });
    const codeAt = async (node: RunningNode, token: string) =>
      (await request(node.url, ME, {}, token)).errors?.[0]?.extensions.code ?? 'good';
    // The steps of a rolling change of the secret: tokens of both are valid as long as both are configured.
    let node = await start(one, two);
    const signedByOne = (await register(node.url)).token;
    await node.stop();
    node = await start(two, one);
    const signedByTwo = (await register(node.url)).token;
    expect(await codeAt(node, signedByOne)).toBe('good');
    await node.stop();
    node = await start(one, two);
    expect(await codeAt(node, signedByTwo)).toBe('good');
    const expired = jwt.sign({ ...(jwt.decode(signedByTwo) as jwt.JwtPayload), exp: 1 }, two);
    expect((await request(node.url, ME, {}, expired)).errors?.[0]?.message).toBe('The token has expired.');
    await node.stop();
    node = await start(two);
    expect([await codeAt(node, signedByOne), await codeAt(node, signedByTwo)]).toEqual(['UNAUTHENTICATED', 'good']);
  }, 120_000);
});

describe.each(modes)('ended and expired sessions in %s mode', (mode) => {
  it('are deleted after the retention period, and no others', async () => {
    const node = await sharedNode(mode);
    const { db } = node.deps.database;
    const people = await Promise.all(Array.from({ length: 5 }, () => register(node.url)));
    // Other tests use the same database.
    await trimSessions(db, 30 * 86_400_000);
    const theirs = {
      where: { userId: { in: people.map(({ id }) => decodeGlobalId(id, 'id').id) } },
      orderBy: { id: 'asc' },
    } as const;
    const ids = (await db.session.findMany(theirs)).map(({ id }) => id) as [string, string, string, string, string];
    const ago = (days: number) => new Date(Date.now() - days * 86_400_000);
    await db.session.update({ where: { id: ids[0] }, data: { endedAt: ago(31) } });
    await db.session.update({ where: { id: ids[1] }, data: { endedAt: ago(29) } });
    await db.session.update({ where: { id: ids[2] }, data: { expiresAt: ago(31) } });
    await db.session.update({ where: { id: ids[3] }, data: { expiresAt: ago(29) } });
    expect(await trimSessions(db, 30 * 86_400_000)).toBe(2);
    const left = (await db.session.findMany(theirs)).map(({ id }) => id);
    expect(left).toEqual([ids[1], ids[3], ids[4]]);
    expect(people).toHaveLength(5);
  });
});
