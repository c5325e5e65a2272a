import { defineFeature } from '../../platform/feature.js';
import { auditActions } from '../audit/audit.actions.js';
import { personUpdatesDone } from '../conversation/person-updates.js';
import { accountAuditActions } from './account.audit.js';
import { accountSettings } from './account.settings.js';
import { erasures } from './erasures.js';

export const accountFeature = defineFeature('account', {
  settings: [accountSettings],
  contributes: [auditActions.with(accountAuditActions)],
  schema: () => import('./account.schema.js'),
  start(deps) {
    const service = erasures.of(deps);
    // An account is erased after everyone has been notified of its deletion.
    personUpdatesDone.on(deps, () => service.begin());
  },
});
