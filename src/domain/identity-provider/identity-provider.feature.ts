import { defineFeature } from '../../platform/feature.js';
import { auditActions } from '../audit/audit.actions.js';
import { accessTokenSources } from '../session/session.authentication.js';
import { identityProviderAuditActions } from './identity-provider.audit.js';
import { identityProviderSettings } from './identity-provider.settings.js';
import { providerAuthenticator } from './identity-provider.viewers.js';

/** Accounts and sessions of users who sign in with an identity provider. */
export const identityProviderFeature = defineFeature('identity-provider', {
  settings: [identityProviderSettings],
  capabilities: [
    {
      name: 'outsideUsers',
      description: 'access tokens of an identity provider sign users in',
      isEnabled: ({ identityProvider }) => identityProvider !== undefined,
    },
  ],
  // The identity stays, so that a token which is still valid does not create a new account.
  onAccountDeleted: async (tx, userId) =>
    void (await tx.outsideIdentity.updateMany({
      where: { userId },
      data: { email: '', usernameClaim: null, nameClaim: null, pictureClaim: null },
    })),
  start: (deps) => void providerAuthenticator.of(deps),
  contributes: [auditActions.with(identityProviderAuditActions), accessTokenSources.with(providerAuthenticator)],
});
