import { z } from 'zod';
import { badInput, ChatError, notFound, unauthenticated } from '../../core/errors.js';
import { encodeGlobalId, newId } from '../../core/ids.js';
import { afterKeyset, type Keyset, type Page, type PageArgs, readPage } from '../../core/page.js';
import { emailKeyOf } from '../../core/text/addresses.js';
import { passwordOf } from '../../core/text/characters.js';
import { isUsername } from '../../core/usernames.js';
import { Prisma, type Session, type User } from '../../generated/prisma/client.js';
import {
  newRefreshToken,
  type RefreshHashes,
  type RefreshToken,
  readRefreshToken,
  sameHash,
} from '../../infra/auth/tokens.js';
import { type Db, isUniqueViolation, type Sql, type Tx } from '../../infra/database/database.js';
import { announceAfterCommit } from '../../infra/database/unit-of-work.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput } from '../../platform/input.js';
import { byAddress, countingFailures, takeAll } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { endedSessions } from '../../realtime/session-watch.js';
import { auditingDenials } from '../audit/audit.logger.js';
import { type AuditEvent, recordAuditEvents } from '../audit/audit.store.js';
import { deviceName, displayName, email, password, passwordSpellings, username } from '../user/user.input.js';
import { isActive } from '../user/user.policy.js';
import { caseKey, lockUsersForShare, namesOf } from '../user/user.store.js';
import { lockCredential, storeNormalized } from './credential.store.js';
import { refreshPerAddress, refreshPerSession, registrationPerAddress, sessionPerAccount } from './session.rates.js';
import { checkPassword, rememberAddress } from './sign-in.attempts.js';

export interface SignedIn {
  accessToken: string;
  accessTokenExpiresAt: Date;
  refreshToken: string;
  viewer: Viewer;
  user: User;
  /** The number of sessions that ended because the user had too many. */
  sessionsEnded: number;
}

const registration = z.object({
  username,
  email,
  password,
  displayName: displayName.nullish(),
  deviceName: deviceName.nullish(),
});

/**
 * Creates an account and signs it in.
 * @throws {ChatError} BAD_USER_INPUT; CONFLICT with the field that is taken; FORBIDDEN: registration is disabled;
 *   RATE_LIMITED.
 */
export async function register(deps: Deps, input: unknown): Promise<SignedIn> {
  const act: AuditEvent = { action: 'ACCOUNT_CREATED', details: { by: 'REGISTRATION' } };
  return auditingDenials(deps, act, () => makeAccount(deps, input, act), {
    FORBIDDEN: 'REGISTRATION_OFF',
    CONFLICT: 'TAKEN',
    RATE_LIMITED: 'RATE_LIMITED',
  });
}

async function makeAccount(deps: Deps, input: unknown, act: AuditEvent): Promise<SignedIn> {
  if (!deps.config.registration) throw new ChatError('FORBIDDEN', 'Registration is disabled on this server.');
  const given = checkInput(registration, input);
  await takeAll(byAddress(registrationPerAddress.of(deps)));
  await refuseTaken(deps, given);
  const passwordHash = await deps.passwords.hash(given.password);
  const names = namesOf({ username: given.username, displayName: given.displayName ?? given.username });
  try {
    const made = await deps.database.transaction(async (tx) => {
      const user = await tx.user.create({
        data: {
          id: newId(),
          ...names,
          credential: { create: { email: given.email, emailKey: emailKeyOf(given.email), passwordHash } },
        },
      });
      const signedIn = await startSession(deps, tx, user, given.deviceName);
      await recordAuditEvents(tx, { ...act, actor: signedIn.viewer, subjectId: user.id });
      return signedIn;
    });
    await rememberAddress(deps, caseKey(given.username), emailKeyOf(given.email));
    return made;
  } catch (error) {
    // A concurrent registration was faster.
    if (isUniqueViolation(error)) await refuseTaken(deps, given);
    throw error;
  }
}

/** Throws CONFLICT with the field that is taken. An email is only checked if it is used to sign in. */
export async function refuseTaken(
  { database }: Deps,
  given: { username: string; email?: string | undefined },
): Promise<void> {
  const [byName, byEmail] = await Promise.all([
    database.db.user.findUnique({ where: { usernameKey: caseKey(given.username) }, select: { id: true } }),
    given.email === undefined
      ? null
      : database.db.credential.findUnique({ where: { emailKey: emailKeyOf(given.email) }, select: { userId: true } }),
  ]);
  if (byName) throw new ChatError('CONFLICT', 'This username is already taken.', { field: 'input.username' });
  if (byEmail) throw new ChatError('CONFLICT', 'This email address is already taken.', { field: 'input.email' });
}

const credentials = z.object({
  usernameOrEmail: z.string().trim(),
  password: z.string(),
  deviceName: deviceName.nullish(),
});

/**
 * Signs a user in.
 * @throws {ChatError} BAD_USER_INPUT without a field, equally for an unknown account and a wrong password; FORBIDDEN:
 *   the password is correct, but the user is suspended; RATE_LIMITED: too many wrong passwords.
 */
export async function login(deps: Deps, input: unknown): Promise<SignedIn> {
  const given = checkInput(credentials, input);
  // Usernames cannot contain an "@", and email addresses do.
  const key = given.usernameOrEmail.includes('@') ? emailKeyOf(given.usernameOrEmail) : caseKey(given.usernameOrEmail);
  const wrong = new ChatError('BAD_USER_INPUT', 'The username, email address or password is incorrect.');
  // Limited by the given name and not by the account, so that the limit does not reveal which address belongs to which
  // name.
  const act: AuditEvent = { action: 'SIGNED_IN', details: { by: 'PASSWORD' } };
  const trying = () => checkPassword(deps, key, wrong, () => signIn(deps, key, given, wrong, act));
  return auditingDenials(deps, act, trying, { RATE_LIMITED: 'RATE_LIMITED' });
}

async function signIn(
  deps: Deps,
  key: string,
  given: z.output<typeof credentials>,
  wrong: ChatError,
  act: AuditEvent,
): Promise<SignedIn> {
  const could = isUsername(key) || email.safeParse(key).success;
  const find = async () =>
    could
      ? deps.database.db.credential.findFirst({
          where: key.includes('@')
            ? { emailKey: key, user: { deletedAt: null } }
            : { user: { usernameKey: key, deletedAt: null } },
          include: { user: true },
        })
      : null;
  const credential = await find();
  const attempt: AuditEvent = { ...act, subjectId: credential?.userId };
  const start = async (found = credential, isLast = false): Promise<SignedIn> => {
    const match = await matchPassword(deps, given.password, found?.passwordHash);
    if (!match || !found) throw wrong;
    if (!isLast) await takeAll([[sessionPerAccount.of(deps), found.userId]]);
    const made = await deps.database.transaction(async (tx) => {
      // The user is locked before the credential, in the same order as by a deletion.
      await lockUsersForShare(tx, [found.userId]);
      // A change of the password ends all sessions; no session with the old password may start afterwards.
      const present = await lockCredential(tx, found, 'SHARE');
      if (present?.passwordHash !== found.passwordHash) return undefined;
      const signedIn = await startSession(deps, tx, found.user, given.deviceName);
      const { sessionsEnded } = signedIn;
      const details = { ...attempt.details, ...(sessionsEnded > 0 && { sessionsEnded }) };
      await recordAuditEvents(tx, { ...attempt, details, actor: signedIn.viewer });
      return signedIn;
    });
    if (!made) {
      // The password was changed, or a concurrent sign-in has replaced a hash that was not normalized; the latter is
      // checked again.
      if (match === 'NORMALIZED' || isLast) throw wrong;
      return start(await find(), true);
    }
    await rememberAddress(deps, found.user.usernameKey, found.emailKey);
    if (match === 'AS_GIVEN') await normalizeHash(deps, found, given.password);
    return made;
  };
  // The given name is not recorded, because it may be a password that was typed into the wrong field.
  return auditingDenials(deps, attempt, () => start(), {
    BAD_USER_INPUT: credential ? 'WRONG_PASSWORD' : 'UNKNOWN_ACCOUNT',
    FORBIDDEN: 'SUSPENDED',
  });
}

/**
 * Checks a password in its normalized spelling and, for hashes from before passwords were normalized, as given. Returns
 * undefined if neither matches. Without a hash it takes equally long.
 */
async function matchPassword(
  { passwords }: Deps,
  text: string,
  hash: string | undefined,
): Promise<'NORMALIZED' | 'AS_GIVEN' | undefined> {
  const spellings = passwordSpellings(text);
  for (const spelling of spellings) {
    if (await passwords.verify(spelling, hash)) return spelling === passwordOf(text) ? 'NORMALIZED' : 'AS_GIVEN';
  }
  // A text that registration rejects cannot be a password; the check still takes as long as for a wrong one.
  if (spellings.length === 0) await passwords.verify('', undefined);
  return undefined;
}

/** Whether this is the password of the hash. Without a hash it takes equally long and returns false. */
export const isPassword = async (deps: Deps, text: string, hash: string | undefined): Promise<boolean> =>
  (await matchPassword(deps, text, hash)) !== undefined;

/** Stores the hash of the normalized password, so that the user can also sign in with another keyboard. */
async function normalizeHash(
  deps: Deps,
  { userId, passwordHash }: { userId: string; passwordHash: string },
  text: string,
): Promise<void> {
  try {
    const { success, data } = password.safeParse(text);
    if (success) await storeNormalized(deps.database.db, userId, passwordHash, await deps.passwords.hash(data));
  } catch (error) {
    // The user is signed in; the next sign-in retries this.
    deps.log.info({ err: error, userId }, 'password could not be rehashed');
  }
}

/**
 * Starts a session with its first tokens. The user is locked until the end of the transaction: a suspension or deletion
 * that commits earlier rejects the session, a later one ends it.
 * @param byKeyHash the hash of the service key, if it starts the session.
 * @throws {ChatError} FORBIDDEN: the user is suspended; UNAUTHENTICATED: the account was deleted.
 */
export async function startSession(
  deps: Deps,
  tx: Tx,
  { id: userId }: Pick<User, 'id'>,
  device: string | null | undefined,
  byKeyHash?: Uint8Array<ArrayBuffer>,
): Promise<SignedIn> {
  const [user] = await lockUsersForShare(tx, [userId]);
  if (!user) throw unauthenticated('This account has been deleted.');
  if (user.suspendedAt) throw new ChatError('FORBIDDEN', 'This account is suspended.');
  const id = newId();
  const refresh = newRefreshToken(id);
  await tx.session.create({
    data: {
      id,
      userId,
      deviceName: device ?? null,
      refreshFamilyHash: refresh.hashes.family,
      refreshHash: refresh.hashes.own,
      byKeyHash: byKeyHash ?? null,
      expiresAt: new Date(Date.now() + deps.config.refreshTokenTtlMs),
    },
  });
  const { length: sessionsEnded } = await endOldSessions(tx, userId, deps.config.sessionsPerPersonMax, id);
  return { ...signedIn(deps, user, id, refresh.token), sessionsEnded };
}

/**
 * Ends the sessions of a user that exceed the maximum, the least recently used first, but never `keptId`.
 * @returns the ids of the ended sessions.
 */
export async function endOldSessions(tx: Tx, userId: string, max: number, keptId: string): Promise<string[]> {
  const rows = await tx.$queryRaw<{ id: string }[]>`
    UPDATE sessions SET ended_at = clock_timestamp()
    WHERE ended_at IS NULL AND id IN (
      SELECT id FROM sessions
      WHERE user_id = ${userId}::uuid AND ended_at IS NULL AND expires_at > clock_timestamp() AND id <> ${keptId}::uuid
      ORDER BY last_used_at DESC, id DESC OFFSET ${max - 1}::int
    )
    RETURNING id::text`;
  const ids = rows.map(({ id }) => id);
  announceAfterCommit(tx, endedSessions, ...ids);
  return ids;
}

/** The payload with new tokens for a session. */
export function signedIn(deps: Deps, user: User, sessionId: string, refreshToken: string): SignedIn {
  const { token, expiresAt } = deps.tokens.signAccess(user.id, sessionId);
  const viewer = { userId: user.id, sessionId, expiresAt };
  return { accessToken: token, accessTokenExpiresAt: expiresAt, refreshToken, viewer, user, sessionsEnded: 0 };
}

/**
 * Returns a new access token and a new refresh token for a refresh token, which becomes invalid. Within REFRESH_GRACE,
 * the same refresh token is returned again unless it was used, because a response can be lost and two tabs can refresh
 * at once. Later use of an old token means that it was stolen, so the session ends.
 * @throws {ChatError} UNAUTHENTICATED; RATE_LIMITED: too many invalid tokens, or one session is refreshed too often.
 */
export async function refreshSession(
  deps: Deps,
  input: { refreshToken?: string | null | undefined },
): Promise<SignedIn> {
  const text = input.refreshToken;
  if (text == null) throw badInput('input.refreshToken', 'A refresh token is required.');
  const refused = unauthenticated('This refresh token is not valid. Sign in again.');
  return countingFailures(
    byAddress(refreshPerAddress.of(deps)),
    (error) => error === refused,
    () => refresh(deps, text, refused),
  );
}

async function refresh(deps: Deps, token: string, refused: ChatError): Promise<SignedIn> {
  const given = readRefreshToken(token);
  if (!given) throw refused;
  const session = await findRefreshable(deps, given);
  if (!session) throw refused;
  // Counted after the token was verified, so that others cannot use up the limit of the session.
  await takeAll([[refreshPerSession.of(deps), session.id]]);
  const [next, ...others] = deps.tokens.successorsOf(given);
  if (sameHash(session.refreshHash, given.hashes.own)) {
    // The condition makes sure that only one of several concurrent calls rotates the token.
    const { count } = await deps.database.db.session.updateMany({
      where: { id: session.id, refreshHash: session.refreshHash, endedAt: null },
      data: refreshed(deps, next.hashes),
    });
    if (count === 1) return signedIn(deps, session.user, session.id, next.token);
  }
  const present = await findRefreshable(deps, given);
  if (!present) throw refused;
  const same = [next, ...others].find(({ hashes }) => sameHash(present.refreshHash, hashes.own));
  if (same && Date.now() - present.lastUsedAt.getTime() < deps.config.refreshGraceMs) {
    return signedIn(deps, present.user, present.id, same.token);
  }
  // It is unknown whether the owner or the thief used the token.
  const { id, userId } = present;
  await endSession(deps, userId, id, {
    action: 'REFRESH_TOKEN_REUSED',
    subjectId: userId,
    details: { sessionId: encodeGlobalId('Session', id) },
  });
  throw refused;
}

/**
 * The session of a refresh token; undefined if it has ended or the token is invalid, which must not end the session.
 */
async function findRefreshable({ database }: Deps, { sessionId, hashes }: RefreshToken) {
  const session = await database.db.session.findUnique({ where: { id: sessionId }, include: { user: true } });
  if (!session || session.endedAt || session.expiresAt <= new Date() || !mayContinue(session)) return undefined;
  return sameHash(session.refreshFamilyHash, hashes.family) ? session : undefined;
}

/** The columns of a session after a refresh. */
export const refreshed = ({ config }: Deps, { family, own }: RefreshHashes) => ({
  refreshFamilyHash: family,
  refreshHash: own,
  lastUsedAt: new Date(),
  expiresAt: new Date(Date.now() + config.refreshTokenTtlMs),
});

/**
 * Ends the viewer's session or another one of theirs. Its live streams end on all nodes.
 * @throws {ChatError} NOT_FOUND: it is not a session of the viewer; FORBIDDEN: it is the session of the service key,
 *   which cannot be ended.
 */
export async function logout(deps: Deps, viewer: Viewer, sessionId = viewer.sessionId): Promise<string> {
  if (viewer.isService && sessionId === viewer.sessionId) {
    throw new ChatError(
      'FORBIDDEN',
      'The session of the service key cannot be ended: it lasts as long as the key is configured.',
    );
  }
  const session = await deps.database.db.session.findUnique({ where: { id: sessionId, userId: viewer.userId } });
  if (!session) throw notFound('input.sessionId', 'Session');
  await endSession(deps, viewer.userId, sessionId, {
    action: 'SESSION_ENDED',
    actor: viewer,
    subjectId: viewer.userId,
    details: { sessionId: encodeGlobalId('Session', sessionId) },
  });
  return sessionId;
}

/** Sessions started with the service key end when their user gets a service-wide role. */
const mayContinue = ({ byKeyHash, user }: Session & { user: User }) =>
  isActive(user) && (byKeyHash === null || user.serviceRole === 'USER');

async function endSession({ database }: Deps, userId: string, sessionId: string, act: AuditEvent): Promise<void> {
  await database.transaction(async (tx) => {
    const ended = await endSessions(tx, userId, { id: sessionId });
    if (ended.length > 0) await recordAuditEvents(tx, act);
  });
}

/** Ends sessions of a user. Their sockets and streams are closed after the commit. Returns the ids of the sessions. */
export async function endSessions(tx: Tx, userId: string, which: Prisma.SessionWhereInput = {}): Promise<string[]> {
  const ended = await tx.session.updateManyAndReturn({
    where: { ...which, userId, endedAt: null },
    data: { endedAt: new Date() },
    select: { id: true },
  });
  const ids = ended.map(({ id }) => id);
  announceAfterCommit(tx, endedSessions, ...ids);
  return ids;
}

/** The users of these sessions, in the same order; null for sessions that have ended. */
export async function findOwners(sql: Sql, ids: readonly string[]): Promise<(string | null)[]> {
  const rows = await sql.query<{ id: string; userId: string }>(Prisma.sql`
    SELECT id::text, user_id::text AS "userId" FROM sessions WHERE id = ANY (${ids}::uuid[]) AND ended_at IS NULL`);
  const owners = new Map(rows.map(({ id, userId }) => [id, userId]));
  return ids.map((id) => owners.get(id) ?? null);
}

/** The active sessions of the viewer, most recently used first: at most SESSIONS_PER_PERSON_MAX. */
export function listSessions({ database, config }: Deps, viewer: Viewer): Promise<Session[]> {
  return findUsable(database.db, viewer, config.sessionsPerPersonMax);
}

/**
 * A page of the active sessions of the viewer, most recently used first.
 * @throws {ChatError} BAD_USER_INPUT of the page's arguments.
 */
export async function pageOfSessions(
  { database, config }: Deps,
  viewer: Viewer,
  args: PageArgs,
): Promise<Page<Session>> {
  return readPage(args, config, {
    name: `sessions:${viewer.userId}`,
    keys: ['date', 'uuid'],
    read: ({ from, size }) => findUsable(database.db, viewer, size + 1, from),
    keysetOf: ({ lastUsedAt, id }) => [lastUsedAt, id],
  });
}

const findUsable = (
  db: Db,
  { userId }: Viewer,
  take: number,
  from?: Keyset<readonly ['date', 'uuid']>,
): Promise<Session[]> =>
  db.session.findMany({
    where: {
      userId,
      endedAt: null,
      expiresAt: { gt: new Date() },
      ...afterKeyset(from, 'lastUsedAt', 'id', 'latest first'),
    },
    orderBy: [{ lastUsedAt: 'desc' }, { id: 'desc' }],
    take,
  });
