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
import { auditingDenials } from '../audit/audit.logger.js';
import { type AuditEvent, recordAuditEvents } from '../audit/audit.store.js';
import { refuseTaken, type SignedIn, startSession } from '../session/session.service.js';
import { deviceName, displayName, email, password, username } from '../user/user.input.js';
import { lockUsersForShare, namesOf } from '../user/user.store.js';
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

/**
 * The issuer of external ids: the identity provider if one is configured, so that its users sign in to these accounts.
 */
const issuerOf = ({ config }: Deps) => config.identityProvider?.issuer ?? SERVICE_ISSUER;

/**
 * Creates an account for a user of the backend. Repeating the call with the same `externalId` and the same input
 * returns the account created first. The password is not compared, because it is not stored and may have been changed
 * since.
 * @throws {ChatError} FORBIDDEN; BAD_USER_INPUT; CONFLICT of `input.externalId` or of the field that is taken.
 */
export async function createUser(deps: Deps, viewer: Viewer, input: unknown): Promise<User> {
  const act: AuditEvent = { action: 'ACCOUNT_CREATED', actor: viewer, details: { by: 'SERVICE_KEY' } };
  return auditingDenials(deps, act, () => makeUser(deps, viewer, input, act));
}

async function makeUser(deps: Deps, viewer: Viewer, input: unknown, act: AuditEvent): Promise<User> {
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
      await recordAuditEvents(tx, { ...act, subjectId: id });
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
    // A concurrent call may have created the same account, or another one with the same name.
    const other = await findMade(deps, subject, inputHash);
    if (other) return other;
    if (isUniqueViolation(error)) await refuseTaken(deps, wanted);
    throw error;
  }
}

/**
 * The account created with this external id; throws CONFLICT if it was created with another input or by a first
 * sign-in, or was deleted.
 */
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
 * The account of a user of the backend, even if it was deleted; null if there is none.
 * @throws {ChatError} FORBIDDEN; BAD_USER_INPUT.
 */
export async function findByExternalId(deps: Deps, viewer: Viewer, subject: string): Promise<User | null> {
  checkService(viewer);
  const { success, error } = externalId.safeParse(subject);
  if (!success) throw badInput('externalId', error.issues[0]?.message ?? '');
  return (await findIdentity(deps, subject))?.user ?? null;
}

const access = z.object({ userId: z.string(), deviceName: deviceName.nullish() });

/**
 * Starts a session for a user of the backend, as if the user had signed in. It ends when the service key is replaced,
 * or when the user gets a service-wide role.
 * @param input with `userId` as id of a row.
 * @throws {ChatError} FORBIDDEN; BAD_USER_INPUT; NOT_FOUND of `input.userId`; FORBIDDEN of `input.userId`: the user has
 *   a service-wide role, or is not a user of the backend, such as the account of the service key.
 */
export async function createAccessToken(deps: Deps, viewer: Viewer, input: z.input<typeof access>): Promise<SignedIn> {
  const act: AuditEvent = { action: 'ACCESS_TOKEN_CREATED', actor: viewer, subjectId: input.userId };
  return auditingDenials(deps, act, () => makeAccessToken(deps, viewer, input, act));
}

async function makeAccessToken(
  deps: Deps,
  viewer: Viewer,
  input: z.input<typeof access>,
  act: AuditEvent,
): Promise<SignedIn> {
  checkService(viewer);
  const { userId, deviceName: device } = checkInput(access, input);
  return deps.database.transaction(async (tx) => {
    // Locked, so that a concurrent suspension or change of the role also ends this session.
    const [user] = await lockUsersForShare(tx, [userId]);
    if (!user) throw notFound('input.userId', 'User');
    if (user.serviceRole !== 'USER' || !(await isOfBackend(tx, userId, issuerOf(deps)))) {
      const message =
        'The service key can create sessions only for users that it manages, and not for moderators or admins.';
      throw new ChatError('FORBIDDEN', message, { field: 'input.userId' });
    }
    const signedIn = await startSession(deps, tx, user, device, serviceKey.of(deps)?.hash);
    const sessionId = encodeGlobalId('Session', signedIn.viewer.sessionId);
    const { sessionsEnded } = signedIn;
    await recordAuditEvents(tx, { ...act, details: { sessionId, ...(sessionsEnded > 0 && { sessionsEnded }) } });
    return signedIn;
  });
}

/**
 * Ends the sessions that were started with another service key than the configured one; all of them if none is
 * configured.
 */
export async function endSessionsOfOtherKeys(deps: Deps): Promise<void> {
  const { database, log } = deps;
  const hash = serviceKey.of(deps)?.hash ?? null;
  const count = await database.transaction(async (tx) => {
    const { count } = await tx.session.updateMany({
      where: { endedAt: null, byKeyHash: { not: hash } },
      data: { endedAt: new Date() },
    });
    if (count > 0) await recordAuditEvents(tx, { action: 'KEY_SESSIONS_ENDED', details: { sessionsEnded: count } });
    return count;
  });
  if (count > 0) log.info({ count }, 'sessions of a previous service key ended');
}
