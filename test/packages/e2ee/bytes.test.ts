import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fromBase64Url, toBase64Url } from '../../../packages/e2ee/src/bytes.js';
import { encode, type Field, Reader } from '../../../packages/e2ee/src/codec.js';
import { pad, padme } from '../../../packages/e2ee/src/padding.js';

it('base64url is that of Node, and is read back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(toBase64Url(bytes)).toBe(Buffer.from(bytes).toString('base64url'));
      expect([...fromBase64Url(toBase64Url(bytes))]).toEqual([...bytes]);
    }),
  );
  const large = new Uint8Array(300_000).fill(7);
  expect(toBase64Url(large)).toBe(Buffer.from(large).toString('base64url'));
});

it.each(['A', 'AA=', 'A A', 'A+/A', 'AB', 'ÄÄÄÄ'])('rejects %j, which is not canonical base64url', (text) => {
  expect(() => fromBase64Url(text)).toThrow(TypeError);
});

it('different fields never have the same encoding', () => {
  const fields = fc.array(fc.oneof(fc.string({ maxLength: 5 }), fc.uint8Array({ maxLength: 5 })), { maxLength: 4 });
  const hexOf = (list: Field[]) => list.map((field) => Buffer.from(field as string).toString('hex')).join(' ');
  fc.assert(
    fc.property(fields, fields, (one, other) => {
      const isSame = one.length === other.length && hexOf(one) === hexOf(other);
      expect(Buffer.compare(encode(...one), encode(...other)) === 0).toBe(isSame);
    }),
  );
  expect(encode('a', 'bc')).not.toEqual(encode('ab', 'c'));
});

it('fields are read back, and every shorter or longer encoding is refused', () => {
  const bytes = encode({ u8: 3 }, { u32: 70_000 }, { u64: 2 ** 40 }, 'tëxt', new Uint8Array([1, 2]));
  const read = (from: Uint8Array) => {
    const reader = new Reader(from);
    const result = [reader.u8(), reader.u32(), reader.u64(), reader.text(), [...reader.bytesField()]];
    reader.end();
    return result;
  };
  expect(read(bytes)).toEqual([3, 70_000, 2 ** 40, 'tëxt', [1, 2]]);
  for (let length = 0; length < bytes.length; length++)
    expect(() => read(bytes.subarray(0, length))).toThrow(RangeError);
  expect(() => read(new Uint8Array([...bytes, 0]))).toThrow(RangeError);
  for (const wrong of [{ u8: 256 }, { u8: -1 }, { u32: 2 ** 32 }, { u32: 0.5 }]) {
    expect(() => encode(wrong as Field)).toThrow(RangeError);
  }
});

it('padding adds at most 12 % and leaves few lengths', () => {
  fc.assert(
    fc.property(fc.integer({ min: 64, max: 2 ** 32 }), (length) => {
      const padded = padme(length);
      expect(padded).toBeGreaterThanOrEqual(length);
      expect(padded).toBeLessThanOrEqual(length * 1.12);
      expect(padme(padded)).toBe(padded);
    }),
  );
  expect(new Set(Array.from({ length: 10_000 }, (_, index) => padme(index))).size).toBeLessThan(200);
  expect(pad(new Uint8Array([1]), 192)).toHaveLength(192);
  // Values of the paper's algorithm.
  expect([9, 100, 1_000, 1_000_000].map(padme)).toEqual([10, 104, 1_024, 1_015_808]);
});
