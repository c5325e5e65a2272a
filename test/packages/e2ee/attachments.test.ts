import { expect, it } from 'vitest';
import {
  decryptAttachment,
  decryptSegment,
  encryptAttachment,
  SEGMENT_BYTES,
} from '../../../packages/e2ee/src/attachments.js';
import { fromBase64Url, toBase64Url } from '../../../packages/e2ee/src/bytes.js';
import { aesSeal, label, sha256 } from '../../../packages/e2ee/src/crypto.js';

function fileOf(size: number): Blob {
  const bytes = new Uint8Array(size);
  for (let index = 0; index < size; index++) bytes[index] = (index * 31 + (index >> 12)) % 251;
  return new Blob([bytes]);
}

const bytesOf = async (blob: Blob) => Buffer.from(await blob.arrayBuffer());

it.each([0, 1, 1_000, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES + 7])(
  'a file of %i bytes is decrypted',
  async (size) => {
    const file = fileOf(size);
    const { blob, secret } = await encryptAttachment(file, { name: 'garden.png', mimeType: 'image/png' });
    expect(secret).toMatchObject({ size, name: 'garden.png', mimeType: 'image/png' });
    const opened = await decryptAttachment(blob, secret);
    expect(opened.type).toBe('image/png');
    expect((await bytesOf(opened)).equals(await bytesOf(file))).toBe(true);
  },
);

it('segments are decrypted on their own', async () => {
  const file = fileOf(2 * SEGMENT_BYTES + 5);
  const { blob, secret } = await encryptAttachment(file);
  const sealed = await bytesOf(blob);
  const from = SEGMENT_BYTES + 16;
  const second = await decryptSegment(sealed.subarray(from, 2 * from), 1, secret);
  expect(Buffer.from(second).equals((await bytesOf(file)).subarray(SEGMENT_BYTES, 2 * SEGMENT_BYTES))).toBe(true);
  const third = await decryptSegment(sealed.subarray(2 * from), 2, secret);
  expect(third).toHaveLength(5);
});

it('changed, moved, missing and added segments are detected', async () => {
  const { blob, secret } = await encryptAttachment(fileOf(3 * SEGMENT_BYTES));
  const sealed = await bytesOf(blob);
  const segment = SEGMENT_BYTES + 16;
  const part = (index: number) => sealed.subarray(index * segment, (index + 1) * segment);
  const attempts = [
    [part(1), part(0), part(2)],
    [part(0), part(0), part(2)],
    [part(0), part(1)],
    [part(0), part(2)],
    [part(0), part(1), part(2), part(2)],
    ...[0, 500, SEGMENT_BYTES, segment - 1].map((at) => {
      const changed = Buffer.from(part(1));
      changed[at] = (changed[at] as number) ^ 1;
      return [part(0), changed, part(2)];
    }),
  ];
  for (const parts of attempts) {
    await expect(decryptAttachment(new Blob(parts as Uint8Array<ArrayBuffer>[]), secret)).rejects.toMatchObject({
      code: 'TAMPERED',
    });
  }
  await expect(decryptSegment(part(0), 1, secret)).rejects.toMatchObject({ code: 'TAMPERED' });
});

it('another file that a member has encrypted with the same key is refused', async () => {
  const { secret } = await encryptAttachment(fileOf(40));
  const nonce = new Uint8Array(12).with(11, 1);
  const other = await aesSeal(fromBase64Url(secret.key), nonce, new Uint8Array(40), label('attachment 1'));
  await expect(decryptAttachment(new Blob([other]), secret)).rejects.toMatchObject({ code: 'TAMPERED' });
  // Only the digest says so.
  const digest = toBase64Url(await sha256(await sha256(other)));
  expect((await decryptAttachment(new Blob([other]), { ...secret, digest })).size).toBe(40);
});

it('the encrypted file does not reveal the exact length', async () => {
  const sizes = [100_400, 102_300].map(async (size) => (await encryptAttachment(fileOf(size))).blob.size);
  const [one, other] = await Promise.all(sizes);
  expect(one).toBe(other);
});
