import { defineService } from '../../platform/service.js';

/** What this node has counted, for its metrics. */
export const encryptionCounts = defineService('encryption counts', () => ({
  /** Calls of `commitGroup` by outcome. `stale`: another commit was first, or a device must be removed first. */
  commits: { stored: 0, repeated: 0, stale: 0, refused: 0 },
  /** Claimed key packages by kind. */
  claims: { single: 0, last_resort: 0 },
}));
