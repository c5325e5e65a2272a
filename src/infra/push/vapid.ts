import { generateKeyPairSync } from 'node:crypto';
import { importJWK, type JWK, SignJWT } from 'jose';
import { LRUCache } from 'lru-cache';

/** A key pair with which a server identifies itself to push services (RFC 8292). */
export interface VapidKeys {
  /** The public key as clients pass it to `PushManager.subscribe`: base64url of 65 bytes. */
  publicKey: string;
  /** The private key as a JWK. */
  privateKey: JWK;
}

export function newVapidKeys(): VapidKeys {
  const privateKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as JWK;
  const point = [privateKey.x, privateKey.y].map((coordinate = '') => Buffer.from(coordinate, 'base64url'));
  return { publicKey: Buffer.concat([Buffer.from([4]), ...point]).toString('base64url'), privateKey };
}

/** The value of the `Authorization` header for an origin. */
export type VapidAuthorization = (origin: string) => Promise<string>;

/** How long a token is used. Push services accept at most 24 hours; the rest allows for clocks that differ. */
const USED_MS = 12 * 3_600_000;
const VALID_MS = 20 * 3_600_000;
/** The maximum number of origins whose tokens are kept. */
const ORIGINS_MAX = 1_000;

/** @param contact a `mailto:` or `https:` URL of the operator, by which push services report problems. */
export function createVapid({ publicKey, privateKey }: VapidKeys, contact: string | undefined): VapidAuthorization {
  const key = importJWK({ ...privateKey, alg: 'ES256' }, 'ES256');
  key.catch(() => {});
  // The promise is kept, so that simultaneous requests share one signature.
  const tokens = new LRUCache<string, Promise<string>>({ max: ORIGINS_MAX, ttl: USED_MS });

  async function sign(origin: string): Promise<string> {
    const token = new SignJWT(contact === undefined ? {} : { sub: contact })
      .setProtectedHeader({ typ: 'JWT', alg: 'ES256' })
      .setAudience(origin)
      .setExpirationTime(Math.floor((Date.now() + VALID_MS) / 1_000));
    return `vapid t=${await token.sign(await key)}, k=${publicKey}`;
  }

  return (origin) => {
    let header = tokens.get(origin);
    if (!header) {
      header = sign(origin);
      tokens.set(origin, header);
      header.catch(() => tokens.delete(origin));
    }
    return header;
  };
}
