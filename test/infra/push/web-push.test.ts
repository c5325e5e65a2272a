import { importJWK, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { createDestinations } from '../../../src/infra/outgoing/destinations.js';
import { createOutgoingRequests } from '../../../src/infra/outgoing/requests.js';
import { readPushKeys } from '../../../src/infra/push/encryption.js';
import { readRetryAfter } from '../../../src/infra/push/outcome.js';
import { createVapid, newVapidKeys } from '../../../src/infra/push/vapid.js';
import { createWebPush, type WebPushMessage, webPushTextMax } from '../../../src/infra/push/web-push.js';
import { atEnd } from '../../support/ending.js';
import { type BrowserKeys, makeBrowserKeys, startPushService } from '../../support/push-service.js';

async function start() {
  const service = await startPushService();
  const requests = createOutgoingRequests({
    destinations: createDestinations([service.origin]),
    timeoutMs: 2_000,
    bodyMax: 1_000,
    atOncePerOrigin: 5,
    waitingPerOriginMax: 100,
  });
  atEnd(() => requests.close());
  const vapidKeys = newVapidKeys();
  const webPush = createWebPush({ requests, authorizationFor: createVapid(vapidKeys, 'mailto:ops@example.com') });
  const browser = makeBrowserKeys();
  const send = (more: Partial<WebPushMessage> = {}) =>
    webPush.send({
      endpoint: `${service.origin}/device`,
      keys: keysOf(browser),
      text: 'Hello',
      size: 'REGULAR',
      topic: 'topic',
      ttlSeconds: 60,
      urgency: 'high',
      ...more,
    });
  return { service, send, browser, vapidKeys };
}

function keysOf(browser: BrowserKeys) {
  const { p256dh, auth } = readPushKeys(browser);
  if (!p256dh || !auth) throw new Error('invalid keys');
  return { p256dh, auth };
}

describe('Web Push', () => {
  it('is decrypted by another implementation, for texts of all lengths', async () => {
    const { service, send, browser } = await start();
    const max = webPushTextMax('REGULAR');
    const texts = ['', 'x', 'Grüße, 你好, مرحبا 👋', 'y'.repeat(max - 1), 'z'.repeat(max)];
    for (const text of texts) expect(await send({ text })).toEqual({ kind: 'DELIVERED' });
    expect(service.pushes.map(({ body }) => browser.decrypt(body))).toEqual(texts);
    // The decryption fails with other keys.
    expect(() => makeBrowserKeys().decrypt(service.pushes[1]?.body as Buffer)).toThrow();
  });

  it('has bodies of one length, and never the same twice', async () => {
    const { service, send } = await start();
    for (const text of ['', 'no', 'A longer text with a secret in it', 'A longer text with a secret in it']) {
      await send({ text });
    }
    expect(new Set(service.pushes.map(({ body }) => body.length))).toEqual(new Set([2_048]));
    expect(new Set(service.pushes.map(({ body }) => body.toString('hex'))).size).toBe(4);
    await send({ size: 'SMALL' });
    expect(service.pushes.at(-1)?.body).toHaveLength(1_024);
    await expect(send({ text: 'x'.repeat(webPushTextMax('SMALL') + 1), size: 'SMALL' })).rejects.toThrow(RangeError);
  });

  it('is signed for the origin of the service, once for many pushes', async () => {
    const { service, send, vapidKeys } = await start();
    await Promise.all([send(), send(), send()]);
    const [header, ...others] = service.pushes.map(({ headers }) => String(headers.authorization));
    expect(others).toEqual([header, header]);
    const [, token = '', publicKey = ''] = /^vapid t=([\w.-]+), k=([\w-]+)$/.exec(header ?? '') ?? [];
    expect(publicKey).toBe(vapidKeys.publicKey);
    const point = Buffer.from(publicKey, 'base64url');
    expect(point).toHaveLength(65);
    const key = await importJWK({
      kty: 'EC',
      crv: 'P-256',
      x: point.subarray(1, 33).toString('base64url'),
      y: point.subarray(33).toString('base64url'),
      alg: 'ES256',
    });
    const { payload } = await jwtVerify(token, key, { audience: service.origin, algorithms: ['ES256'] });
    expect(payload.sub).toBe('mailto:ops@example.com');
    expect(payload.exp).toBeLessThan(Date.now() / 1_000 + 24 * 3_600);
    expect(payload.exp).toBeGreaterThan(Date.now() / 1_000 + 12 * 3_600);
  });

  it('has the headers of RFC 8030', async () => {
    const { service, send } = await start();
    await send({ topic: 'abc', ttlSeconds: 3_600, urgency: 'normal' });
    expect(service.pushes[0]?.headers).toMatchObject({
      ttl: '3600',
      topic: 'abc',
      urgency: 'normal',
      'content-encoding': 'aes128gcm',
    });
  });

  it.each([
    [{ status: 200 }, { kind: 'DELIVERED' }],
    [{ status: 201 }, { kind: 'DELIVERED' }],
    [{ status: 404 }, { kind: 'GONE' }],
    [{ status: 410 }, { kind: 'GONE' }],
    [{ status: 413 }, { kind: 'TOO_LARGE' }],
    [{ status: 400 }, { kind: 'REJECTED', status: 400 }],
    [{ status: 403 }, { kind: 'REJECTED', status: 403 }],
    [
      { status: 301, headers: { location: 'http://169.254.169.254/' } },
      { kind: 'REJECTED', status: 301 },
    ],
    [
      { status: 429, headers: { 'retry-after': '30' } },
      { kind: 'UNAVAILABLE', status: 429, afterMs: 30_000 },
    ],
    [{ status: 500 }, { kind: 'UNAVAILABLE', status: 500, afterMs: undefined }],
    [
      { status: 503, headers: { 'retry-after': '5' } },
      { kind: 'UNAVAILABLE', status: 503, afterMs: 5_000 },
    ],
  ])('to a service that answers %j is %j', async (answer, outcome) => {
    const { service, send } = await start();
    service.answer(() => answer);
    expect(await send()).toEqual(outcome);
  });

  it('to a service that cannot be reached, or may not be, is not delivered', async () => {
    const { service, send } = await start();
    service.answer(() => Promise.reject(new Error()));
    expect(await send()).toEqual({ kind: 'UNAVAILABLE', status: undefined, afterMs: undefined });
    expect(await send({ endpoint: 'https://other.example.com/a' })).toEqual({ kind: 'REJECTED', status: undefined });
  });
});

describe('keys of a subscription', () => {
  it('are read with and without padding', () => {
    const { p256dh, auth } = makeBrowserKeys();
    const padded = (text: string) => Buffer.from(text, 'base64url').toString('base64');
    expect(readPushKeys({ p256dh: padded(p256dh), auth: padded(auth) })).toEqual(readPushKeys({ p256dh, auth }));
  });

  it.each([
    ['short', Buffer.alloc(64, 4)],
    ['not on the curve', Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 1)])],
    ['compressed', Buffer.concat([Buffer.from([2]), Buffer.alloc(64, 1)])],
  ])('are rejected if the public key is %s', (_what, key) => {
    const { auth } = makeBrowserKeys();
    expect(readPushKeys({ p256dh: key.toString('base64url'), auth }).p256dh).toBeUndefined();
  });

  it('are rejected if the secret is not of 16 bytes', () => {
    const { p256dh } = makeBrowserKeys();
    for (const auth of ['', 'AAAA', '?'.repeat(22), Buffer.alloc(17).toString('base64url')]) {
      expect(readPushKeys({ p256dh, auth }).auth).toBeUndefined();
    }
  });
});

describe('Retry-After', () => {
  it('is a number of seconds or a date, and at most a day', () => {
    expect(readRetryAfter('120')).toBe(120_000);
    expect(readRetryAfter('999999999')).toBe(86_400_000);
    expect(readRetryAfter(new Date(Date.now() - 60_000).toUTCString())).toBe(0);
    expect(readRetryAfter(new Date(Date.now() + 60_000).toUTCString())).toBeGreaterThan(50_000);
    expect(readRetryAfter('soon')).toBeUndefined();
    expect(readRetryAfter(undefined)).toBeUndefined();
  });
});
