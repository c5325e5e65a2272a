import { z } from 'zod';
import { badInput, type ChatError, unauthenticated } from '../../core/errors.js';
import { emailKeyOf } from '../../core/text/addresses.js';
import { newRefreshToken, readResetToken } from '../../infra/auth/tokens.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput } from '../../platform/input.js';
import { byAddress, countingFailures, takeAll } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { auditingDenials } from '../audit/audit.logger.js';
import { type AuditEvent, recordAuditEvents } from '../audit/audit.store.js';
import { lockCredential, storePassword } from '../session/credential.store.js';
import {
  endSessions,
  isPassword,
  refreshed,
  type SignedIn,
  signedIn,
  startSession,
} from '../session/session.service.js';
import { checkPassword, rememberAddress } from '../session/sign-in.attempts.js';
import { email, password } from '../user/user.input.js';
import { lockUsersForShare, requireActiveViewer } from '../user/user.store.js';
import { changedMail } from './password.mails.js';
import { passwordResetPerAddress } from './password.rates.js';
import { resetRequests } from './password.requests.js';

const change = z.object({ currentPassword: z.string(), newPassword: password });

/**
 * Changes the viewer's password. All other sessions end. The current one continues with new tokens; its previous
 * refresh token becomes invalid.
 * @throws {ChatError} BAD_USER_INPUT of the current or the new password; RATE_LIMITED: too many wrong passwords.
 */
export async function changePassword(deps: Deps, viewer: Viewer, input: unknown): Promise<SignedIn> {
  const given = checkInput(change, input);
  const act: AuditEvent = { action: 'PASSWORD_CHANGED', actor: viewer, subjectId: viewer.userId };
  return auditingDenials(deps, act, () => setPassword(deps, viewer, given, act), {
    BAD_USER_INPUT: 'WRONG_PASSWORD',
    RATE_LIMITED: 'RATE_LIMITED',
  });
}

async function setPassword(
  deps: Deps,
  viewer: Viewer,
  given: z.output<typeof change>,
  act: AuditEvent,
): Promise<SignedIn> {
  const { userId, sessionId } = viewer;
  const wrong = badInput('input.currentPassword', 'The password is incorrect.');
  const credential = await deps.database.db.credential.findUnique({ where: { userId }, include: { user: true } });
  if (!credential) throw wrong;
  // Limited, so that somebody who has access to an open session cannot guess the password.
  await checkPassword(deps, credential.user.usernameKey, wrong, async () => {
    if (!(await isPassword(deps, given.currentPassword, credential.passwordHash))) throw wrong;
  });
  const passwordHash = await deps.passwords.hash(given.newPassword);
  const refresh = newRefreshToken(sessionId);
  await deps.database.transaction(async (tx) => {
    await requireActiveViewer(tx, viewer);
    const present = await lockCredential(tx, { userId }, 'UPDATE');
    // A concurrent change has replaced the password that was checked.
    if (present?.passwordHash !== credential.passwordHash) throw wrong;
    const { count } = await tx.session.updateMany({
      where: { id: sessionId, userId, endedAt: null },
      data: refreshed(deps, refresh.hashes),
    });
    if (count === 0) throw unauthenticated('This session has ended.');
    await storePassword(tx, userId, passwordHash);
    const ended = await endSessions(tx, userId, { id: { not: sessionId } });
    await recordAuditEvents(tx, { ...act, details: { sessionsEnded: ended.length } });
  });
  sendNotice(deps, credential.email);
  return signedIn(deps, credential.user, sessionId, refresh.token);
}

const request = z.object({ email });

/**
 * Sends an email with a token to this address if an account has it. The address is looked up after the call has
 * returned, so that neither the response nor its time reveals whether an account exists.
 * @throws {ChatError} BAD_USER_INPUT: it is not an email address; UNAVAILABLE: too many requests are queued;
 *   RATE_LIMITED.
 */
export async function requestPasswordReset(deps: Deps, input: unknown): Promise<{ accepted: true }> {
  const given = checkInput(request, input);
  const act: AuditEvent = { action: 'PASSWORD_RESET_REQUESTED' };
  const counted = () => takeAll(byAddress(passwordResetPerAddress.of(deps)));
  await auditingDenials(deps, act, counted, { RATE_LIMITED: 'RATE_LIMITED' });
  resetRequests.of(deps).take(given.email);
  return { accepted: true };
}

const reset = z.object({ token: z.string().trim(), newPassword: password });

/**
 * Sets a new password with the token from an email. This invalidates all tokens of the user, ends all sessions and
 * starts a new one.
 * @throws {ChatError} BAD_USER_INPUT of the token, equally if it is unknown, used or expired, or of the password;
 *   RATE_LIMITED: too many invalid tokens.
 */
export async function resetPassword(deps: Deps, input: unknown): Promise<SignedIn> {
  const given = checkInput(reset, input);
  const act: AuditEvent = { action: 'PASSWORD_RESET' };
  return auditingDenials(deps, act, () => setForgottenPassword(deps, given, act), {
    BAD_USER_INPUT: 'INVALID_TOKEN',
    FORBIDDEN: 'SUSPENDED',
    RATE_LIMITED: 'RATE_LIMITED',
  });
}

async function setForgottenPassword(deps: Deps, given: z.output<typeof reset>, act: AuditEvent): Promise<SignedIn> {
  const refused = badInput('input.token', 'This code is invalid or has expired. Request another email.');
  return countingFailures(
    byAddress(passwordResetPerAddress.of(deps)),
    (error) => error === refused,
    () => resetWith(deps, given, refused, act),
  );
}

async function resetWith(
  deps: Deps,
  given: z.output<typeof reset>,
  refused: ChatError,
  act: AuditEvent,
): Promise<SignedIn> {
  const tokenHash = readResetToken(given.token);
  if (!tokenHash) throw refused;
  const usable = () => ({ tokenHash, endedAt: null, expiresAt: { gt: new Date() } });
  // Checked before the expensive hash, so that invalid tokens cost little.
  const found = await deps.database.db.passwordReset.findFirst({
    where: { ...usable(), user: { deletedAt: null } },
    include: { user: true },
  });
  if (!found) throw refused;
  const { user, userId } = found;
  act.subjectId = userId;
  const passwordHash = await deps.passwords.hash(given.newPassword);
  const done = await deps.database.transaction(async (tx) => {
    // The user is locked before the credential, in the same order as by a deletion.
    await lockUsersForShare(tx, [userId]);
    const account = await lockCredential(tx, { userId }, 'UPDATE');
    // Checked under the lock: only the first of several concurrent resets succeeds.
    if (!account || !(await tx.passwordReset.findFirst({ where: usable() }))) throw refused;
    await storePassword(tx, userId, passwordHash);
    const ended = await endSessions(tx, userId);
    const signedIn = await startSession(deps, tx, user, null);
    await recordAuditEvents(tx, { ...act, actor: signedIn.viewer, details: { sessionsEnded: ended.length } });
    return { email: account.email, signedIn };
  });
  await rememberAddress(deps, user.usernameKey, emailKeyOf(done.email));
  sendNotice(deps, done.email);
  return done.signedIn;
}

/** Notifies the owner by email that the password was changed; to be called after the commit. */
function sendNotice({ mailer }: Deps, address: string): void {
  mailer.send(changedMail(address, new Date()));
}
