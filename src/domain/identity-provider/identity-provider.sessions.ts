import { randomBytes } from 'node:crypto';
import { ChatError, unauthenticated } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { LATEST_DATE, type ProviderClaims } from '../../infra/auth/provider-tokens.js';
import { sha256 } from '../../infra/auth/tokens.js';
import { OWN_ISSUER } from '../../infra/config/issuers.js';
import { isUniqueViolation } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { recordAuditEvents } from '../audit/audit.store.js';
import { endOldSessions } from '../session/session.service.js';
import { isActive } from '../user/user.policy.js';
import { lockUsersForShare } from '../user/user.store.js';

/**
 * Returns the session that corresponds to the provider's session: one per `sid`, or one per user if its tokens contain
 * none. It is extended by newer tokens. After it was ended here, only tokens issued later start another one; earlier
 * tokens stay rejected.
 * @returns the id of the session.
 * @throws {ChatError} UNAUTHENTICATED: the session was ended after the token was issued.
 */
export async function sessionOf(deps: Deps, userId: string, claims: ProviderClaims): Promise<string> {
  const { db } = deps.database;
  const outsideKey = sha256(JSON.stringify([claims.issuer, claims.subject, claims.sid]));
  for (let attempt = 0; attempt < 3; attempt += 1) {
    // The active session, if any, and the one that ended last.
    const sessions = await db.session.findMany({
      where: { userId, outsideKey },
      orderBy: { endedAt: { sort: 'desc', nulls: 'first' } },
      take: 2,
    });
    const alive = sessions.find(({ endedAt }) => endedAt === null);
    const last = sessions.find(({ endedAt }) => endedAt !== null);
    // By the provider's clock, its last token may have been issued after the session ended.
    const lastIssued = Math.max(last?.endedAt?.getTime() ?? 0, last?.tokensIssuedUntil?.getTime() ?? 0);
    if (claims.issuedAt.getTime() <= lastIssued) throw unauthenticated('This session has ended.');
    if (alive) {
      // A newer token counts as a use of the session in the list of sessions.
      const isLonger = alive.expiresAt < claims.expiresAt;
      const isNewer = isDated(claims) && !(alive.tokensIssuedUntil && alive.tokensIssuedUntil >= claims.issuedAt);
      if (!isLonger && !isNewer) return alive.id;
      const { count } = await db.session.updateMany({
        where: { id: alive.id, endedAt: null },
        data: {
          ...(isLonger && { lastUsedAt: new Date(), expiresAt: claims.expiresAt }),
          ...(isNewer && { tokensIssuedUntil: claims.issuedAt }),
        },
      });
      if (count === 1) return alive.id;
      continue;
    }
    try {
      return await startProviderSession(deps, userId, outsideKey, claims);
    } catch (error) {
      // A concurrent call has created it.
      if (!isUniqueViolation(error)) throw error;
    }
  }
  throw new ChatError('UNAVAILABLE', 'This session is being replaced. Try again.');
}

/** Whether the token has a time of issue. The service key has none: it stays valid whenever its session was ended. */
const isDated = ({ issuedAt }: ProviderClaims) => issuedAt.getTime() !== LATEST_DATE.getTime();

/** Throws UNAUTHENTICATED if the user is suspended or the account was deleted. */
async function startProviderSession(
  deps: Deps,
  userId: string,
  outsideKey: Uint8Array<ArrayBuffer>,
  claims: ProviderClaims,
): Promise<string> {
  const { issuer, expiresAt } = claims;
  const tokensIssuedUntil = isDated(claims) ? claims.issuedAt : null;
  const id = newId();
  // Random hashes that match no refresh token, because the session is renewed by the provider.
  const [refreshFamilyHash, refreshHash] = [new Uint8Array(randomBytes(32)), new Uint8Array(randomBytes(32))];
  await deps.database.transaction(async (tx) => {
    // Locked until the commit, so that a concurrent suspension either rejects this session or ends it.
    const [user] = await lockUsersForShare(tx, [userId]);
    if (!user) throw unauthenticated('This account has been deleted.');
    if (!isActive(user)) throw unauthenticated('This account is suspended.');
    const data = { id, userId, outsideKey, refreshFamilyHash, refreshHash, expiresAt, tokensIssuedUntil };
    await tx.session.create({ data });
    const ended = await endOldSessions(tx, userId, deps.config.sessionsPerPersonMax, id);
    const details = { by: signedInBy(issuer), ...(ended.length > 0 && { sessionsEnded: ended.length }) };
    await recordAuditEvents(tx, { action: 'SIGNED_IN', actor: { userId, sessionId: id }, subjectId: userId, details });
  });
  return id;
}

/** How a user with tokens of this issuer signed in, for the audit log. */
export const signedInBy = (issuer: string) => (issuer === OWN_ISSUER ? 'SERVICE_KEY' : 'IDENTITY_PROVIDER');
