import { createHmac } from 'node:crypto';
import { exportSPKI, importJWK } from 'jose';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import { providerAuthenticator } from '../../src/domain/identity-provider/identity-provider.viewers.js';
import type { RunningNode } from '../../src/server/start.js';
import { ask, connect, eventually, type Json, listen, register, request, smallest } from '../support/client.js';
import {
  anyMode,
  inOneMode,
  makePlace,
  modes,
  type Place,
  servicesFound,
  sharedNode,
  waitingFor,
} from '../support/place.js';
import { makeKey, Provider } from '../support/provider.js';
import { openSse } from '../support/sse.js';
import { statementsOf } from '../support/statements.js';
import { attempt, MESSAGES } from '../support/talk.js';

const ME = '{ viewer { email user { id kind username displayName avatarUrl } sessions { id current } } }';
const LOGOUT = 'mutation { logout { sessionId } }';

let count = 0;
/** A new subject of the provider. */
const fresh = () => {
  count += 1;
  return `subject|${count}`;
};
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1_000) + seconds;
const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

const me = async (url: string, token: string) => (await ask(url, ME, {}, token)).viewer;
const codeOf = async (url: string, token: string) =>
  (await request(url, ME, {}, token)).errors?.[0]?.extensions.code ?? 'no error';

/** The close code of a socket with this token. */
const closing = (url: string, token: string, onOpen: () => void = () => {}) =>
  new Promise<number>((resolve) => {
    const client = connect(url, token, {
      on: { closed: (event) => resolve((event as { code: number }).code), connected: onOpen },
    });
    void listen(client, MESSAGES);
  });

describe.each(modes)('users of an identity provider in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  const describeOnce = inOneMode(mode, describe);
  let provider: Provider;
  let place: Place;
  let node: RunningNode;
  let other: RunningNode;
  let url: string;

  beforeAll(async () => {
    provider = await Provider.start();
    place = await makePlace(mode);
    node = await place.start(provider.env);
    // The embedded database supports one node.
    other = mode === 'postgresql' ? await place.start(provider.env) : node;
    url = node.url;
  });

  describe('the first use of a token', () => {
    it('creates the account and signs the user in over HTTP, SSE and WebSocket', async () => {
      const token = await provider.sign(fresh(), {
        preferred_username: `Ann.${mode}`,
        name: 'Ann Example',
        picture: 'https://pictures.example.com/ann.png',
        email: 'ann@example.com',
      });
      const viewer = await me(url, token);
      expect(viewer).toMatchObject({
        email: 'ann@example.com',
        user: {
          kind: 'PERSON',
          username: `Ann.${mode}`,
          displayName: 'Ann Example',
          avatarUrl: 'https://pictures.example.com/ann.png',
        },
        sessions: [{ current: true }],
      });
      const sse = await openSse(other.url, token);
      await eventually('the stream is live', () => sse.results[0]?.data?.messages?.type === 'CAUGHT_UP');
      sse.cancel();
      const client = connect(other.url, token);
      await listen(client, MESSAGES).until(({ type }) => type === 'CAUGHT_UP');
      await client.dispose();
      expect((await me(other.url, token)).sessions).toHaveLength(1);
      const found = await ask(url, '{ users(search: "Ann") { nodes { id } } }', {}, token);
      expect(found.users.nodes).toContainEqual({ id: viewer.user.id });
    });

    itOnce('creates one account and one session for concurrent requests on every node', async () => {
      const subject = fresh();
      const tokens = await Promise.all(
        Array.from({ length: 10 }, (_, index) => provider.sign(subject, { jti: String(index) })),
      );
      const viewers = await Promise.all(tokens.map((token, index) => me(index % 2 ? url : other.url, token)));
      expect(new Set(viewers.map(({ user }) => user.id)).size).toBe(1);
      const rows = await node.deps.database.db.outsideIdentity.findMany({
        where: { subject },
        include: { user: { include: { sessions: true } } },
      });
      expect(rows).toHaveLength(1);
      expect(rows[0]?.user.sessions).toHaveLength(1);
    });

    itOnce.each([
      ['an email address', 'first.last@example.com', 'first.last'],
      ['accents and spaces', 'Zoë Müller', 'Zoe_Muller'],
      ['one that is too short', 'jo', 'jo_'],
      ['one that is too long', 'l'.repeat(50), 'l'.repeat(32)],
      ['what stands for all', 'Everyone', 'Everyone_'],
    ])('derives a username from %s', async (_what, claim, username) => {
      const { user } = await me(url, await provider.sign(fresh(), { preferred_username: claim }));
      expect(user.username).toBe(username);
    });

    itOnce('accepts a token without claims about the user, or with invalid ones', async () => {
      const said = [
        {},
        { preferred_username: '日本', name: ' ', picture: 'javascript:alert(1)', email: 'no' },
        { preferred_username: ['a'], name: 7, picture: {}, email: null },
        { name: `\u0007${'😀'.repeat(60)}\n`, picture: 'https:// ' },
      ];
      for (const claims of said) {
        const { email, user } = await me(url, await provider.sign(fresh(), claims));
        expect(user.username).toMatch(/^user(-[0-9a-f]+)?$/);
        expect(user.displayName.length).toBeGreaterThan(0);
        expect(user.displayName.length).toBeLessThanOrEqual(80);
        expect(user.displayName).not.toMatch(/[\p{Cc}\p{Cs}]/u);
        expect([email, user.avatarUrl]).toEqual(['', null]);
      }
    });

    itOnce('adds a suffix to a username that is taken, also for concurrent requests', async () => {
      const person = await register(url, 'taken');
      const tokens = await Promise.all(
        Array.from({ length: 6 }, () => provider.sign(fresh(), { preferred_username: person.username.toUpperCase() })),
      );
      const names = (await Promise.all(tokens.map((token) => me(url, token)))).map(({ user }) => user.username);
      expect(new Set(names).size).toBe(6);
      for (const name of names) expect(name).toMatch(new RegExp(`^${person.username}-[0-9a-f]{4}$`, 'i'));
      expect((await person.ask(ME)).viewer.user.username).toBe(person.username);
    });

    itOnce('does not sign a user in to the account of another user with the same email address', async () => {
      const person = await register(url);
      const { email, user } = await me(url, await provider.sign(fresh(), { email: person.email }));
      expect(email).toBe(person.email);
      expect(user.id).not.toBe(person.id);
    });
  });

  describe('a later use of a token', () => {
    it('updates the names if a claim has changed, and keeps what the user has changed here', async () => {
      const subject = fresh();
      const claims = {
        preferred_username: `old.${subject.slice(8)}.${mode}`,
        name: 'Old',
        picture: 'https://a.example/1',
      };
      const { user } = await me(url, await provider.sign(subject, claims));
      const { db } = node.deps.database;
      const { userId } = await db.outsideIdentity.findFirstOrThrow({ where: { subject } });
      await db.user.update({ where: { id: userId }, data: { avatarUrl: 'https://own.example/picture' } });
      const renamed = { ...claims, preferred_username: `new.${subject.slice(8)}.${mode}`, name: 'New Name' };
      const after = (await me(url, await provider.sign(subject, { ...renamed, jti: 'next' }))).user;
      expect(after).toEqual({
        ...user,
        username: renamed.preferred_username,
        displayName: 'New Name',
        avatarUrl: 'https://own.example/picture',
      });
      // The user is found by the new names, and no longer by the old ones.
      const token = await provider.sign(subject, renamed);
      const search = (text: string) =>
        ask(url, 'query ($s: String!) { users(search: $s) { nodes { id } } }', { s: text }, token);
      expect((await search(renamed.preferred_username)).users.nodes).toEqual([{ id: user.id }]);
      expect((await search(claims.preferred_username)).users.nodes).toEqual([]);
    });

    itOnce('delivers the new name to members of common conversations', async () => {
      const subject = fresh();
      const { user } = await me(url, await provider.sign(subject, { name: 'Old' }));
      const other = await register(url, 'other');
      const direct = await attempt(other, 'openDirectConversation', { userId: user.id }, 'conversation { id }');
      const client = connect(url, other.token);
      const stream = listen(
        client,
        'subscription { conversations { type conversationId membership { user { displayName } } } }',
        {},
        'conversations',
      );
      await stream.until(({ type }) => type === 'CAUGHT_UP');
      await me(url, await provider.sign(subject, { name: 'New' }));
      expect(await stream.until(({ type }) => type === 'MEMBER_UPDATED')).toEqual({
        type: 'MEMBER_UPDATED',
        conversationId: direct.conversation.id,
        membership: { user: { displayName: 'New' } },
      });
      await client.dispose();
    });

    it('is rejected while the account is suspended, for any token', async () => {
      const subject = fresh();
      const token = await provider.sign(subject);
      const { user } = await me(url, token);
      const moderator = await register(url, 'moderator');
      const where = { id: decodeGlobalId(moderator.id, 'id').id };
      await node.deps.database.db.user.update({ where, data: { serviceRole: 'MODERATOR' } });
      expect(await attempt(moderator, 'suspendUser', { userId: user.id })).toMatchObject({});
      for (const each of [token, await provider.sign(subject, { jti: 'another', iat: inSeconds(1) })]) {
        const { errors } = await request(url, '{ viewer { id } }', {}, each);
        expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
      }
    });

    itOnce('adds a suffix if the new username is taken', async () => {
      const person = await register(url, 'wanted');
      const subject = fresh();
      await me(url, await provider.sign(subject, { preferred_username: `before.${count}.${mode}`, name: 'Before' }));
      const { user } = await me(
        url,
        await provider.sign(subject, { preferred_username: person.username, name: 'After' }),
      );
      expect(user.username).toMatch(new RegExp(`^${person.username}-[0-9a-f]{4}$`));
      expect(user.displayName).toBe('After');
    });

    itOnce('applies the claims of the newest token only: absent claims and older tokens change nothing', async () => {
      const subject = fresh();
      const older = await provider.sign(subject, { name: 'Older', iat: inSeconds(-60) });
      await me(url, await provider.sign(subject, { name: 'Newer', email: 'newer@example.com' }));
      expect((await me(url, older)).user.displayName).toBe('Newer');
      const silent = await me(url, await provider.sign(subject, { jti: 'silent' }));
      expect([silent.user.displayName, silent.email]).toEqual(['Newer', 'newer@example.com']);
    });

    itOnce('writes nothing for the same claims, and only checks the session for the same token', async () => {
      const subject = fresh();
      await me(url, await provider.sign(subject, { name: 'Same' }));
      const next = await provider.sign(subject, { name: 'Same', jti: 'next' });
      const query = '{ viewer { user { id } } }';
      const written = (sql: string) =>
        /^\s*(?:INSERT INTO|UPDATE)\s+(?:"public"\.)?"?(?:users|outside_identities)\b/i.test(sql);
      const first = await statementsOf(node, () => ask(url, query, {}, next));
      expect(first.length).toBeGreaterThan(0);
      expect(first.filter(written)).toEqual([]);
      // The node also looks up sessions periodically, which can happen at the same time.
      const lookups = await smallest(2, async () => {
        const again = await statementsOf(node, () => ask(url, query, {}, next));
        expect(again.filter((sql) => sql.includes('outside'))).toEqual([]);
        return again.filter((sql) => /FROM sessions/.test(sql)).length;
      });
      expect(lookups).toBe(1);
    });

    itOnce('creates another user for another account of the provider', async () => {
      const ids = await Promise.all(
        [fresh(), fresh()].map(async (subject) => (await me(url, await provider.sign(subject))).user.id),
      );
      expect(new Set(ids).size).toBe(2);
    });
  });

  describe('a session', () => {
    it('corresponds to a sid of the provider, however often its tokens are renewed', async () => {
      const subject = fresh();
      for (const [sid, jti] of [
        ['phone', '1'],
        ['phone', '2'],
        ['laptop', '3'],
        ['laptop', '4'],
      ])
        await me(url, await provider.sign(subject, { sid, jti }));
      const { sessions } = await me(other.url, await provider.sign(subject, { sid: 'phone', jti: '5' }));
      expect(sessions).toHaveLength(2);
      expect(sessions.filter(({ current }: Json) => current)).toHaveLength(1);
    });

    itOnce('is created once for concurrent tokens on every node', async () => {
      const subject = fresh();
      await me(url, await provider.sign(subject));
      const tokens = await Promise.all(
        Array.from({ length: 20 }, (_, index) => provider.sign(subject, { sid: 'new', jti: String(index) })),
      );
      // Called directly, because HTTP would distribute the calls over time.
      const viewers = await Promise.all(
        tokens.map((token, index) => {
          const { deps } = index % 2 ? node : other;
          return providerAuthenticator.of(deps)?.viewerOf(deps, token);
        }),
      );
      expect(new Set(viewers.map((viewer) => viewer?.sessionId)).size).toBe(1);
    });

    itOnce(
      'that is ended here closes its sockets and invalidates its tokens on every node, and no others',
      async () => {
        const subject = fresh();
        const [ended, sibling, kept] = [
          await provider.sign(subject, { sid: 'lost', iat: inSeconds(-10) }),
          await provider.sign(subject, { sid: 'lost', iat: inSeconds(-10), jti: 'not used yet' }),
          await provider.sign(subject, { sid: 'kept', iat: inSeconds(-10) }),
        ];
        await me(url, kept);
        const code = await closing(other.url, ended, () => void ask(url, LOGOUT, {}, ended));
        expect(code).toBe(4403);
        for (const at of [url, other.url])
          for (const token of [ended, sibling]) expect(await codeOf(at, token)).toBe('UNAUTHENTICATED');
        expect(await codeOf(other.url, kept)).toBe('no error');

        // Signing in at the provider again creates a new session, to which the old tokens do not belong.
        const later = await provider.sign(subject, { sid: 'lost', iat: inSeconds(2) });
        expect(await codeOf(url, later)).toBe('no error');
        const client = connect(url, later);
        await listen(client, MESSAGES).until(({ type }) => type === 'CAUGHT_UP');
        await client.dispose();
        const old = await provider.sign(subject, { sid: 'lost', iat: inSeconds(-5), jti: 'from before' });
        for (const at of [url, other.url])
          for (const token of [ended, sibling, old]) expect(await codeOf(at, token)).toBe('UNAUTHENTICATED');
        expect((await me(url, later)).sessions).toHaveLength(2);
      },
    );

    itOnce('also ends for tokens that were issued slightly ahead of the clock of this server', async () => {
      const subject = fresh();
      await me(url, await provider.sign(subject, { iat: inSeconds(-10) }));
      const ahead = await provider.sign(subject, { iat: inSeconds(4) });
      await ask(url, LOGOUT, {}, ahead);
      for (const at of [url, other.url]) expect(await codeOf(at, ahead)).toBe('UNAUTHENTICATED');
      expect(await codeOf(url, await provider.sign(subject, { iat: inSeconds(1), jti: 'older' }))).toBe(
        'UNAUTHENTICATED',
      );
    });

    itOnce('is not created while the user is suspended, also with an unused token', async () => {
      const subject = fresh();
      const { user } = await me(url, await provider.sign(subject, { sid: 'before', iat: inSeconds(-10) }));
      const userId = decodeGlobalId(user.id, 'id').id;
      const { db } = node.deps.database;
      await db.user.update({ where: { id: userId }, data: { suspendedAt: new Date() } });
      const unused = await provider.sign(subject, { sid: 'unused', iat: inSeconds(-1) });
      expect(await codeOf(url, unused)).toBe('UNAUTHENTICATED');
      expect(await db.session.count({ where: { userId } })).toBe(1);
    });

    itOnce('cannot be refreshed here', async () => {
      const { sessions } = await me(url, await provider.sign(fresh()));
      const hex = Buffer.from(sessions[0].id.split('_')[1] as string, 'base64url').toString('hex');
      const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
      const { errors } = await request(
        url,
        'mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { tokens { accessToken } } }',
        { input: { refreshToken: `${id}.${'A'.repeat(43)}.${'A'.repeat(43)}` } },
      );
      expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    });

    itOnce('closes its sockets with 4403 when the token expires', async () => {
      const token = await provider.sign(fresh(), { exp: inSeconds(2) });
      expect(await closing(url, token)).toBe(4403);
    });

    itOnce('of a deleted account is rejected, and does not change the deleted account', async () => {
      const subject = fresh();
      await me(url, await provider.sign(subject, { name: 'Somebody' }));
      const { db } = node.deps.database;
      const { userId } = await db.outsideIdentity.findFirstOrThrow({ where: { subject } });
      const left = { displayName: 'Gone', deletedAt: new Date() };
      await db.user.update({ where: { id: userId }, data: left });
      for (const name of ['Somebody', 'Somebody Else']) {
        expect(await codeOf(url, await provider.sign(subject, { name }))).toBe('UNAUTHENTICATED');
      }
      expect(await db.user.findUniqueOrThrow({ where: { id: userId } })).toMatchObject(left);
    });
  });

  describeOnce('a token', () => {
    const refused: Record<string, (subject: string) => Promise<string>> = {
      'of another issuer': (subject) => provider.sign(subject, { iss: 'https://elsewhere.example.com/' }),
      'for another audience': (subject) => provider.sign(subject, { aud: 'another service' }),
      'without an audience': (subject) => provider.sign(subject, { aud: undefined }),
      'that is expired': (subject) => provider.sign(subject, { exp: inSeconds(-10) }),
      'that never expires': (subject) => provider.sign(subject, { exp: undefined }),
      'that is not valid yet': (subject) => provider.sign(subject, { nbf: inSeconds(60) }),
      'issued in the future': (subject) => provider.sign(subject, { iat: inSeconds(60) }),
      'without an issue time': (subject) => provider.sign(subject, { iat: undefined }),
      'without a subject': (subject) => provider.sign(subject, { sub: undefined }),
      'with a subject that is too long': (subject) => provider.sign(subject, { sub: 's'.repeat(256) }),
      'with a subject that the database rejects': (subject) => provider.sign(subject, { sub: 'a\0b' }),
      'signed with another key of the same name': async (subject) =>
        provider.sign(subject, {}, { ...(await makeKey()), kid: provider.key.kid }),
      'signed with a key that is not among the keys': async (subject) => provider.sign(subject, {}, await makeKey()),
      'whose claims were changed': async (subject) => {
        const [header, , signature] = (await provider.sign('somebody else')).split('.');
        return `${header}.${base64(provider.claims(subject))}.${signature}`;
      },
      'without a signature (none)': async (subject) =>
        `${base64({ alg: 'none' })}.${base64(provider.claims(subject))}.`,
      'signed with the public key as a secret (HS256)': async (subject) => {
        const { publicJwk, kid } = provider.key;
        const pem = await exportSPKI((await importJWK({ ...publicJwk, ext: true }, 'ES256')) as never);
        const text = `${base64({ alg: 'HS256', kid })}.${base64(provider.claims(subject))}`;
        return `${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`;
      },
    };

    it.each(Object.entries(refused))('%s is rejected and creates no user', async (_name, make) => {
      const subject = fresh();
      const before = await node.deps.database.db.user.count();
      const token = await make(subject);
      expect(await codeOf(url, token)).toBe('UNAUTHENTICATED');
      expect(await closing(url, token)).toBe(4403);
      expect(await node.deps.database.db.user.count()).toBe(before);
    });

    it('of this server is accepted too, but not one of this server that names the provider as its issuer', async () => {
      const person = await register(url);
      expect((await person.ask(ME)).viewer.user.id).toBe(person.id);
      const [header, body, signature] = person.token.split('.') as [string, string, string];
      const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
      expect(await codeOf(url, `${header}.${base64({ ...claims, iss: provider.issuer })}.${signature}`)).toBe(
        'UNAUTHENTICATED',
      );
    });
  });
});

/** Longer than the time between two requests for the keys of a provider. */
const KEYS_COOLDOWN_MS = 6_000;

describe('a node whose identity provider is down', () => {
  it('accepts tokens with known keys, returns UNAVAILABLE for others, and fetches new keys later', async () => {
    const provider = await Provider.start();
    const { url } = await (await makePlace(anyMode)).start(provider.env);
    const used = await provider.sign(fresh());
    await me(url, used);
    await provider.down();
    const unused = await provider.sign(fresh());
    for (const token of [used, unused]) expect(await codeOf(url, token)).toBe('no error');
    provider.rotate(await makeKey());
    const unknown = await provider.sign(fresh());
    // The keys are requested again only after a while.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + KEYS_COOLDOWN_MS });
    onTestFinished(() => void vi.useRealTimers());
    await eventually('the unknown key is requested', async () => (await codeOf(url, unknown)) === 'UNAVAILABLE');
    expect(await closing(url, unknown)).toBe(1013);
    for (const token of [used, unused]) expect(await codeOf(url, token)).toBe('no error');
    // Operations that need no viewer succeed.
    expect((await request(url, '{ serverInfo { version } }', {}, unknown)).errors).toBeUndefined();
    await provider.up();
    vi.setSystemTime(Date.now() + KEYS_COOLDOWN_MS);
    await eventually('the keys are fetched again', async () => (await codeOf(url, unknown)) === 'no error');
  });
});

describe('the configuration of an identity provider', () => {
  const REGISTER = 'mutation ($input: RegisterInput!) { register(input: $input) { viewer { user { id } } } }';
  const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { viewer { user { id } } } }';
  const FEATURES = '{ serverInfo { features } }';

  it('shows in serverInfo.features', async () => {
    const provider = await Provider.start();
    const plain = await sharedNode(anyMode);
    const outside = await (await makePlace(anyMode)).start({ ...provider.env, REGISTRATION: 'off' });
    const accountsOf = async (node: RunningNode) =>
      (await ask(node.url, FEATURES)).serverInfo.features.filter((name: string) => /registration|Users/.test(name));
    expect(await accountsOf(plain)).toEqual(['registration']);
    expect(await accountsOf(outside)).toEqual(['outsideUsers']);
    // Without a provider, its tokens are invalid.
    expect(await codeOf(plain.url, await provider.sign(fresh()))).toBe('UNAUTHENTICATED');
  });

  it('can disable registration, but existing accounts can sign in', async () => {
    const place = await makePlace(anyMode);
    const before = await place.start();
    const person = await register(before.url);
    await before.stop();
    const { url } = await place.start({ REGISTRATION: 'off' });
    const input = { username: 'late.comer', email: 'late@example.com', password: 'long enough' };
    expect((await request(url, REGISTER, { input })).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    const { login } = await ask(url, LOGIN, { input: { usernameOrEmail: person.username, password: person.password } });
    expect(login.viewer.user.id).toBe(person.id);
  });

  it('determines the claims for the names', async () => {
    const provider = await Provider.start();
    const claims = {
      AUTH_USERNAME_CLAIM: 'nick',
      AUTH_NAME_CLAIM: 'https://example.com/full',
      AUTH_PICTURE_CLAIM: 'face',
    };
    const { url } = await (await makePlace(anyMode)).start({ ...provider.env, ...claims });
    const said = { nick: 'nicky', 'https://example.com/full': 'Nick Name', face: 'https://a.example/face', name: 'no' };
    const { user } = await me(url, await provider.sign(fresh(), said));
    expect(user).toMatchObject({ username: 'nicky', displayName: 'Nick Name', avatarUrl: 'https://a.example/face' });
  });
});

describe.skipIf(!servicesFound)('two nodes', () => {
  it('update the names concurrently with a change by the user, which is kept', async () => {
    const provider = await Provider.start();
    const place = await makePlace('postgresql');
    const [one, two] = [await place.start(provider.env), await place.start(provider.env)];
    const subject = fresh();
    const claims = { preferred_username: 'user.before', name: 'Elsewhere', picture: 'https://a.example/1' };
    const before = (await me(one.url, await provider.sign(subject, claims))).user;
    const token = await provider.sign(subject, { ...claims, preferred_username: 'user.after' });
    const chosen = { displayName: 'Chosen Here', avatarUrl: 'https://a.example/2' };
    let renaming: Promise<unknown> = Promise.resolve();
    await one.deps.database.transaction(async (tx) => {
      await tx.user.update({ where: { id: decodeGlobalId(before.id, 'id').id }, data: chosen });
      renaming = me(two.url, token);
      await waitingFor(one, 1);
    });
    await renaming;
    expect((await me(one.url, token)).user).toEqual({ ...before, ...chosen, username: 'user.after' });
  });

  it('update the names once for the same new token on both nodes', async () => {
    const provider = await Provider.start();
    const place = await makePlace('postgresql');
    const nodes = await Promise.all([place.start(provider.env), place.start(provider.env)]);
    const subject = fresh();
    await me(nodes[0]?.url ?? '', await provider.sign(subject, { preferred_username: 'two.before' }));
    const token = await provider.sign(subject, { preferred_username: 'two.after' });
    const updates = await statementsOf(nodes[0] as RunningNode, () =>
      Promise.all(nodes.flatMap(({ url }) => [me(url, token), me(url, token), me(url, token)])),
    );
    expect(updates.filter((sql) => /^UPDATE "public"."users"/.test(sql))).toHaveLength(1);
    expect((await me(nodes[1]?.url ?? '', token)).user.username).toBe('two.after');
  });
});
