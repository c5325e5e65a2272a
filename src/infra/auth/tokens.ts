import { createHash, createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { validate } from 'uuid';
import { unauthenticated } from '../../core/errors.js';
import { OWN_ISSUER } from '../config/issuers.js';

/** What an access token says: who, in which session, until when. */
interface AccessClaims {
  userId: string;
  sessionId: string;
  expiresAt: Date;
}

export interface Tokens {
  signAccess(userId: string, sessionId: string): { token: string; expiresAt: Date };
  /** @throws {ChatError} UNAUTHENTICATED: not ours, not an access token, or expired. */
  verifyAccess(token: string): AccessClaims;
  /**
   * What takes a refresh token's place when it is used: always the same, so that who asks twice gets one answer. Nobody
   * else can work it out. The first one is to be given; others are of the previous secret.
   */
  successorsOf(refreshToken: RefreshToken): [RefreshToken, ...RefreshToken[]];
}

const AUDIENCE = 'parley';
const ACCESS = 'access';

/**
 * Access tokens: JWT signed with HS256; algorithm, issuer, audience and type are pinned when one is read. Those signed
 * with `previousSecret` are good as well, so that another secret can take its place without signing anybody out.
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
  // As keys and not as texts, which would be tried as every sort of key at each verification.
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

/** What a token says that one of these keys has signed. @throws {ChatError} UNAUTHENTICATED */
function claimsOf(token: string, keys: readonly KeyObject[]): jwt.JwtPayload {
  for (const key of keys) {
    try {
      return jwt.verify(token, key, {
        algorithms: ['HS256'],
        issuer: OWN_ISSUER,
        audience: AUDIENCE,
      }) as jwt.JwtPayload;
    } catch (error) {
      // It is looked at only when the signature is right.
      if (error instanceof jwt.TokenExpiredError) throw unauthenticated('The token has expired.');
    }
  }
  throw unauthenticated('The token is not valid.');
}

/** The hashes of a refresh token's two secrets: of its family, which all tokens of a session share, and of itself. */
export interface RefreshHashes {
  family: Uint8Array<ArrayBuffer>;
  own: Uint8Array<ArrayBuffer>;
}

/** What a client keeps to renew its session: the database has only the hashes. */
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

/** A session's first refresh token. */
export const newRefreshToken = (sessionId: string): RefreshToken =>
  refreshTokenOf(sessionId, randomSecret(), randomSecret());

/** Undefined when the text cannot be one. */
export function readRefreshToken(token: string): RefreshToken | undefined {
  const match = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([\w-]{43})\.([\w-]{43})$/.exec(token);
  if (!match) return undefined;
  const [sessionId, family, own] = match.slice(1) as [string, string, string];
  return refreshTokenOf(sessionId, family, own);
}

/** What a mail carries with which a password can be reset: 256 random bits. The database keeps only the hash. */
export function newResetToken(): { token: string; hash: Uint8Array<ArrayBuffer> } {
  const token = randomSecret();
  return { token, hash: sha256(token) };
}

/** The hash of a token for a reset; undefined when it cannot be one. */
export const readResetToken = (token: string): Uint8Array<ArrayBuffer> | undefined =>
  /^[\w-]{43}$/.test(token) ? sha256(token) : undefined;

export const sameHash = (a: Uint8Array, b: Uint8Array) => a.length === b.length && timingSafeEqual(a, b);

const isUuid = (value: unknown): value is string => validate(value);

const randomSecret = () => randomBytes(32).toString('base64url');
export const sha256 = (text: string) => new Uint8Array(createHash('sha256').update(text).digest());
