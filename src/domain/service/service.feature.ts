import { defineFeature } from '../../platform/feature.js';
import { accessTokenSources } from '../session/session.authentication.js';
import { serviceKey } from './service.key.js';
import { endSessionsOfOtherKeys } from './service.service.js';

/** The service key, with which the operator's backend acts as a bot and manages accounts. */
export const serviceFeature = defineFeature('service', {
  schema: () => import('./service.schema.js'),
  contributes: [accessTokenSources.with(serviceKey)],
  async beforeServing(deps) {
    await endSessionsOfOtherKeys(deps);
    await serviceKey.of(deps)?.reserve(deps);
  },
});
