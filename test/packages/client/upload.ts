import type { Parley } from '../../../packages/client/src/index.js';
import { kindOf, uploadFile } from '../../../packages/client/src/media.js';

/** Uploads a file with the session of a client that has no store, and returns the id for `attachmentIds`. */
export async function upload(parley: Parley, url: string, file: File, onProgress: (bytes: number) => void) {
  const { id } = await uploadFile({
    ...{ request: parley.request, url, file, kind: kindOf(file), filename: file.name, onProgress },
    // With the same key, an upload that was interrupted continues.
    clientUploadId: crypto.randomUUID(),
  });
  return id;
}
