import { randomBytes } from 'node:crypto';
import { ChatError, unauthenticated } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { FOREVER, type OutsideClaims } from '../../infra/auth/outside-tokens.js';
import { sha256 } from '../../infra/auth/tokens.js';
import { OWN_ISSUER } from '../../infra/config/issuers.js';
import { isUniqueViolation } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { recordActs } from '../audit/audit.store.js';
import { endOldSessions } from '../session/session.service.js';
import { isHere } from '../user/user.policy.js';
import { holdPeople } from '../user/user.store.js';

/**
 * The session that somebody's session elsewhere is here: one for each `sid` of the provider, or one for the person where
 * its tokens name none, however often they are renewed. When it was ended here, only tokens issued after that begin
 * another one; those from before stay refused also then.
 * @returns its id.
 * @throws {ChatError} UNAUTHENTICATED: it was ended after the token was issued.
 */
export async function sessionOf(deps: Deps, userId: string, claims: OutsideClaims): Promise<string> {
  const { db } = deps.database;
  const outsideKey = sha256(JSON.stringify([claims.issuer, claims.subject, claims.sid]));
  for (let attempt = 0; attempt < 3; attempt += 1) {
    // The one that lives, if any, and the one that ended last.
    const sessions = await db.session.findMany({
      where: { userId, outsideKey },
      orderBy: { endedAt: { sort: 'desc', nulls: 'first' } },
      take: 2,
    });
    const alive = sessions.find(({ endedAt }) => endedAt === null);
    const last = sessions.find(({ endedAt }) => endedAt !== null);
    // Its last token may have been issued later than its end, by the provider's clock.
    const lastIssued = Math.max(last?.endedAt?.getTime() ?? 0, last?.tokensIssuedUntil?.getTime() ?? 0);
    if (claims.issuedAt.getTime() <= lastIssued) throw unauthenticated('This session has ended.');
    if (alive) {
      // A newer token: for the person who looks through the list of sessions that is its use.
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
      return await startOutsideSession(deps, userId, outsideKey, claims);
    } catch (error) {
      // Twice at once: the other one is it.
      if (!isUniqueViolation(error)) throw error;
    }
  }
  throw new ChatError('UNAVAILABLE', 'This session is being replaced. Try again.');
}

/** The service key is good for ever, whenever its session was ended: it has no date. */
const isDated = ({ issuedAt }: OutsideClaims) => issuedAt.getTime() !== FOREVER.getTime();

/** @throws {ChatError} UNAUTHENTICATED: the person is suspended, or the account is gone. */
async function startOutsideSession(
  deps: Deps,
  userId: string,
  outsideKey: Uint8Array<ArrayBuffer>,
  claims: OutsideClaims,
): Promise<string> {
  const { issuer, expiresAt } = claims;
  const tokensIssuedUntil = isDated(claims) ? claims.issuedAt : null;
  const id = newId();
  // It is renewed elsewhere: hashes of nothing, so that no refresh token fits.
  const [refreshFamilyHash, refreshHash] = [new Uint8Array(randomBytes(32)), new Uint8Array(randomBytes(32))];
  await deps.database.transaction(async (tx) => {
    // Held until the commit: a suspension at the same time either refuses this session or ends it.
    const [user] = await holdPeople(tx, [userId]);
    if (!user) throw unauthenticated('This account has been deleted.');
    if (!isHere(user)) throw unauthenticated('This account is suspended.');
    const data = { id, userId, outsideKey, refreshFamilyHash, refreshHash, expiresAt, tokensIssuedUntil };
    await tx.session.create({ data });
    const ended = await endOldSessions(tx, userId, deps.config.sessionsPerPersonMax, id);
    const details = { by: signedInBy(issuer), ...(ended.length > 0 && { sessionsEnded: ended.length }) };
    await recordActs(tx, { action: 'SIGNED_IN', actor: { userId, sessionId: id }, subjectId: userId, details });
  });
  return id;
}

/** What signs somebody in whom this issuer's tokens are for, as the audit log calls it. */
export const signedInBy = (issuer: string) => (issuer === OWN_ISSUER ? 'SERVICE_KEY' : 'IDENTITY_PROVIDER');
