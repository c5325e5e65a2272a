import { createHmac } from 'node:crypto';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { isTurn } from './call.settings.js';

/** A STUN or TURN server, with the credentials for the latter. */
export interface IceServer {
  urls: string[];
  username: string | null;
  credential: string | null;
  expiresAt: Date | null;
}

/** The length of the name by which TURN servers distinguish users. */
const NAME_CHARS = 22;

/**
 * The STUN and TURN servers for the viewer. The credentials follow the REST API that coturn and other servers implement: the
 * name contains the time until which they are valid, and the password is an HMAC of the name. They contain no id of the user.
 */
export function iceServersOf(
  { config, secrets }: Pick<Deps, 'config' | 'secrets'>,
  { userId }: Pick<Viewer, 'userId'>,
): IceServer[] {
  const { turnUrls, turnSecret, turnCredentialTtlMs } = config;
  const servers: IceServer[] = [];
  const stun = turnUrls.filter((url) => !isTurn(url));
  if (stun.length > 0) servers.push({ urls: stun, username: null, credential: null, expiresAt: null });
  const turn = turnUrls.filter(isTurn);
  if (turn.length > 0 && turnSecret !== undefined) {
    const expires = Math.floor((Date.now() + turnCredentialTtlMs) / 1_000);
    const username = `${expires}:${secrets.mac('turn user', userId).slice(0, NAME_CHARS)}`;
    const credential = createHmac('sha1', turnSecret).update(username).digest('base64');
    servers.push({ urls: turn, username, credential, expiresAt: new Date(expires * 1_000) });
  }
  return servers;
}
