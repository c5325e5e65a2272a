import { ChatError } from '../../core/errors.js';
import type { Db, Tx } from '../../infra/database/database.js';
import type { Viewer } from '../../platform/viewer.js';
import { isServiceAccount } from './service.store.js';

/** @throws {ChatError} FORBIDDEN: only the backend beside us makes accounts, and sessions for them. */
export function checkService(viewer: Viewer): void {
  if (!viewer.isService) throw new ChatError('FORBIDDEN', 'This operation requires the service key.');
}

/** @throws {ChatError} FORBIDDEN: it is the account of the service key, which is there for as long as that. */
export async function refuseServiceAccount(db: Db | Tx, userId: string): Promise<void> {
  const message = 'The service account belongs to the service key and cannot be changed.';
  if (await isServiceAccount(db, userId)) throw new ChatError('FORBIDDEN', message);
}
