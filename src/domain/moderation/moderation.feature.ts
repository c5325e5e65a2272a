import { defineFeature } from '../../platform/feature.js';
import { auditActions } from '../audit/audit.actions.js';
import { moderationAuditActions } from './moderation.audit.js';

export const moderationFeature = defineFeature('moderation', {
  contributes: [auditActions.with(moderationAuditActions)],
  schema: () => import('./moderation.schema.js'),
});
