import { type Bytes, concat, copyOf, fromUtf8, utf8 } from './bytes.js';

/** A field of an encoding: bytes or a text with its length before it, or a whole number of a fixed size. */
export type Field = Uint8Array | string | { u8: number } | { u32: number } | { u64: number };

/** Encodes fields so that different fields never have the same bytes. Signatures and associated data use it. */
export function encode(...fields: Field[]): Bytes {
  return concat(...fields.map(encodeField));
}

function encodeField(field: Field): Uint8Array {
  if (typeof field === 'string') return encodeField(utf8(field));
  if (field instanceof Uint8Array) return concat(encodeField({ u32: field.length }), field);
  const [kind, value] = Object.entries(field)[0] as ['u8' | 'u32' | 'u64', number];
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a whole number.`);
  const view = new DataView(new ArrayBuffer({ u8: 1, u32: 4, u64: 8 }[kind]));
  if (kind === 'u64') view.setBigUint64(0, BigInt(value));
  else if (value >= 2 ** (8 * view.byteLength)) throw new RangeError(`${value} is too large.`);
  else if (kind === 'u32') view.setUint32(0, value);
  else view.setUint8(0, value);
  return new Uint8Array(view.buffer);
}

/** Reads fields in their order. Every method throws a RangeError if there are too few bytes. */
export class Reader {
  private offset = 0;

  constructor(private readonly bytes: Uint8Array) {}

  fixed(length: number): Bytes {
    if (this.offset + length > this.bytes.length) throw new RangeError('There are too few bytes.');
    this.offset += length;
    return copyOf(this.bytes.subarray(this.offset - length, this.offset));
  }

  u8(): number {
    return this.fixed(1)[0] as number;
  }

  u32(): number {
    return new DataView(this.fixed(4).buffer).getUint32(0);
  }

  u64(): number {
    const value = Number(new DataView(this.fixed(8).buffer).getBigUint64(0));
    if (!Number.isSafeInteger(value)) throw new RangeError('The number is too large.');
    return value;
  }

  bytesField(): Bytes {
    return this.fixed(this.u32());
  }

  text(): string {
    return fromUtf8(this.bytesField());
  }

  get isAtEnd(): boolean {
    return this.offset === this.bytes.length;
  }

  /** @throws RangeError if there are bytes after the last field. */
  end(): void {
    if (!this.isAtEnd) throw new RangeError('There are bytes after the last field.');
  }
}
