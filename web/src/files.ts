import type { PendingUpload } from '@parley/client/media';
import { constant, createHook } from './loaded.ts';
import { useServerInfo } from './parley.ts';

/** The files of messages and those on their way; undefined until they are loaded. */
export const useFiles = createHook(async (parley) => (await import('@parley/client/media')).mediaOf(parley));

/** What is shown until they have been loaded. */
export const noUploads = constant<readonly PendingUpload[]>([]);

/** Whether files can be sent; undefined until the server has answered. */
export const useCanAttach = (): boolean | undefined => useServerInfo()?.features.includes('media');
