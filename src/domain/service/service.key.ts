import { unauthenticated } from '../../core/errors.js';
import { LATEST_DATE } from '../../infra/auth/provider-tokens.js';
import { sameHash, sha256 } from '../../infra/auth/tokens.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import type { Viewer } from '../../platform/viewer.js';
import { accountOf } from '../identity-provider/identity-provider.accounts.js';
import { sessionOf } from '../identity-provider/identity-provider.sessions.js';
import { type AccessTokenSource, sessionLookup } from '../session/session.authentication.js';
import type { ServiceSettings } from './service.settings.js';
import { SERVICE_IDENTITY } from './service.store.js';

/** The service key, with which the operator's backend acts as a bot. */
export interface ServiceKey extends AccessTokenSource {
  /** Whether the token is the service key, compared in constant time. */
  issued(token: string): boolean;
  /** Marks the sessions that were started with the key, so that they end when it is replaced. */
  readonly hash: Uint8Array<ArrayBuffer>;
  /**
   * The bot in an active session. The account and the session are created when they are first used, and the session
   * again if it was ended.
   * @throws {ChatError} UNAUTHENTICATED: the account was suspended or deleted.
   */
  viewerOf(deps: Deps): Promise<Viewer>;
  /** Creates the bot's account if it does not exist, so that nobody else can register its username. */
  reserve(deps: Deps): Promise<void>;
}

function createServiceKey({ key, username, name }: ServiceSettings): ServiceKey {
  const hash = sha256(key);
  let made: Promise<Viewer> | undefined;

  // In the form of an identity provider's claims, so that a changed name in the configuration is applied.
  const claimsNow = () => ({
    ...SERVICE_IDENTITY,
    sid: null,
    issuedAt: new Date(),
    expiresAt: LATEST_DATE,
    username,
    name,
    picture: null,
    email: null,
  });

  async function make(deps: Deps): Promise<Viewer> {
    const claims = claimsNow();
    const userId = await accountOf(deps, claims, 'BOT');
    // Later than the end of any session, so that the configured key always stays signed in.
    const sessionId = await sessionOf(deps, userId, { ...claims, issuedAt: LATEST_DATE });
    return { userId, sessionId, expiresAt: LATEST_DATE, isService: true };
  }

  return {
    issued: (token) => sameHash(sha256(token), hash),
    hash,
    reserve: async (deps) => void (await accountOf(deps, claimsNow(), 'BOT')),
    async viewerOf(deps) {
      for (let attempt = 0; attempt < 2; attempt += 1) {
        made ??= make(deps);
        const remembered = made;
        const forget = () => {
          // Another call may have replaced it already.
          if (made === remembered) made = undefined;
        };
        const viewer = await remembered.catch((error: unknown) => {
          forget();
          throw error;
        });
        if ((await sessionLookup.of(deps)(viewer.sessionId)) === viewer.userId) return viewer;
        forget();
      }
      throw unauthenticated('The service account cannot sign in.');
    },
  };
}

/** Undefined if no service key is configured. */
export const serviceKey = defineService(
  'service key',
  ({ config }) => config.service && createServiceKey(config.service),
);
