import { ChatError, unauthenticated } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import type { OutsideIdentity, UserKind } from '../../generated/prisma/client.js';
import type { ProviderClaims } from '../../infra/auth/provider-tokens.js';
import { isUniqueViolation } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { recordAuditEvents } from '../audit/audit.store.js';
import { changePerson } from '../conversation/person-change.js';
import { lockUserForUpdate, namesOf } from '../user/user.store.js';
import { recordSettingsChanged } from '../viewer-changes/viewer-changes.events.js';
import { emailFrom, namesFrom, suffixesFor } from './identity-provider.names.js';
import { signedInBy } from './identity-provider.sessions.js';

/**
 * Returns the account of the user whom a verified token identifies. It is created when the first token is used, and
 * updated when the claims change. A failed update is only logged: the user is signed in with the present names, and the
 * next new token retries it.
 * @returns the id of the user.
 * @throws {ChatError} UNAUTHENTICATED: the account was deleted.
 */
export async function accountOf(deps: Deps, claims: ProviderClaims, kind: UserKind = 'PERSON'): Promise<string> {
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
      await updateNames(deps, known, claims).catch((error: unknown) =>
        deps.log.warn({ err: error, userId }, 'profile could not be updated from the identity provider'),
      );
      return userId;
    }
    try {
      return await makeAccount(deps, claims, kind, suffix);
    } catch (error) {
      // The username is taken, or the same user signed in concurrently; the next attempt finds out which.
      if (!isUniqueViolation(error)) throw error;
    }
  }
  throw new ChatError('UNAVAILABLE', 'No free username was found. Try again.');
}

async function makeAccount(deps: Deps, claims: ProviderClaims, kind: UserKind, suffix: string): Promise<string> {
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
    await recordAuditEvents(tx, { action: 'ACCOUNT_CREATED', subjectId: id, details: { by: signedInBy(issuer) } });
  });
  return id;
}

const rememberedOf = ({ username, name, picture, email }: ProviderClaims) => ({
  usernameClaim: username,
  nameClaim: name,
  pictureClaim: picture,
  email: emailFrom(email),
});

/**
 * Updates the user's names from the claims that changed since the previous token, so that changes made here are kept
 * until the same claim changes. Nothing is written if the token is older than the last one processed, or its claims are
 * unchanged or absent. For accounts created by a backend, the claims of the first token are only stored, because the
 * backend has set the names.
 */
async function updateNames(deps: Deps, known: OutsideIdentity, claims: ProviderClaims): Promise<void> {
  const { issuer, subject, userId, usernameClaim, nameClaim, pictureClaim, email, claimsAt } = known;
  const before = { usernameClaim, nameClaim, pictureClaim, email };
  const newest = rememberedOf(claims);
  const after = {
    usernameClaim: newest.usernameClaim ?? usernameClaim,
    nameClaim: newest.nameClaim ?? nameClaim,
    pictureClaim: newest.pictureClaim ?? pictureClaim,
    email: newest.email || email,
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
      // Notifies the members of the user's conversations, as for a change of the profile.
      await changePerson(deps, userId, async (tx) => {
        const user = await lockUserForUpdate(tx, userId);
        if (!user) return null;
        const { count } = await tx.outsideIdentity.updateMany({
          // If another node processes the same token, only the first one makes the change.
          where: { issuer, subject, claimsAt, ...before },
          data: { ...after, claimsAt: claims.issuedAt },
        });
        if (count === 0 || !claimsAt) return null;
        const fields = [
          next.username && next.username !== user.username && 'username',
          after.email !== email && 'email',
        ];
        const changedFields = fields.filter(Boolean).join(' ');
        const details = { fields: changedFields, by: signedInBy(issuer) };
        if (changedFields) await recordAuditEvents(tx, { action: 'ACCOUNT_CHANGED', subjectId: userId, details });
        if (!(next.username ?? next.displayName ?? next.avatarUrl)) {
          if (after.email !== email) recordSettingsChanged(tx, userId);
          return null;
        }
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
