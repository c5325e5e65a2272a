import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createProviderTokens, type OutsideTokens } from '../../src/infra/auth/provider-tokens.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { makeKey, Provider } from '../support/provider.js';

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const MINUTE_MS = 60_000;
/** Longer than the minimum time between two fetches of keys, whether or not the first one succeeded. */
const COOLED_DOWN_MS = 6_000;

describe('the keys of an identity provider', () => {
  let provider: Provider;
  let tokens: OutsideTokens;
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    provider = await Provider.start();
    tokens = createProviderTokens(provider.config, createLog('silent'));
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const later = (ms: number) => vi.setSystemTime(Date.now() + ms);
  const codeOf = (token: string) =>
    tokens.verify(token).then(
      () => 'good',
      (error: { code?: string }) => error.code,
    );

  it.each(['RS256', 'PS384', 'ES512', 'EdDSA'])('can be keys for %s', async (alg) => {
    provider.rotate(await makeKey(alg));
    expect(await codeOf(await provider.sign('a'))).toBe('good');
  });

  it('are fetched once for concurrent tokens, and again when a token names an unknown key', async () => {
    const many = await Promise.all(Array.from({ length: 20 }, () => provider.sign('a')));
    expect(new Set(await Promise.all(many.map(codeOf)))).toEqual(new Set(['good']));
    expect(provider.fetches).toBe(1);
    const old = provider.key;
    provider.rotate(await makeKey());
    later(COOLED_DOWN_MS);
    expect(await codeOf(await provider.sign('a'))).toBe('good');
    expect(await codeOf(await provider.sign('a', {}, old))).toBe('UNAUTHENTICATED');
    expect(provider.fetches).toBe(2);
  });

  it('are fetched at most once in five seconds, whatever keys tokens name', async () => {
    await tokens.verify(await provider.sign('a'));
    const unknown = await makeKey();
    for (let round = 1; round <= 3; round += 1) {
      later(COOLED_DOWN_MS);
      for (let index = 0; index < 20; index += 1) {
        const token = await provider.sign('a', {}, { ...unknown, kid: `no-${round}-${index}` });
        expect(await codeOf(token)).toBe('UNAUTHENTICATED');
      }
      expect(provider.fetches).toBe(1 + round);
    }
  });

  it('are fetched again after ten minutes, so that a revoked key is no longer accepted', async () => {
    const old = provider.key;
    await tokens.verify(await provider.sign('a'));
    provider.rotate(await makeKey());
    later(9 * MINUTE_MS);
    expect(await codeOf(await provider.sign('a', {}, old))).toBe('good');
    expect(provider.fetches).toBe(1);
    later(2 * MINUTE_MS);
    expect(await codeOf(await provider.sign('a', {}, old))).toBe('UNAUTHENTICATED');
    expect(provider.fetches).toBe(2);
  });

  it('stay valid while the provider is down or responds with nonsense, and are not fetched too often', async () => {
    await tokens.verify(await provider.sign('a'));
    provider.answer = { status: 503, body: '' };
    later(60 * MINUTE_MS);
    for (let index = 0; index < 10; index += 1) expect(await codeOf(await provider.sign('a'))).toBe('good');
    expect(provider.fetches).toBe(2);
    await provider.down();
    later(COOLED_DOWN_MS);
    expect(await codeOf(await provider.sign('a'))).toBe('good');
    later(COOLED_DOWN_MS);
    expect(await codeOf(await provider.sign('a', {}, await makeKey()))).toBe('UNAVAILABLE');
    await provider.up();
    provider.answer = { status: 200, body: '{}' };
    later(COOLED_DOWN_MS);
    expect(await codeOf(await provider.sign('a'))).toBe('good');
  });

  it('cause UNAVAILABLE if they cannot be fetched, with one attempt for all callers', async () => {
    provider.answer = { status: 500, body: 'out of order' };
    const many = await Promise.all(Array.from({ length: 20 }, () => provider.sign('a')));
    for (const round of [1, 2]) {
      expect(new Set(await Promise.all(many.map(codeOf)))).toEqual(new Set(['UNAVAILABLE']));
      expect(provider.fetches).toBe(round);
      later(COOLED_DOWN_MS);
    }
    provider.answer = undefined;
    expect(await codeOf(await provider.sign('a'))).toBe('good');
  });

  it.each([
    ['no JSON', 'nonsense'],
    ['no set', '[]'],
    ['keys that are none', '{"keys":[null]}'],
    ['more than a set can be', JSON.stringify({ keys: [], more: 'x'.repeat(2_000_000) })],
  ])('are not taken from an answer that is %s', async (_name, body) => {
    provider.answer = { status: 200, body };
    expect(await codeOf(await provider.sign('a'))).toBe('UNAVAILABLE');
  });

  it('are only accepted if they are public: symmetric, private and invalid keys are ignored', async () => {
    const { kid, privateKey } = provider.key;
    const secret = Buffer.from('a secret that everybody can fetch');
    const hostile = [
      { kty: 'oct', kid: 'secret', alg: 'HS256', k: secret.toString('base64url') },
      { ...(await crypto.subtle.exportKey('jwk', privateKey)), key_ops: ['verify'], kid, alg: 'ES256' },
      { kty: 'RSA', kid: 'broken', alg: 'RS256', n: '%', e: 'AQAB' },
    ];
    provider.answer = { status: 200, body: JSON.stringify({ keys: hostile }) };
    const text = `${base64({ alg: 'HS256', kid: 'secret' })}.${base64(provider.claims('a'))}`;
    for (const token of [
      `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`,
      await provider.sign('a'),
      await provider.sign('a', {}, { ...(await makeKey('RS256')), kid: 'broken' }),
    ])
      expect(await codeOf(token)).toBe('UNAUTHENTICATED');
  });

  it('are tried in order if a token names no key, or two keys have the same id', async () => {
    const [first, second, third] = await Promise.all([makeKey(), makeKey(), makeKey()]);
    const { kid: _, ...nameless } = second;
    const broken = { kty: 'EC', crv: 'P-256', kid: 'same', alg: 'ES256', x: '%', y: '%' };
    const same = [first, second].map(({ publicJwk }) => ({ ...publicJwk, kid: 'same' }));
    const { kid: __, ...withoutKid } = second.publicJwk;
    for (const keys of [
      [broken, ...same],
      [first.publicJwk, second.publicJwk],
      [first.publicJwk, withoutKid],
    ]) {
      provider.answer = { status: 200, body: JSON.stringify({ keys }) };
      later(11 * MINUTE_MS);
      const isNamed = keys[0] === broken;
      const key = isNamed ? { ...second, kid: 'same' } : nameless;
      expect(await codeOf(await provider.sign('a', {}, key))).toBe('good');
      expect(await codeOf(await provider.sign('a', { exp: 1 }, key))).toBe('UNAUTHENTICATED');
      expect(await codeOf(await provider.sign('a', { aud: 'other' }, key))).toBe('UNAUTHENTICATED');
      expect(await codeOf(await provider.sign('a', {}, { ...third, kid: isNamed ? 'same' : undefined }))).toBe(
        'UNAUTHENTICATED',
      );
    }
  });

  it('accept tokens if the clocks differ by at most five seconds', async () => {
    const now = Math.floor(Date.now() / 1_000);
    for (const [claims, code] of [
      [{ exp: now - 3 }, 'good'],
      [{ exp: now - 8 }, 'UNAUTHENTICATED'],
      [{ iat: now + 3, nbf: now + 3 }, 'good'],
      [{ iat: now + 8 }, 'UNAUTHENTICATED'],
      [{ nbf: now + 8 }, 'UNAUTHENTICATED'],
      [{ exp: 1e300 }, 'good'],
      [{ iat: -1 }, 'UNAUTHENTICATED'],
    ] as const)
      expect(await codeOf(await provider.sign('a', claims)), JSON.stringify(claims)).toBe(code);
  });
});
