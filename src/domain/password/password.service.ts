import { z } from 'zod';
import { badInput, type ChatError, unauthenticated } from '../../core/errors.js';
import { emailKeyOf } from '../../core/text/addresses.js';
import { newRefreshToken, readResetToken } from '../../infra/auth/tokens.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput } from '../../platform/input.js';
import { byAddress, countingFailures, takeAll } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { notingRefusal } from '../audit/audit.notes.js';
import { type Act, recordActs } from '../audit/audit.store.js';
import { lockCredential, storePassword } from '../session/credential.store.js';
import {
  endSessions,
  isPassword,
  refreshed,
  type SignedIn,
  signedIn,
  startSession,
} from '../session/session.service.js';
import { rememberAddress, tryPassword } from '../session/sign-in.tries.js';
import { email, password } from '../user/user.input.js';
import { holdPeople, holdViewer } from '../user/user.store.js';
import { changedMail } from './password.mails.js';
import { passwordResetPerAddress } from './password.rates.js';
import { resetRequests } from './password.requests.js';

const change = z.object({ currentPassword: z.string(), newPassword: password });

/**
 * Changes the viewer's password. Their other sessions end; the present one stays, with new tokens: its old refresh
 * token is no good any more.
 * @throws {ChatError} BAD_USER_INPUT of the current password or the new one; RATE_LIMITED: too many wrong ones.
 */
export async function changePassword(deps: Deps, viewer: Viewer, input: unknown): Promise<SignedIn> {
  const given = checkInput(change, input);
  const act: Act = { action: 'PASSWORD_CHANGED', actor: viewer, subjectId: viewer.userId };
  return notingRefusal(deps, act, () => setPassword(deps, viewer, given, act), {
    BAD_USER_INPUT: 'WRONG_PASSWORD',
    RATE_LIMITED: 'RATE_LIMITED',
  });
}

async function setPassword(deps: Deps, viewer: Viewer, given: z.output<typeof change>, act: Act): Promise<SignedIn> {
  const { userId, sessionId } = viewer;
  const wrong = badInput('input.currentPassword', 'The password is incorrect.');
  const credential = await deps.database.db.credential.findUnique({ where: { userId }, include: { user: true } });
  if (!credential) throw wrong;
  // Whoever has found an open session must not find out the password there.
  await tryPassword(deps, credential.user.usernameKey, wrong, async () => {
    if (!(await isPassword(deps, given.currentPassword, credential.passwordHash))) throw wrong;
  });
  const passwordHash = await deps.passwords.hash(given.newPassword);
  const refresh = newRefreshToken(sessionId);
  await deps.database.transaction(async (tx) => {
    await holdViewer(tx, viewer);
    const present = await lockCredential(tx, { userId }, 'UPDATE');
    // Of several changes at once the first one made this password an old one.
    if (present?.passwordHash !== credential.passwordHash) throw wrong;
    const { count } = await tx.session.updateMany({
      where: { id: sessionId, userId, endedAt: null },
      data: refreshed(deps, refresh.hashes),
    });
    if (count === 0) throw unauthenticated('This session has ended.');
    await storePassword(tx, userId, passwordHash);
    const ended = await endSessions(tx, userId, { id: { not: sessionId } });
    await recordActs(tx, { ...act, details: { sessionsEnded: ended.length } });
  });
  sendNotice(deps, credential.email);
  return signedIn(deps, credential.user, sessionId, refresh.token);
}

const request = z.object({ email });

/**
 * Has a mail sent to this address if it is an account's. Nothing is looked up before it returns: the answer is the same
 * and takes the same time, whoever has an account.
 * @throws {ChatError} BAD_USER_INPUT: not an address. UNAVAILABLE: too many ask at this moment. RATE_LIMITED.
 */
export async function requestPasswordReset(deps: Deps, input: unknown): Promise<{ accepted: true }> {
  const given = checkInput(request, input);
  const act: Act = { action: 'PASSWORD_RESET_REQUESTED' };
  const counted = () => takeAll(byAddress(passwordResetPerAddress.of(deps)));
  await notingRefusal(deps, act, counted, { RATE_LIMITED: 'RATE_LIMITED' });
  resetRequests.of(deps).take(given.email);
  return { accepted: true };
}

const reset = z.object({ token: z.string().trim(), newPassword: password });

/**
 * Sets a new password with the token of a mail, which is used up with that, as all others of the person are; ends all
 * their sessions and begins a new one.
 * @throws {ChatError} BAD_USER_INPUT of the token, alike for an unknown, a used and an expired one; or of the password.
 *   RATE_LIMITED: too many tokens were none.
 */
export async function resetPassword(deps: Deps, input: unknown): Promise<SignedIn> {
  const given = checkInput(reset, input);
  const act: Act = { action: 'PASSWORD_RESET' };
  return notingRefusal(deps, act, () => setForgottenPassword(deps, given, act), {
    BAD_USER_INPUT: 'INVALID_TOKEN',
    FORBIDDEN: 'SUSPENDED',
    RATE_LIMITED: 'RATE_LIMITED',
  });
}

async function setForgottenPassword(deps: Deps, given: z.output<typeof reset>, act: Act): Promise<SignedIn> {
  const refused = badInput('input.token', 'This code is invalid or has expired. Request another email.');
  return countingFailures(
    byAddress(passwordResetPerAddress.of(deps)),
    (error) => error === refused,
    () => resetWith(deps, given, refused, act),
  );
}

async function resetWith(deps: Deps, given: z.output<typeof reset>, refused: ChatError, act: Act): Promise<SignedIn> {
  const tokenHash = readResetToken(given.token);
  if (!tokenHash) throw refused;
  const usable = () => ({ tokenHash, endedAt: null, expiresAt: { gt: new Date() } });
  // Before the costly hash: whoever invents tokens is turned away cheaply.
  const found = await deps.database.db.passwordReset.findFirst({
    where: { ...usable(), user: { deletedAt: null } },
    include: { user: true },
  });
  if (!found) throw refused;
  const { user, userId } = found;
  act.subjectId = userId;
  const passwordHash = await deps.passwords.hash(given.newPassword);
  const done = await deps.database.transaction(async (tx) => {
    // The person before the credential: a deletion locks them in this order.
    await holdPeople(tx, [userId]);
    const account = await lockCredential(tx, { userId }, 'UPDATE');
    // Under the lock: of several that come with it, or with others of the person, at once the first one ended it.
    if (!account || !(await tx.passwordReset.findFirst({ where: usable() }))) throw refused;
    await storePassword(tx, userId, passwordHash);
    const ended = await endSessions(tx, userId);
    const signedIn = await startSession(deps, tx, user, null);
    await recordActs(tx, { ...act, actor: signedIn.viewer, details: { sessionsEnded: ended.length } });
    return { email: account.email, signedIn };
  });
  await rememberAddress(deps, user.usernameKey, emailKeyOf(done.email));
  sendNotice(deps, done.email);
  return done.signedIn;
}

/** Sends the owner of the address a mail that the password has changed; to be called after the commit. */
function sendNotice({ mailer }: Deps, address: string): void {
  mailer.send(changedMail(address, new Date()));
}
