import { defineFeature } from '../../platform/feature.js';

export const blockFeature = defineFeature('block', {
  schema: () => import('./block.schema.js'),
  onAccountDeleted: async (tx, userId) =>
    void (await tx.block.deleteMany({ where: { OR: [{ blockerId: userId }, { blockedId: userId }] } })),
});
