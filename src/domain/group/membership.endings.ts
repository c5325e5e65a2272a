import type { Membership } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineExtensionPoint } from '../../platform/feature.js';

/**
 * Runs in the transaction in which a member leaves a group or is removed, before the membership is deleted. The
 * conversation is locked.
 */
export const membershipEndings =
  defineExtensionPoint<(tx: Tx, membership: Membership, deps: Pick<Deps, 'config' | 'features'>) => Promise<void>>(
    'membership endings',
  );
