import { unauthenticated } from '../../core/errors.js';
import { FOREVER } from '../../infra/auth/outside-tokens.js';
import { sameHash, sha256 } from '../../infra/auth/tokens.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import type { Viewer } from '../../platform/viewer.js';
import { accountOf } from '../outside/outside.accounts.js';
import { sessionOf } from '../outside/outside.sessions.js';
import { type AccessTokenSource, sessionLookup } from '../session/session.authentication.js';
import type { ServiceSettings } from './service.settings.js';
import { SERVICE_IDENTITY } from './service.store.js';

/** The key with which the backend beside us is a bot of its own. */
export interface ServiceKey extends AccessTokenSource {
  /** Compared so that its time says nothing of how much of it was right. */
  issued(token: string): boolean;
  /** Marks the sessions that are made with it, so that they end when it is taken back. */
  readonly hash: Uint8Array<ArrayBuffer>;
  /**
   * The bot, in a session that lives: both are made at the first use, and the session anew when it was ended.
   * @throws {ChatError} UNAUTHENTICATED: the account is suspended or gone.
   */
  viewerOf(deps: Deps): Promise<Viewer>;
  /** Makes the bot's account where there is none yet, so that nobody else can take its username. */
  reserve(deps: Deps): Promise<void>;
}

function createServiceKey({ key, username, name }: ServiceSettings): ServiceKey {
  const hash = sha256(key);
  let made: Promise<Viewer> | undefined;

  // As an identity provider would say it, so that another name in the configuration is taken over as well.
  const claimsNow = () => ({
    ...SERVICE_IDENTITY,
    sid: null,
    issuedAt: new Date(),
    expiresAt: FOREVER,
    username,
    name,
    picture: null,
    email: null,
  });

  async function make(deps: Deps): Promise<Viewer> {
    const claims = claimsNow();
    const userId = await accountOf(deps, claims, 'BOT');
    // Later than any end of a session, whoever's clock that was taken from: what is configured stays signed in.
    const sessionId = await sessionOf(deps, userId, { ...claims, issuedAt: FOREVER });
    return { userId, sessionId, expiresAt: FOREVER, isService: true };
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
          // Another caller may have made it anew already.
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

/** Undefined where no service key is configured. */
export const serviceKey = defineService(
  'service key',
  ({ config }) => config.service && createServiceKey(config.service),
);
