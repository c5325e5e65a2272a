import { ChatError } from '../../core/errors.js';
import type { Db, Tx } from '../../infra/database/database.js';
import type { Viewer } from '../../platform/viewer.js';
import { isServiceAccount } from './service.store.js';

/** Throws FORBIDDEN unless the viewer is the service key: only it creates accounts and their sessions. */
export function checkService(viewer: Viewer): void {
  if (!viewer.isService) throw new ChatError('FORBIDDEN', 'This operation requires the service key.');
}

/** Throws FORBIDDEN if this is the account of the service key, which must exist as long as the key. */
export async function refuseServiceAccount(db: Db | Tx, userId: string): Promise<void> {
  const message = 'The service account belongs to the service key and cannot be changed.';
  if (await isServiceAccount(db, userId)) throw new ChatError('FORBIDDEN', message);
}
