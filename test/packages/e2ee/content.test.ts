import fc from 'fast-check';
import { afterEach, expect, it, vi } from 'vitest';
import { randomBytes } from '../../../packages/e2ee/src/bytes.js';
import { openContent, type Place, sealContent, versionOf } from '../../../packages/e2ee/src/content.js';
import { ed25519Pair, ed25519Sign } from '../../../packages/e2ee/src/crypto.js';

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
  const { privateKey, publicKey } = await ed25519Pair();
  const message = randomBytes(100);
  const signature = await ed25519Sign(privateKey, message);
  const importKey = crypto.subtle.importKey.bind(crypto.subtle);
  const refused = vi.fn();
  vi.spyOn(crypto.subtle, 'importKey').mockImplementation((async (...args: Parameters<typeof importKey>) => {
    if (args[2] !== 'Ed25519') return importKey(...args);
    refused();
    throw new DOMException('Unrecognized name.', 'NotSupportedError');
  }) as typeof importKey);
  // An instance of its own, which has not checked yet what is supported.
  const path = '../../../packages/e2ee/src/crypto.js?unsupported';
  const scripted = (await import(path)) as typeof import('../../../packages/e2ee/src/crypto.js');
  expect(await scripted.ed25519Verify(publicKey, message, signature)).toBe(true);
  expect(await scripted.ed25519Verify(publicKey, randomBytes(100), signature)).toBe(false);
  expect(await scripted.ed25519Sign(privateKey, message)).toEqual(signature);
  expect(refused).toHaveBeenCalledTimes(1);
});
