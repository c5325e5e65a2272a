import { z } from 'zod';
import { badInput, ChatError, notFound } from '../../core/errors.js';
import { encodeGlobalId, newId } from '../../core/ids.js';
import { emailKeyOf } from '../../core/text/addresses.js';
import type { User } from '../../generated/prisma/client.js';
import { sameHash } from '../../infra/auth/tokens.js';
import { SERVICE_ISSUER } from '../../infra/config/issuers.js';
import { isUniqueViolation } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput, hashInput } from '../../platform/input.js';
import type { Viewer } from '../../platform/viewer.js';
import { notingRefusal } from '../audit/audit.notes.js';
import { type Act, recordActs } from '../audit/audit.store.js';
import { refuseTaken, type SignedIn, startSession } from '../session/session.service.js';
import { deviceName, displayName, email, password, username } from '../user/user.input.js';
import { holdPeople, namesOf } from '../user/user.store.js';
import { serviceKey } from './service.key.js';
import { checkService } from './service.policy.js';
import { isOfBackend } from './service.store.js';

const externalId = z
  .string()
  .regex(/^[^\p{Cc}\p{Cs}]{1,128}$/u, 'An externalId must have 1 to 128 characters and no control characters.');

const account = z
  .object({
    username,
    displayName,
    email: email.nullish(),
    externalId,
    kind: z.enum(['PERSON', 'BOT']).nullish(),
    password: password.nullish(),
  })
  .refine((given) => given.password == null || given.email != null, {
    path: ['email'],
    message: 'An account with a password requires an email address.',
  });

/** Whose the externalIds are: the identity provider's, where there is one, so that its people sign in as these accounts. */
const issuerOf = ({ config }: Deps) => config.identityProvider?.issuer ?? SERVICE_ISSUER;

/**
 * Makes an account for one of the backend's own people. The same `externalId` with the same input gives the account that
 * was made first; the password is not compared, as it is kept nowhere and may have been changed since.
 * @throws {ChatError} FORBIDDEN, BAD_USER_INPUT, CONFLICT of `input.externalId` or of what is taken.
 */
export async function createUser(deps: Deps, viewer: Viewer, input: unknown): Promise<User> {
  const act: Act = { action: 'ACCOUNT_CREATED', actor: viewer, details: { by: 'SERVICE_KEY' } };
  return notingRefusal(deps, act, () => makeUser(deps, viewer, input, act));
}

async function makeUser(deps: Deps, viewer: Viewer, input: unknown, act: Act): Promise<User> {
  checkService(viewer);
  const { externalId: subject, kind, ...given } = checkInput(account, input);
  const address = given.email ?? null;
  const inputHash = hashInput(given.username, given.displayName, address, kind ?? 'PERSON');
  const first = await findMade(deps, subject, inputHash);
  if (first) return first;
  const signsIn = given.password == null || address === null ? null : { email: address, password: given.password };
  const wanted = { username: given.username, email: signsIn?.email };
  try {
    await refuseTaken(deps, wanted);
    const credential = signsIn && {
      email: signsIn.email,
      emailKey: emailKeyOf(signsIn.email),
      passwordHash: await deps.passwords.hash(signsIn.password),
    };
    const id = newId();
    return await deps.database.transaction(async (tx) => {
      await recordActs(tx, { ...act, subjectId: id });
      return tx.user.create({
        data: {
          id,
          kind: kind ?? 'PERSON',
          ...namesOf(given),
          outsideIdentities: { create: { issuer: issuerOf(deps), subject, email: address ?? '', inputHash } },
          ...(credential && { credential: { create: credential } }),
        },
      });
    });
  } catch (error) {
    if (!(isUniqueViolation(error) || error instanceof ChatError)) throw error;
    // Two at once: what is taken may have been taken by the same call, or by another one.
    const other = await findMade(deps, subject, inputHash);
    if (other) return other;
    if (isUniqueViolation(error)) await refuseTaken(deps, wanted);
    throw error;
  }
}

/** @throws {ChatError} CONFLICT: it was made of another input, or by a first sign-in, or was deleted. */
async function findMade(deps: Deps, subject: string, inputHash: Uint8Array): Promise<User | undefined> {
  const found = await findIdentity(deps, subject);
  if (!found) return undefined;
  const conflict = (message: string) => new ChatError('CONFLICT', message, { field: 'input.externalId' });
  if (found.user.deletedAt)
    throw conflict('The account with this externalId has been deleted. Use another externalId.');
  if (found.inputHash && sameHash(found.inputHash, inputHash)) return found.user;
  throw conflict('An account with this externalId already exists and was created from different input.');
}

const findIdentity = (deps: Deps, subject: string) =>
  deps.database.db.outsideIdentity.findUnique({
    where: { issuer_subject: { issuer: issuerOf(deps), subject } },
    include: { user: true },
  });

/**
 * The account of one of the backend's own people, also when it was deleted; null where there was none.
 * @throws {ChatError} FORBIDDEN, BAD_USER_INPUT.
 */
export async function findByExternalId(deps: Deps, viewer: Viewer, subject: string): Promise<User | null> {
  checkService(viewer);
  const { success, error } = externalId.safeParse(subject);
  if (!success) throw badInput('externalId', error.issues[0]?.message ?? '');
  return (await findIdentity(deps, subject))?.user ?? null;
}

const access = z.object({ userId: z.string(), deviceName: deviceName.nullish() });

/**
 * A new session for one of the backend's own people, as if they had signed in: it ends when the key is another one, or
 * when they are given a role for the whole service.
 * @param input with `userId` as id of a row.
 * @throws {ChatError} FORBIDDEN; BAD_USER_INPUT; NOT_FOUND of `input.userId`; FORBIDDEN of that: a moderator or an admin
 *   of the service, or none of the backend's people, as the service's own account is none.
 */
export async function createAccessToken(deps: Deps, viewer: Viewer, input: z.input<typeof access>): Promise<SignedIn> {
  const act: Act = { action: 'ACCESS_TOKEN_CREATED', actor: viewer, subjectId: input.userId };
  return notingRefusal(deps, act, () => makeAccessToken(deps, viewer, input, act));
}

async function makeAccessToken(deps: Deps, viewer: Viewer, input: z.input<typeof access>, act: Act): Promise<SignedIn> {
  checkService(viewer);
  const { userId, deviceName: device } = checkInput(access, input);
  return deps.database.transaction(async (tx) => {
    // Held, so that nobody is suspended or given a role without seeing the session.
    const [user] = await holdPeople(tx, [userId]);
    if (!user) throw notFound('input.userId', 'User');
    if (user.serviceRole !== 'USER' || !(await isOfBackend(tx, userId, issuerOf(deps)))) {
      const message =
        'The service key can create sessions only for users that it manages, and not for moderators or admins.';
      throw new ChatError('FORBIDDEN', message, { field: 'input.userId' });
    }
    const signedIn = await startSession(deps, tx, user, device, serviceKey.of(deps)?.hash);
    const sessionId = encodeGlobalId('Session', signedIn.viewer.sessionId);
    const { sessionsEnded } = signedIn;
    await recordActs(tx, { ...act, details: { sessionId, ...(sessionsEnded > 0 && { sessionsEnded }) } });
    return signedIn;
  });
}

/** Ends the sessions that were made with another key than the configured one; all that a key made where there is none. */
export async function endSessionsOfOtherKeys(deps: Deps): Promise<void> {
  const { database, log } = deps;
  const hash = serviceKey.of(deps)?.hash ?? null;
  const count = await database.transaction(async (tx) => {
    const { count } = await tx.session.updateMany({
      where: { endedAt: null, byKeyHash: { not: hash } },
      data: { endedAt: new Date() },
    });
    if (count > 0) await recordActs(tx, { action: 'KEY_SESSIONS_ENDED', details: { sessionsEnded: count } });
    return count;
  });
  if (count > 0) log.info({ count }, 'sessions of a previous service key ended');
}
