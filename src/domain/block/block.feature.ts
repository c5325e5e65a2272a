import { defineFeature } from '../../platform/feature.js';
import { blockSettings } from './block.settings.js';

export const blockFeature = defineFeature('block', {
  settings: [blockSettings],
  schema: () => import('./block.schema.js'),
  onAccountDeleted: async (tx, userId) =>
    void (await tx.block.deleteMany({ where: { OR: [{ blockerId: userId }, { blockedId: userId }] } })),
});
