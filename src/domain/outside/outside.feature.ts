import { defineFeature } from '../../platform/feature.js';
import { accessTokenSources } from '../session/session.authentication.js';
import { identityProviderSettings } from './outside.settings.js';
import { outsideViewers } from './outside.viewers.js';

/** Accounts and sessions of people whom an identity provider signs in. */
export const outsideFeature = defineFeature('outside', {
  settings: [identityProviderSettings],
  capabilities: ({ identityProvider }) => (identityProvider ? ['outsideUsers'] : []),
  // The identity stays, so that a token which is still valid does not create a new account.
  onAccountDeleted: async (tx, userId) =>
    void (await tx.outsideIdentity.updateMany({
      where: { userId },
      data: { email: '', usernameClaim: null, nameClaim: null, pictureClaim: null },
    })),
  start: (deps) => void outsideViewers.of(deps),
  contributes: [accessTokenSources.with(outsideViewers)],
});
