import { LRUCache } from 'lru-cache';
import { createOutsideTokens, type OutsideTokens } from '../../infra/auth/outside-tokens.js';
import { sha256 } from '../../infra/auth/tokens.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import type { Viewer } from '../../platform/viewer.js';
import { type AccessTokenSource, requireLivingSession } from '../session/session.authentication.js';
import { accountOf } from './outside.accounts.js';
import { sessionOf } from './outside.sessions.js';

/** Whom the access tokens of an identity provider are for. */
export interface OutsideViewers extends AccessTokenSource {
  /** Whether the token says that it is the provider's; nothing of it is checked by that. */
  issued(token: string): boolean;
  /**
   * Creates the account and the session at a token's first use.
   * @throws {ChatError} UNAUTHENTICATED; UNAVAILABLE: the provider's keys cannot be fetched.
   */
  viewerOf(deps: Deps, token: string): Promise<Viewer>;
  /** Forgets accounts and sessions that were looked up: the database may have lost them. */
  forget(): void;
}

/** Tokens that were checked already and are not checked again until they expire; of more, those used last. */
const REMEMBERED_MAX = 20_000;

function createOutsideViewers(tokens: OutsideTokens): OutsideViewers {
  // By hash: whoever reads this memory finds no tokens.
  const known = new LRUCache<string, Viewer>({ max: REMEMBERED_MAX });
  /** Being checked: apart, so that tokens which turn out worthless push nobody out. */
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
      if (found && found.expiresAt > new Date()) return requireLivingSession(deps, found);
      const looking = asked.get(hash) ?? look(deps, token, hash).finally(() => asked.delete(hash));
      asked.set(hash, looking);
      return requireLivingSession(deps, await looking);
    },
  };
}

/** Undefined where no identity provider is configured. */
export const outsideViewers = defineService('identity provider', ({ config, log, metrics, feed }) => {
  const keysFailed = metrics.counter(
    'parley_identity_provider_failures_total',
    'Failed attempts to fetch the keys of the identity provider.',
  );
  if (!config.identityProvider) return undefined;
  const viewers = createOutsideViewers(createOutsideTokens(config.identityProvider, log, keysFailed));
  feed.onReset(() => viewers.forget());
  return viewers;
});
