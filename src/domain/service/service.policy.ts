import { ChatError } from '../../core/errors.js';
import type { Viewer } from '../deps.js';

/** @throws {ChatError} FORBIDDEN: only the backend beside us makes accounts, and sessions for them. */
export function checkService(viewer: Viewer): void {
  if (!viewer.isService) throw new ChatError('FORBIDDEN', 'This is for the service key.');
}
