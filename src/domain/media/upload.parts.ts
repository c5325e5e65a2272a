import { ChatError } from '../../core/errors.js';
import type { Config } from '../../infra/config/config.js';
import type { Part } from '../../infra/media/store.js';
import type { Attachment } from './media.store.js';

/** The number of parts into which files are divided, unless the parts would be too small or too large. */
const PARTS = 16;

/**
 * The size of the parts of a file. Larger parts are faster: each of them is synchronized to disk and recorded. Smaller ones
 * cost less after an interruption.
 * @param min the smallest part that the store accepts
 */
export function partBytesOf(byteSize: number, { uploadPartBytes, uploadPartMaxBytes }: Config, min = 0): number {
  const part = Math.ceil(byteSize / PARTS / PART_UNIT) * PART_UNIT;
  return Math.max(min, uploadPartBytes, Math.min(part, uploadPartMaxBytes));
}

/** The size of a part is a multiple of this number of bytes, so that parts begin at pages of the disk. */
const PART_UNIT = 65_536;

/** The parts of a file, in order. */
export function partsOf({ byteSize, partBytes }: Pick<Attachment, 'byteSize' | 'partBytes'>): Part[] {
  return Array.from({ length: Math.ceil(byteSize / partBytes) }, (_, index) => {
    const offset = index * partBytes;
    return { number: index + 1, offset, byteSize: Math.min(partBytes, byteSize - offset) };
  });
}

/** A part without its first bytes. */
export const restOf = ({ number, offset, byteSize }: Part, from: number): Part => ({
  number,
  offset: offset + from,
  byteSize: byteSize - from,
});

/** The number of parts that an error names. */
const NAMED_MAX = 10;

/** `CONFLICT`: the upload cannot be completed without these parts. */
export function partsMissing(missing: readonly Part[]): ChatError {
  const numbers = missing.slice(0, NAMED_MAX).map(({ number }) => number);
  return new ChatError('CONFLICT', `Parts of the file are missing: ${numbers.join(', ')}.`, {
    field: 'input.attachmentId',
  });
}
