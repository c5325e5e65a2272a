import type { Bytes } from './bytes.js';

/**
 * The length to which Padmé (Nikitin et al., 2019) pads: at most 12 % more, so that lengths reveal only about
 * log2(log2(length)) bits.
 */
export function padme(length: number): number {
  if (length < 2) return length;
  const exponent = Math.floor(Math.log2(length));
  const step = 2 ** (exponent - Math.floor(Math.log2(exponent)) - 1);
  return step <= 1 ? length : Math.ceil(length / step) * step;
}

/** Appends zeros, to at least `minimum` bytes. */
export function pad(bytes: Uint8Array, minimum: number): Bytes {
  const padded = new Uint8Array(padme(Math.max(bytes.length, minimum)));
  padded.set(bytes);
  return padded;
}
