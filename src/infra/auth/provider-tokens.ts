import { decodeJwt, errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from 'jose';
import { ChatError, unauthenticated } from '../../core/errors.js';
import { storableOf } from '../../core/text/characters.js';
import type { Logger } from '../telemetry/log.js';
import { createProviderKeys } from './provider-keys.js';

/**
 * The configuration of an identity provider: how its access tokens are verified, and which claims describe the user.
 */
export interface IdentityProvider {
  jwksUrl: string;
  issuer: string;
  audience: string;
  usernameClaim: string;
  nameClaim: string;
  pictureClaim: string;
}

/**
 * The claims of an identity provider's access token: the user, the provider's session, the time of issue and the user's
 * names.
 */
export interface ProviderClaims {
  issuer: string;
  subject: string;
  /** The id of the provider's session; null if the token has none. */
  sid: string | null;
  issuedAt: Date;
  expiresAt: Date;
  /** The unmodified values of the configured claims; null if the token has none. */
  username: string | null;
  name: string | null;
  picture: string | null;
  email: string | null;
}

export interface OutsideTokens {
  /** Whether the token claims to be issued by the provider. This is not verified. */
  issued(token: string): boolean;
  /**
   * Verifies a token.
   * @throws {ChatError} UNAUTHENTICATED if the token was not issued by the provider for this service, or has expired;
   *   UNAVAILABLE if the key cannot be fetched.
   */
  verify(token: string): Promise<ProviderClaims>;
}

/**
 * Asymmetric algorithms only. Tokens with symmetric algorithms or `none` are rejected, because their signature could be
 * forged with the public key.
 */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
/** The tolerated difference between the provider's clock and the local one, in seconds. */
const CLOCK_TOLERANCE_S = 5;
/** The maximum number of keys tried for one token. It bounds the work that a forged token without a key id causes. */
const MATCHING_KEYS_MAX = 20;
/** The maximum length of a claim in characters. */
const CLAIM_MAX_CHARS = 4_000;
/** The latest instant that both ISO 8601 and the database can represent. */
export const LATEST_DATE = new Date('9999-12-31T23:59:59.999Z');

/** Verifies access tokens (JWT) of an identity provider. Algorithms, issuer, audience and required claims are fixed. */
export function createProviderTokens(
  provider: IdentityProvider,
  log: Logger,
  onKeysFailed: () => void = () => {},
): OutsideTokens {
  const { issuer, audience, jwksUrl, usernameClaim, nameClaim, pictureClaim } = provider;
  const keys = createProviderKeys(jwksUrl, log, onKeysFailed);
  return {
    issued(token) {
      try {
        return decodeJwt(token).iss === issuer;
      } catch {
        return false;
      }
    },
    async verify(token) {
      let claims: JWTPayload;
      try {
        claims = await claimsOf(token, keys, {
          algorithms: ALGORITHMS,
          issuer,
          audience,
          clockTolerance: CLOCK_TOLERANCE_S,
          requiredClaims: ['sub', 'iat', 'exp'],
        });
      } catch (error) {
        if (error instanceof ChatError) throw error;
        // Other errors (an invalid key, a signature of the wrong length) are the fault of the token or its key as well.
        // Only the message is logged, because some errors contain the claims.
        log.debug({ reason: String(error) }, 'token of the identity provider rejected');
        throw unauthenticated(
          error instanceof errors.JWTExpired ? 'The token has expired.' : 'The token is not valid.',
        );
      }
      const { sub, iat = Number.NaN, exp = Number.NaN } = claims;
      // A token issued in the future would outlive the end of its session and override the claims of later tokens.
      if (!isSubject(sub) || !(iat >= 0 && iat <= Date.now() / 1_000 + CLOCK_TOLERANCE_S)) {
        throw unauthenticated('The token is not valid.');
      }
      return {
        issuer,
        subject: sub,
        sid: textOf(claims['sid']),
        issuedAt: new Date(iat * 1_000),
        expiresAt: new Date(Math.min(exp * 1_000, LATEST_DATE.getTime())),
        username: textOf(claims[usernameClaim]),
        name: textOf(claims[nameClaim]),
        picture: textOf(claims[pictureClaim]),
        email: textOf(claims['email']),
      };
    },
  };
}

/**
 * Verifies a token and returns its claims. If several keys match its header (because it names no key, or two keys have
 * the same id), they are tried in order.
 */
async function claimsOf(token: string, keys: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (several) {
    if (!(several instanceof errors.JWKSMultipleMatchingKeys)) throw several;
    let tried = 0;
    let failure: unknown = several;
    // The iterator skips keys that cannot be imported.
    for await (const key of several) {
      tried += 1;
      if (tried > MATCHING_KEYS_MAX) break;
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (error) {
        // The signature is valid, so another key would not help.
        if (error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed) throw error;
        failure = error;
      }
    }
    throw failure;
  }
}

/** At most 255 characters, as OpenID Connect requires, and storable in the database. */
const isSubject = (value: unknown): value is string =>
  typeof value === 'string' && /^[^\p{Cc}\p{Cs}]{1,255}$/u.test(value);

/** The value of a claim that can be stored and compared with that of the next token, truncated to a maximum length. */
const textOf = (value: unknown): string | null =>
  typeof value === 'string' ? storableOf(value.slice(0, CLAIM_MAX_CHARS)) || null : null;
