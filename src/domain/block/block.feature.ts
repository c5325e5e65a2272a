import { defineFeature } from '../../platform/feature.js';
import { notificationRemovals } from '../notifier/notifier.sources.js';
import { blockRemoval } from './block.notifications.js';
import { blockSettings } from './block.settings.js';

export const blockFeature = defineFeature('block', {
  settings: [blockSettings],
  schema: () => import('./block.schema.js'),
  contributes: [notificationRemovals.with(blockRemoval)],
  onAccountDeleted: async (tx, userId) =>
    void (await tx.block.deleteMany({ where: { OR: [{ blockerId: userId }, { blockedId: userId }] } })),
});
