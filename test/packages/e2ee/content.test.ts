import fc from 'fast-check';
import { afterEach, expect, it, vi } from 'vitest';
import { randomBytes } from '../../../packages/e2ee/src/bytes.js';
import { openContent, type Place, sealContent, versionOf } from '../../../packages/e2ee/src/content.js';
import { ed25519Pair } from '../../../packages/e2ee/src/crypto.js';

const place: Place = {
  conversationId: 'Q29udmVyc2F0aW9uOjE',
  generation: 1,
  epoch: 7,
  deviceId: 'RGV2aWNlOjE',
  clientMessageId: 'one',
  version: 1,
};

async function keys() {
  return { epochKey: randomBytes(32), device: await ed25519Pair() };
}

afterEach(() => vi.restoreAllMocks());

it('opens what was sealed, any number of times', async () => {
  const { epochKey, device } = await keys();
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: 'grapheme', maxLength: 2_000 }),
      fc.integer({ min: 1, max: 9 }),
      async (text, version) => {
        const sealed = await sealContent(epochKey, device.privateKey, { ...place, version }, { text, replyToId: 'x' });
        expect(versionOf(sealed)).toBe(version);
        for (let times = 0; times < 2; times++) {
          const opened = await openContent(epochKey, device.publicKey, place, sealed);
          expect(opened).toEqual({ content: { text, replyToId: 'x' }, version });
        }
      },
    ),
    { numRuns: 30 },
  );
});

it('detects a change of every byte, and every shorter content', async () => {
  const { epochKey, device } = await keys();
  const sealed = await sealContent(epochKey, device.privateKey, place, { text: 'canary' });
  for (let index = 0; index < sealed.length; index++) {
    const changed = sealed.slice();
    changed[index] = (changed[index] as number) ^ (1 << (index % 8));
    await expect(openContent(epochKey, device.publicKey, place, changed), `byte ${index}`).rejects.toMatchObject({
      code: index === 0 ? 'UNKNOWN_FORMAT' : 'TAMPERED',
    });
  }
  for (let length = 1; length < sealed.length; length += 7) {
    await expect(openContent(epochKey, device.publicKey, place, sealed.subarray(0, length))).rejects.toMatchObject({
      code: 'TAMPERED',
    });
  }
});

it.each([
  ['conversation', { conversationId: 'Q29udmVyc2F0aW9uOjI' }],
  ['generation', { generation: 2 }],
  ['epoch', { epoch: 8 }],
  ['device', { deviceId: 'RGV2aWNlOjI' }],
  ['idempotency key', { clientMessageId: 'two' }],
])('cannot be moved to another %s', async (_, change) => {
  const { epochKey, device } = await keys();
  const sealed = await sealContent(epochKey, device.privateKey, place, { text: 'hello' });
  const opened = openContent(epochKey, device.publicKey, { ...place, ...change }, sealed);
  await expect(opened).rejects.toMatchObject({ code: 'TAMPERED' });
});

it('is refused with the key of another epoch, and from a member who claims to be another device', async () => {
  const { epochKey, device } = await keys();
  const other = await ed25519Pair();
  const forged = await sealContent(epochKey, other.privateKey, place, { text: 'I am not the sender' });
  await expect(openContent(epochKey, device.publicKey, place, forged)).rejects.toMatchObject({ code: 'TAMPERED' });
  const sealed = await sealContent(epochKey, device.privateKey, place, { text: 'hello' });
  await expect(openContent(randomBytes(32), device.publicKey, place, sealed)).rejects.toMatchObject({
    code: 'TAMPERED',
  });
});

it('texts of similar lengths have the same length, and the same text never has the same bytes', async () => {
  const { epochKey, device } = await keys();
  const sealed = await Promise.all(
    ['', 'yes', 'no', 'a'.repeat(100)].map((text) => sealContent(epochKey, device.privateKey, place, { text })),
  );
  expect(new Set(sealed.map(({ length }) => length)).size).toBe(1);
  const again = await sealContent(epochKey, device.privateKey, place, { text: 'yes' });
  expect(Buffer.from(again).equals(sealed[1] as Uint8Array)).toBe(false);
  expect(Buffer.from(again).includes('yes')).toBe(false);
});

it('refuses more than the server accepts', async () => {
  const { epochKey, device } = await keys();
  const sealing = sealContent(epochKey, device.privateKey, place, { text: 'ä'.repeat(40_000) });
  await expect(sealing).rejects.toMatchObject({ code: 'TOO_LARGE' });
});

it('where Web Crypto has no Ed25519, the same signatures are made in JavaScript', async () => {
  const { epochKey, device } = await keys();
  const sealed = await sealContent(epochKey, device.privateKey, place, { text: 'hello' });
  const importKey = crypto.subtle.importKey.bind(crypto.subtle);
  vi.spyOn(crypto.subtle, 'importKey').mockImplementation((async (...args: Parameters<typeof importKey>) => {
    if (args[2] === 'Ed25519') throw new DOMException('Unrecognized name.', 'NotSupportedError');
    return importKey(...args);
  }) as typeof importKey);
  vi.resetModules();
  const fallback = await import('../../../packages/e2ee/src/content.js');
  const opened = await fallback.openContent(epochKey, device.publicKey, place, sealed);
  expect(opened.content.text).toBe('hello');
  const other = await fallback.sealContent(epochKey, device.privateKey, place, { text: 'from JavaScript' });
  vi.restoreAllMocks();
  expect((await openContent(epochKey, device.publicKey, place, other)).content.text).toBe('from JavaScript');
});
