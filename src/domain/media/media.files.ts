import { ChatError } from '../../core/errors.js';
import { createLocalStore } from '../../infra/media/local-store.js';
import type { MediaStore } from '../../infra/media/store.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { mediaDirOf } from './media.settings.js';

/** Where the bytes of attachments are stored, or undefined if this server stores none. */
export const mediaStore = defineService('media store', ({ config }): MediaStore | undefined => {
  const dir = mediaDirOf(config);
  return dir === undefined ? undefined : createLocalStore(dir);
});

/** @throws {ChatError} UNAVAILABLE if this server stores no files. */
export function requireMedia(deps: Pick<Deps, 'services'>): MediaStore {
  const store = mediaStore.of(deps);
  if (!store) throw new ChatError('UNAVAILABLE', 'This server does not store files.');
  return store;
}
