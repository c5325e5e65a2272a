import { generateKeyPairSync } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { ask, connect, listen, type Person, register, request } from '../support/client.js';
import { makePlace, modes } from '../support/place.js';
import { openSse } from '../support/sse.js';
import { MESSAGES } from '../support/talk.js';

const SECRET = 'what the tests sign with, as the node does';
const ME = '{ viewer { user { id } } }';
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1_000) + seconds;
const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe.each(modes)('invalid tokens in %s mode', (mode) => {
  let node: RunningNode;
  let alice: Person;
  let bob: Person;
  let claims: { sub: string; sid: string; typ: string; exp: number; iss: string; aud: string };

  beforeAll(async () => {
    const place = await makePlace(mode);
    node = await place.start({ JWT_SECRET: SECRET });
    [alice, bob] = await Promise.all([register(node.url, 'alice'), register(node.url, 'bob')]);
    claims = jwt.verify(alice.token, SECRET) as typeof claims;
  });

  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const sign = (
    more: object = {},
    header: object = {},
    secret: jwt.Secret = SECRET,
    algorithm: jwt.Algorithm = 'HS256',
  ) =>
    jwt.sign(JSON.parse(JSON.stringify({ ...claims, ...more })), secret, {
      algorithm,
      header: { alg: algorithm, ...header } as jwt.JwtHeader,
    });
  const [header, body, signature] = ['header', 'body', 'signature'].map(
    (_part, index) => () => alice.token.split('.')[index] as string,
  ) as [() => string, () => string, () => string];

  const forged: Record<string, () => string> = {
    'without a signature (alg none)': () => `${base64({ alg: 'none', typ: 'JWT' })}.${body()}.`,
    'without a signature (alg none in another case)': () => `${base64({ alg: 'nOnE', typ: 'JWT' })}.${body()}.`,
    'with alg none and the old signature': () => `${base64({ alg: 'none', typ: 'JWT' })}.${body()}.${signature()}`,
    'without its signature': () => `${header()}.${body()}.`,
    'of another user with the old signature': () => `${header()}.${base64({ ...claims, sub: bob.id })}.${signature()}`,
    'with a later expiry and the old signature': () =>
      `${header()}.${base64({ ...claims, exp: inSeconds(1e9) })}.${signature()}`,
    'signed with another secret': () => sign({}, {}, 'another secret that is long enough too'),
    'signed with a space as the secret': () => sign({}, {}, ' '),
    'signed with an own key pair': () => sign({}, {}, privateKey, 'RS256'),
    'that contain their own key': () =>
      sign({}, { jwk: publicKey.export({ format: 'jwk' }) } as object, privateKey, 'RS256'),
    'that refer to a URL of their key': () =>
      sign({}, { jku: 'http://127.0.0.1:1/keys' } as object, privateKey, 'RS256'),
    'that refer to a file as their key': () => sign({}, { kid: '../../../../dev/null' }, ' '),
    'signed with a public key as a secret': () => sign({}, {}, pem),
    'with another algorithm of the same secret': () => sign({}, {}, SECRET, 'HS512'),
    'of another issuer': () => sign({ iss: 'somebody' }),
    'of the identity provider, by our secret': () => sign({ iss: 'service' }),
    'for another audience': () => sign({ aud: 'somebody' }),
    'of no type': () => sign({ typ: undefined }),
    'of another type': () => sign({ typ: 'refresh' }),
    'that never expire': () => sign({ exp: undefined }),
    'that are expired': () => sign({ exp: inSeconds(-1) }),
    'that are not good yet': () => sign({ nbf: inSeconds(3_600) }),
    'of nobody': () => sign({ sub: undefined }),
    'of what is no id': () => sign({ sub: "' OR '1'='1" }),
    "of another person's session": () => sign({ sid: (jwt.decode(bob.token) as typeof claims).sid }),
    'of a session that never was': () => sign({ sid: '01934567-89ab-7def-8123-456789abcdef' }),
    'of no session': () => sign({ sid: undefined }),
    'that are refresh tokens': () => alice.refreshToken,
    'that consist of the id of a session': () => claims.sid,
    'that consist of the secret': () => SECRET.replaceAll(/[ ,]/g, '_'),
    'with an additional dot': () => `${alice.token}.`,
    'that consist of dots': () => '..',
    'that are long': () => `${header()}.${'a'.repeat(8_000)}.${signature()}`,
  };

  it.each(Object.entries(forged))('%s are rejected over every transport', async (_what, forge) => {
    const token = forge();
    const { errors, data } = await request(node.url, ME, {}, token);
    expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    expect(data?.viewer ?? null).toBeNull();

    const { response, results, ended } = await openSse(node.url, token);
    await ended;
    const answer = results[0] ?? (response.bodyUsed ? undefined : await response.json());
    expect(JSON.stringify(answer ?? response.status)).toMatch(/UNAUTHENTICATED|401/);

    const closed = await new Promise<{ code: number }>((resolve) => {
      const client = connect(node.url, token, { on: { closed: (event) => resolve(event as { code: number }) } });
      void listen(client, MESSAGES);
    });
    expect(closed.code).toBe(4403);
  });

  it('of another type are rejected', async () => {
    const refresh =
      'mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { tokens { accessToken } } }';
    const reset = 'mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { tokens { accessToken } } }';
    for (const token of [alice.token, claims.sid, `${claims.sid}.${'a'.repeat(43)}.${'b'.repeat(43)}`]) {
      const { errors } = await request(node.url, refresh, { input: { refreshToken: token } });
      expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    }
    for (const token of [alice.token, alice.refreshToken, alice.refreshToken.split('.')[2]]) {
      const { errors } = await request(node.url, reset, { input: { token, newPassword: 'a password of theirs' } });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.token' });
    }
    // The sessions and tokens they were derived from remain valid.
    expect((await alice.ask(ME)).viewer.user.id).toBe(alice.id);
    const { refreshSession } = await ask(node.url, refresh, { input: { refreshToken: alice.refreshToken } });
    expect(refreshSession.tokens.accessToken).toBeTruthy();
  });

  it('of another service are rejected', async () => {
    const elsewhere = await (await makePlace(mode)).start({
      JWT_SECRET: 'the secret of another service altogether',
    });
    const stranger = await register(elsewhere.url, 'stranger');
    expect((await request(node.url, ME, {}, stranger.token)).errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
  });
});
