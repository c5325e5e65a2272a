import { createHash, createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { validate } from 'uuid';
import { unauthenticated } from '../../core/errors.js';
import { OWN_ISSUER } from '../config/issuers.js';

/** The claims of an access token: the user, the session and the expiry. */
interface AccessClaims {
  userId: string;
  sessionId: string;
  expiresAt: Date;
}

export interface Tokens {
  signAccess(userId: string, sessionId: string): { token: string; expiresAt: Date };
  /**
   * Verifies an access token.
   * @throws {ChatError} UNAUTHENTICATED if it was not issued by this server, is not an access token, or has expired.
   */
  verifyAccess(token: string): AccessClaims;
  /**
   * The tokens that replace a refresh token when it is used. They are deterministic, so that repeated requests get the
   * same response, and nobody without the secret can compute them. The first one is issued; the others, derived from
   * the previous secret, are also accepted.
   */
  successorsOf(refreshToken: RefreshToken): [RefreshToken, ...RefreshToken[]];
}

const AUDIENCE = 'parley';
const ACCESS = 'access';

/**
 * Access tokens are JWT signed with HS256; algorithm, issuer, audience and type are verified. Tokens signed with
 * `previousSecret` are accepted as well, so that the secret can be replaced without signing users out.
 */
export function createTokens({
  secret,
  previousSecret,
  accessTtlMs,
}: {
  secret: string;
  previousSecret?: string | undefined;
  accessTtlMs: number;
}): Tokens {
  // Key objects, because jsonwebtoken would otherwise try to parse the text as every kind of key at each verification.
  const key = createSecretKey(secret, 'utf8');
  const keys = previousSecret === undefined ? [key] : [key, createSecretKey(previousSecret, 'utf8')];
  return {
    signAccess(userId, sessionId) {
      const expires = Math.ceil((Date.now() + accessTtlMs) / 1_000);
      const claims = { sub: userId, sid: sessionId, typ: ACCESS, exp: expires };
      const token = jwt.sign(claims, key, { algorithm: 'HS256', issuer: OWN_ISSUER, audience: AUDIENCE });
      return { token, expiresAt: new Date(expires * 1_000) };
    },
    verifyAccess(token) {
      const { sub, exp, sid, typ } = claimsOf(token, keys) as jwt.JwtPayload & { sid?: unknown; typ?: unknown };
      if (typ !== ACCESS || !isUuid(sub) || !isUuid(sid) || exp === undefined) {
        throw unauthenticated('The token is not valid.');
      }
      return { userId: sub, sessionId: sid, expiresAt: new Date(exp * 1_000) };
    },
    successorsOf({ sessionId, family, own }) {
      const successor = (by: KeyObject) =>
        refreshTokenOf(sessionId, family, createHmac('sha256', by).update(`refresh ${own}`).digest('base64url'));
      const [first, ...others] = keys.map(successor);
      return [first as RefreshToken, ...others];
    },
  };
}

/** Verifies a token with any of these keys and returns its claims. Throws UNAUTHENTICATED if it is invalid. */
function claimsOf(token: string, keys: readonly KeyObject[]): jwt.JwtPayload {
  for (const key of keys) {
    try {
      return jwt.verify(token, key, {
        algorithms: ['HS256'],
        issuer: OWN_ISSUER,
        audience: AUDIENCE,
      }) as jwt.JwtPayload;
    } catch (error) {
      // The expiry is only checked after the signature.
      if (error instanceof jwt.TokenExpiredError) throw unauthenticated('The token has expired.');
    }
  }
  throw unauthenticated('The token is not valid.');
}

/**
 * The hashes of the two secrets of a refresh token: one of its family, which is shared by all tokens of a session, and
 * one of its own.
 */
export interface RefreshHashes {
  family: Uint8Array<ArrayBuffer>;
  own: Uint8Array<ArrayBuffer>;
}

/** The token with which a client renews its session. The database stores only its hashes. */
export interface RefreshToken {
  token: string;
  sessionId: string;
  family: string;
  own: string;
  hashes: RefreshHashes;
}

function refreshTokenOf(sessionId: string, family: string, own: string): RefreshToken {
  const hashes = { family: sha256(family), own: sha256(own) };
  return { token: `${sessionId}.${family}.${own}`, sessionId, family, own, hashes };
}

/** The first refresh token of a session. */
export const newRefreshToken = (sessionId: string): RefreshToken =>
  refreshTokenOf(sessionId, randomSecret(), randomSecret());

/** Parses a refresh token. Returns undefined if it is malformed. */
export function readRefreshToken(token: string): RefreshToken | undefined {
  const match = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([\w-]{43})\.([\w-]{43})$/.exec(token);
  if (!match) return undefined;
  const [sessionId, family, own] = match.slice(1) as [string, string, string];
  return refreshTokenOf(sessionId, family, own);
}

/** A token for resetting a password, to be sent by email: 256 random bits. The database stores only its hash. */
export function newResetToken(): { token: string; hash: Uint8Array<ArrayBuffer> } {
  const token = randomSecret();
  return { token, hash: sha256(token) };
}

/** The hash of a token for resetting a password; undefined if the token is malformed. */
export const readResetToken = (token: string): Uint8Array<ArrayBuffer> | undefined =>
  /^[\w-]{43}$/.test(token) ? sha256(token) : undefined;

export const sameHash = (a: Uint8Array, b: Uint8Array) => a.length === b.length && timingSafeEqual(a, b);

const isUuid = (value: unknown): value is string => validate(value);

const randomSecret = () => randomBytes(32).toString('base64url');
export const sha256 = (text: string) => new Uint8Array(createHash('sha256').update(text).digest());
