import { randomBytes } from 'node:crypto';
import { ChatError, unauthenticated } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { OWN_ISSUER } from '../../infra/config.js';
import { isUniqueViolation } from '../../infra/database.js';
import type { OutsideClaims } from '../../infra/outside-tokens.js';
import { sha256 } from '../../infra/tokens.js';
import { recordActs } from '../audit/audit.store.js';
import type { Deps } from '../deps.js';

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
    const lastEnd = sessions.find(({ endedAt }) => endedAt !== null)?.endedAt;
    if (lastEnd && claims.issuedAt <= lastEnd) throw unauthenticated('This session was ended.');
    if (alive) {
      // A newer token: for the person who looks through the list of sessions that is its use.
      if (alive.expiresAt < claims.expiresAt) {
        const data = { lastUsedAt: new Date(), expiresAt: claims.expiresAt };
        await db.session.update({ where: { id: alive.id }, data });
      }
      return alive.id;
    }
    try {
      return await startOutsideSession(deps, userId, outsideKey, claims);
    } catch (error) {
      // Twice at once: the other one is it.
      if (!isUniqueViolation(error)) throw error;
    }
  }
  throw new ChatError('UNAVAILABLE', 'This session is being ended and begun at this moment.');
}

async function startOutsideSession(
  { database }: Deps,
  userId: string,
  outsideKey: Uint8Array<ArrayBuffer>,
  { issuer, expiresAt }: OutsideClaims,
): Promise<string> {
  const id = newId();
  // It is renewed elsewhere: hashes of nothing, so that no refresh token fits.
  const [refreshFamilyHash, refreshHash] = [new Uint8Array(randomBytes(32)), new Uint8Array(randomBytes(32))];
  await database.transaction(async (tx) => {
    await tx.session.create({ data: { id, userId, outsideKey, refreshFamilyHash, refreshHash, expiresAt } });
    const details = { by: signedInBy(issuer) };
    await recordActs(tx, { action: 'SIGNED_IN', actor: { userId, sessionId: id }, subjectId: userId, details });
  });
  return id;
}

/** What signs somebody in whom this issuer's tokens are for, as the audit log calls it. */
export const signedInBy = (issuer: string) => (issuer === OWN_ISSUER ? 'SERVICE_KEY' : 'IDENTITY_PROVIDER');
