import { defineFeature } from '../../platform/feature.js';
import { erasureSteps } from '../account/erasures.js';
import { auditActions } from '../audit/audit.actions.js';
import { notificationRemovals, notificationSources } from '../notifier/notifier.sources.js';
import { groupAuditActions } from './group.audit.js';
import { groupErasure } from './group.erasure.js';
import { additionSource, departureRemoval } from './group.notifications.js';
import { groupSettings } from './group.settings.js';

export const groupFeature = defineFeature('group', {
  settings: [groupSettings],
  contributes: [
    auditActions.with(groupAuditActions),
    erasureSteps.with(groupErasure),
    notificationSources.with(additionSource),
    notificationRemovals.with(departureRemoval),
  ],
  schema: () => Promise.all([import('./group.schema.js'), import('./membership.schema.js')]),
});
