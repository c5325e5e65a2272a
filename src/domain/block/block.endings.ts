import type { Conversation } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineExtensionPoint } from '../../platform/feature.js';

/**
 * Runs in the transaction in which a user blocks the other user of a direct conversation, which is locked, if the two could
 * reach each other before.
 */
export const blockEndings =
  defineExtensionPoint<
    (deps: Pick<Deps, 'config' | 'features'>, tx: Tx, blockerId: string, direct: Conversation) => Promise<void>
  >('block endings');
