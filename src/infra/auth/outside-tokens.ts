import { decodeJwt, errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from 'jose';
import { ChatError, unauthenticated } from '../../core/errors.js';
import { storableOf } from '../../core/text/characters.js';
import type { Logger } from '../telemetry/log.js';
import { createOutsideKeys } from './outside-keys.js';

/** The identity provider whose access tokens sign people in, and the claims that describe a person. */
export interface IdentityProvider {
  jwksUrl: string;
  issuer: string;
  audience: string;
  usernameClaim: string;
  nameClaim: string;
  pictureClaim: string;
}

/** What an identity provider's access token says: who, in which of its sessions, when, and how they are called. */
export interface OutsideClaims {
  issuer: string;
  subject: string;
  /** The provider's own session; null where its tokens do not say. */
  sid: string | null;
  issuedAt: Date;
  expiresAt: Date;
  /** As they stand in the token; null where it does not say. */
  username: string | null;
  name: string | null;
  picture: string | null;
  email: string | null;
}

export interface OutsideTokens {
  /** Whether the token says that it is the provider's: what to check it with, no more. */
  issued(token: string): boolean;
  /**
   * @throws {ChatError} UNAUTHENTICATED: not the provider's, not for this service, or expired; UNAVAILABLE: the key to
   * check it with cannot be fetched.
   */
  verify(token: string): Promise<OutsideClaims>;
}

/** Only those with a public key: with it nobody can sign, and a token that says HS256 or none is refused. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
/** How far the provider's clock may be from ours, in seconds. */
const CLOCK_TOLERANCE_S = 5;
/** How many keys are tried at most for one token: whoever invents tokens that name no key makes as much work. */
const MATCHING_KEYS_MAX = 20;
/** Characters of a claim that are read. */
const CLAIM_MAX_CHARS = 4_000;
/** The last instant that dates in ISO 8601 and the database agree on. */
export const FOREVER = new Date('9999-12-31T23:59:59.999Z');

/** Access tokens of an identity provider: JWT; algorithms, issuer, audience and the claims that must be there are pinned. */
export function createOutsideTokens(
  provider: IdentityProvider,
  log: Logger,
  onKeysFailed: () => void = () => {},
): OutsideTokens {
  const { issuer, audience, jwksUrl, usernameClaim, nameClaim, pictureClaim } = provider;
  const keys = createOutsideKeys(jwksUrl, log, onKeysFailed);
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
        // Whatever else it is (a key that is none, a signature of another length), the token or its key is to blame. Only
        // what it says is logged: some hold the claims.
        log.debug({ reason: String(error) }, 'token of the identity provider rejected');
        throw unauthenticated(
          error instanceof errors.JWTExpired ? 'The token has expired.' : 'The token is not valid.',
        );
      }
      const { sub, iat = Number.NaN, exp = Number.NaN } = claims;
      // From the future it would outlive the end of its session, and what later tokens say.
      if (!isSubject(sub) || !(iat >= 0 && iat <= Date.now() / 1_000 + CLOCK_TOLERANCE_S)) {
        throw unauthenticated('The token is not valid.');
      }
      return {
        issuer,
        subject: sub,
        sid: textOf(claims['sid']),
        issuedAt: new Date(iat * 1_000),
        expiresAt: new Date(Math.min(exp * 1_000, FOREVER.getTime())),
        username: textOf(claims[usernameClaim]),
        name: textOf(claims[nameClaim]),
        picture: textOf(claims[pictureClaim]),
        email: textOf(claims['email']),
      };
    },
  };
}

/**
 * The claims of a token that one of the keys has signed. Where several keys match its header (it names none, or two keys
 * have the same name), they are tried one after another.
 */
async function claimsOf(token: string, keys: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (several) {
    if (!(several instanceof errors.JWKSMultipleMatchingKeys)) throw several;
    let tried = 0;
    let failure: unknown = several;
    // It gives those keys that can be read, and passes over the others.
    for await (const key of several) {
      tried += 1;
      if (tried > MATCHING_KEYS_MAX) break;
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (error) {
        // With the right key, the claims are what is wrong: another key would not help.
        if (error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed) throw error;
        failure = error;
      }
    }
    throw failure;
  }
}

/** Up to 255 characters, as OpenID Connect has it, and what the database can hold. */
const isSubject = (value: unknown): value is string =>
  typeof value === 'string' && /^[^\p{Cc}\p{Cs}]{1,255}$/u.test(value);

/** What of a claim can be stored and compared with the next token's; no more than a name or an address can need. */
const textOf = (value: unknown): string | null =>
  typeof value === 'string' ? storableOf(value.slice(0, CLAIM_MAX_CHARS)) || null : null;
