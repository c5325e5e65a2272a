import { ChatError, unauthenticated } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import type { OutsideIdentity, UserKind } from '../../generated/prisma/client.js';
import type { OutsideClaims } from '../../infra/auth/outside-tokens.js';
import { isUniqueViolation } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { recordActs } from '../audit/audit.store.js';
import { changePerson } from '../conversation/person-change.js';
import { holdPerson, namesOf } from '../user/user.store.js';
import { emailFrom, namesFrom, suffixesFor } from './outside.names.js';
import { signedInBy } from './outside.sessions.js';

/**
 * The account of somebody whom a checked token is for: made at its first use, and renamed when its claims change. A
 * rename that fails is only logged: they are signed in by the name they have, and the next new token tries again.
 * @returns the id of the user.
 * @throws {ChatError} UNAUTHENTICATED: the account is gone.
 */
export async function accountOf(deps: Deps, claims: OutsideClaims, kind: UserKind = 'PERSON'): Promise<string> {
  const { db } = deps.database;
  const { issuer, subject } = claims;
  for (const suffix of suffixesFor(claims)) {
    const known = await db.outsideIdentity.findUnique({
      where: { issuer_subject: { issuer, subject } },
      include: { user: { select: { deletedAt: true } } },
    });
    if (known?.user.deletedAt) throw unauthenticated('This account has been deleted.');
    if (known) {
      const { userId } = known;
      await renameFromOutside(deps, known, claims).catch((error: unknown) =>
        deps.log.warn({ err: error, userId }, 'profile could not be updated from the identity provider'),
      );
      return userId;
    }
    try {
      return await makeAccount(deps, claims, kind, suffix);
    } catch (error) {
      // The username is somebody else's, or the same person came twice at once: the next turn finds which.
      if (!isUniqueViolation(error)) throw error;
    }
  }
  throw new ChatError('UNAVAILABLE', 'No free username was found. Try again.');
}

async function makeAccount(deps: Deps, claims: OutsideClaims, kind: UserKind, suffix: string): Promise<string> {
  const { issuer, subject, issuedAt } = claims;
  const { username, displayName, avatarUrl } = namesFrom(claims, suffix);
  const called = username ?? namesFrom({ ...claims, username: claims.name }, suffix).username;
  const names = { username: called ?? `user${suffix}`, displayName: displayName ?? called ?? 'User' };
  const id = newId();
  await deps.database.transaction(async (tx) => {
    await tx.outsideIdentity.create({
      data: {
        issuer,
        subject,
        ...rememberedOf(claims),
        claimsAt: issuedAt,
        user: { create: { id, kind, ...namesOf(names), avatarUrl } },
      },
    });
    await recordActs(tx, { action: 'ACCOUNT_CREATED', subjectId: id, details: { by: signedInBy(issuer) } });
  });
  return id;
}

const rememberedOf = ({ username, name, picture, email }: OutsideClaims) => ({
  usernameClaim: username,
  nameClaim: name,
  pictureClaim: picture,
  email: emailFrom(email),
});

/**
 * Takes over what a token says otherwise than the one before: each claim for itself, so that what somebody changed here
 * stays until that very claim changes. A token older than the last one taken over, and one that says the same or
 * nothing, changes nothing and writes nothing. Of an account that a backend made, the first token's claims are only
 * remembered: it is called as the backend said.
 */
async function renameFromOutside(deps: Deps, known: OutsideIdentity, claims: OutsideClaims): Promise<void> {
  const { issuer, subject, userId, usernameClaim, nameClaim, pictureClaim, email, claimsAt } = known;
  const before = { usernameClaim, nameClaim, pictureClaim, email };
  const said = rememberedOf(claims);
  const after = {
    usernameClaim: said.usernameClaim ?? usernameClaim,
    nameClaim: said.nameClaim ?? nameClaim,
    pictureClaim: said.pictureClaim ?? pictureClaim,
    email: said.email || email,
  };
  const isSame = JSON.stringify(after) === JSON.stringify(before);
  if (claimsAt && (isSame || claims.issuedAt < claimsAt)) return;
  const changed = {
    username: after.usernameClaim === usernameClaim ? null : after.usernameClaim,
    name: after.nameClaim === nameClaim ? null : after.nameClaim,
    picture: after.pictureClaim === pictureClaim ? null : after.pictureClaim,
  };
  for (const suffix of suffixesFor(claims)) {
    const next = namesFrom(changed, suffix);
    try {
      // Whoever sees them hears of it, as when they change their profile themselves.
      await changePerson(deps, userId, async (tx) => {
        const user = await holdPerson(tx, userId);
        if (!user) return null;
        const { count } = await tx.outsideIdentity.updateMany({
          // With the same token on another node at once, the first one does it.
          where: { issuer, subject, claimsAt, ...before },
          data: { ...after, claimsAt: claims.issuedAt },
        });
        if (count === 0 || !claimsAt) return null;
        const fields = [
          next.username && next.username !== user.username && 'username',
          after.email !== email && 'email',
        ];
        const told = fields.filter(Boolean).join(' ');
        const details = { fields: told, by: signedInBy(issuer) };
        if (told) await recordActs(tx, { action: 'ACCOUNT_CHANGED', subjectId: userId, details });
        if (!(next.username ?? next.displayName ?? next.avatarUrl)) return null;
        const { username, displayName } = user;
        const names = { username: next.username ?? username, displayName: next.displayName ?? displayName };
        const data = {
          ...((next.username ?? next.displayName) && namesOf(names)),
          ...(next.avatarUrl && { avatarUrl: next.avatarUrl }),
        };
        return tx.user.update({ where: { id: userId }, data });
      });
      return;
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
    }
  }
  throw new ChatError('UNAVAILABLE', 'No free username was found. Try again.');
}
