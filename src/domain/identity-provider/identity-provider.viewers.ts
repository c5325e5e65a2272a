import { createProviderTokens, type OutsideTokens } from '../../infra/auth/provider-tokens.js';
import { sha256 } from '../../infra/auth/tokens.js';
import { createCache } from '../../infra/cache.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import type { Viewer } from '../../platform/viewer.js';
import { type AccessTokenSource, requireActiveSession } from '../session/session.authentication.js';
import { accountOf } from './identity-provider.accounts.js';
import { sessionOf } from './identity-provider.sessions.js';

/** Authenticates access tokens of an identity provider. */
export interface ProviderAuthenticator extends AccessTokenSource {
  /** Whether the token claims to be issued by the provider. This is not verified. */
  issued(token: string): boolean;
  /**
   * Returns the viewer of a token. Creates the account and the session when they are first used.
   * @throws {ChatError} UNAUTHENTICATED; UNAVAILABLE: the provider's keys cannot be fetched.
   */
  viewerOf(deps: Deps, token: string): Promise<Viewer>;
  /** Clears the cache of accounts and sessions, after the database has lost transactions. */
  forget(): void;
}

/** The maximum number of verified tokens that are cached until they expire. */
const REMEMBERED_MAX = 20_000;

function createOutsideViewers(tokens: OutsideTokens): ProviderAuthenticator {
  // By hash, so that a memory dump contains no tokens.
  const known = createCache<Viewer>(REMEMBERED_MAX);
  /** Verifications in progress. They are not in the cache, so that invalid tokens do not evict entries. */
  const asked = new Map<string, Promise<Viewer>>();

  async function look(deps: Deps, token: string, hash: string): Promise<Viewer> {
    const claims = await tokens.verify(token);
    const userId = await accountOf(deps, claims);
    const sessionId = await sessionOf(deps, userId, claims);
    const viewer = { userId, sessionId, expiresAt: claims.expiresAt };
    known.set(hash, viewer);
    return viewer;
  }

  return {
    forget: () => known.clear(),
    issued: (token) => tokens.issued(token),
    async viewerOf(deps, token) {
      const hash = Buffer.from(sha256(token)).toString('base64');
      const found = known.get(hash);
      if (found && found.expiresAt > new Date()) return requireActiveSession(deps, found);
      const looking = asked.get(hash) ?? look(deps, token, hash).finally(() => asked.delete(hash));
      asked.set(hash, looking);
      return requireActiveSession(deps, await looking);
    },
  };
}

/** Undefined if no identity provider is configured. */
export const providerAuthenticator = defineService('identity provider', ({ config, log, metrics, feed }) => {
  const keysFailed = metrics.counter(
    'parley_identity_provider_failures_total',
    'Failed attempts to fetch the keys of the identity provider.',
  );
  if (!config.identityProvider) return undefined;
  const viewers = createOutsideViewers(createProviderTokens(config.identityProvider, log, keysFailed));
  feed.onReset(() => viewers.forget());
  return viewers;
});
