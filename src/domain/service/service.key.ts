import { OWN_ISSUER, type ServiceSettings } from '../../infra/config.js';
import { FOREVER } from '../../infra/outside-tokens.js';
import { sameHash, sha256 } from '../../infra/tokens.js';
import type { Deps, Viewer } from '../deps.js';
import { accountOf } from '../outside/outside.accounts.js';
import { sessionOf } from '../outside/outside.sessions.js';

/** The key with which the backend beside us is a bot of its own. */
export interface ServiceKey {
  /** Compared so that its time says nothing of how much of it was right. */
  is(token: string): boolean;
  /** The bot, in a session without end; both are made at the first use. */
  viewer(deps: Deps): Promise<Viewer>;
}

export function createServiceKey({ key, username, name }: ServiceSettings): ServiceKey {
  const hash = sha256(key);
  let made: Promise<Viewer> | undefined;

  async function make(deps: Deps): Promise<Viewer> {
    // As an identity provider would say it, so that another name in the configuration is taken over as well.
    const claims = {
      issuer: OWN_ISSUER,
      subject: 'service',
      sid: null,
      issuedAt: new Date(),
      expiresAt: FOREVER,
      username,
      name,
      picture: null,
      email: null,
    };
    const userId = await accountOf(deps, claims, 'BOT');
    const sessionId = await sessionOf(deps, userId, claims);
    return { userId, sessionId, expiresAt: FOREVER, isService: true };
  }

  return {
    is: (token) => sameHash(sha256(token), hash),
    async viewer(deps) {
      made ??= make(deps).catch((error: unknown) => {
        made = undefined;
        throw error;
      });
      return made;
    },
  };
}
