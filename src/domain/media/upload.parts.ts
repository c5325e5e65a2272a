import { ChatError } from '../../core/errors.js';
import type { Part } from '../../infra/media/store.js';
import type { Attachment } from './media.store.js';

/** The parts of a file, in order. */
export function partsOf({ byteSize, partBytes }: Pick<Attachment, 'byteSize' | 'partBytes'>): Part[] {
  return Array.from({ length: Math.ceil(byteSize / partBytes) }, (_, index) => {
    const offset = index * partBytes;
    return { number: index + 1, offset, byteSize: Math.min(partBytes, byteSize - offset) };
  });
}

/** The number of parts that an error names. */
const NAMED_MAX = 10;

/** `CONFLICT`: the upload cannot be completed without these parts. */
export function partsMissing(missing: readonly Part[]): ChatError {
  const numbers = missing.slice(0, NAMED_MAX).map(({ number }) => number);
  return new ChatError('CONFLICT', `Parts of the file are missing: ${numbers.join(', ')}.`, {
    field: 'input.attachmentId',
  });
}
