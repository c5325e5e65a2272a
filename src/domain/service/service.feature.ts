import { ConfigError } from '../../infra/config/config-error.js';
import { defineFeature } from '../../platform/feature.js';
import { auditActions } from '../audit/audit.actions.js';
import { accessTokenSources } from '../session/session.authentication.js';
import { serviceAuditActions } from './service.audit.js';
import { serviceKey } from './service.key.js';
import { endSessionsOfOtherKeys } from './service.service.js';
import { serviceSettings } from './service.settings.js';

/** The service key, with which the operator's backend acts as a bot and manages accounts. */
export const serviceFeature = defineFeature('service', {
  settings: [serviceSettings],
  schema: () => import('./service.schema.js'),
  checkConfig({ service, jwtSecret, jwtSecretPrevious }) {
    if (service !== undefined && [jwtSecret, jwtSecretPrevious].includes(service.key)) {
      throw new ConfigError('SERVICE_KEY: must differ from JWT_SECRET, which is never sent');
    }
  },
  contributes: [auditActions.with(serviceAuditActions), accessTokenSources.with(serviceKey)],
  async beforeServing(deps) {
    await endSessionsOfOtherKeys(deps);
    await serviceKey.of(deps)?.reserve(deps);
  },
});
