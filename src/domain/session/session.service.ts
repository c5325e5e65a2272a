import { z } from 'zod';
import { badInput, ChatError, notFound, unauthenticated } from '../../core/errors.js';
import { encodeGlobalId, newId } from '../../core/ids.js';
import { behind, type Keyset, type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
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
import { notingRefusal } from '../audit/audit.notes.js';
import { type Act, recordActs } from '../audit/audit.store.js';
import { deviceName, displayName, email, password, passwordSpellings, username } from '../user/user.input.js';
import { isHere } from '../user/user.policy.js';
import { caseKey, holdPeople, namesOf } from '../user/user.store.js';
import { lockCredential, storeNormalized } from './credential.store.js';
import { refreshPerAddress, refreshPerSession, registrationPerAddress, sessionPerAccount } from './session.rates.js';
import { rememberAddress, tryPassword } from './sign-in.tries.js';

export interface SignedIn {
  accessToken: string;
  accessTokenExpiresAt: Date;
  refreshToken: string;
  viewer: Viewer;
  user: User;
  /** How many sessions ended because the person had too many. */
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
 * Makes an account and signs it in.
 * @throws {ChatError} BAD_USER_INPUT, or CONFLICT with the field that is taken; FORBIDDEN where registration is off;
 *   RATE_LIMITED.
 */
export async function register(deps: Deps, input: unknown): Promise<SignedIn> {
  const act: Act = { action: 'ACCOUNT_CREATED', details: { by: 'REGISTRATION' } };
  return notingRefusal(deps, act, () => makeAccount(deps, input, act), {
    FORBIDDEN: 'REGISTRATION_OFF',
    CONFLICT: 'TAKEN',
    RATE_LIMITED: 'RATE_LIMITED',
  });
}

async function makeAccount(deps: Deps, input: unknown, act: Act): Promise<SignedIn> {
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
      await recordActs(tx, { ...act, actor: signedIn.viewer, subjectId: user.id });
      return signedIn;
    });
    await rememberAddress(deps, caseKey(given.username), emailKeyOf(given.email));
    return made;
  } catch (error) {
    // Two at once: the other came first.
    if (isUniqueViolation(error)) await refuseTaken(deps, given);
    throw error;
  }
}

/** @throws {ChatError} CONFLICT with the field that is taken; an email counts only where it is to be signed in with. */
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
 * @throws {ChatError} BAD_USER_INPUT without a field, alike for an unknown account and a wrong password; FORBIDDEN: right,
 *   but suspended; RATE_LIMITED: too many wrong ones before it.
 */
export async function login(deps: Deps, input: unknown): Promise<SignedIn> {
  const given = checkInput(credentials, input);
  // No username holds an "@" and every email does.
  const key = given.usernameOrEmail.includes('@') ? emailKeyOf(given.usernameOrEmail) : caseKey(given.usernameOrEmail);
  const wrong = new ChatError('BAD_USER_INPUT', 'The username, email address or password is incorrect.');
  // By what was given and not by whose it is: how often a name may be tried says nothing of an address.
  const act: Act = { action: 'SIGNED_IN', details: { by: 'PASSWORD' } };
  const trying = () => tryPassword(deps, key, wrong, () => signIn(deps, key, given, wrong, act));
  return notingRefusal(deps, act, trying, { RATE_LIMITED: 'RATE_LIMITED' });
}

async function signIn(
  deps: Deps,
  key: string,
  given: z.output<typeof credentials>,
  wrong: ChatError,
  act: Act,
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
  const attempt: Act = { ...act, subjectId: credential?.userId };
  const start = async (found = credential, isLast = false): Promise<SignedIn> => {
    const match = await matchPassword(deps, given.password, found?.passwordHash);
    if (!match || !found) throw wrong;
    if (!isLast) await takeAll([[sessionPerAccount.of(deps), found.userId]]);
    const made = await deps.database.transaction(async (tx) => {
      // The person before the credential: a deletion locks them in this order.
      await holdPeople(tx, [found.userId]);
      // A change of the password ends the sessions that there are; none of the old one may come after it.
      const present = await lockCredential(tx, found, 'SHARE');
      if (present?.passwordHash !== found.passwordHash) return undefined;
      const signedIn = await startSession(deps, tx, found.user, given.deviceName);
      const { sessionsEnded } = signedIn;
      const details = { ...attempt.details, ...(sessionsEnded > 0 && { sessionsEnded }) };
      await recordActs(tx, { ...attempt, details, actor: signedIn.viewer });
      return signedIn;
    });
    if (!made) {
      // Changed meanwhile; or it was not normalized, and another sign-in has hashed it anew: that is looked at once.
      if (match === 'NORMALIZED' || isLast) throw wrong;
      return start(await find(), true);
    }
    await rememberAddress(deps, found.user.usernameKey, found.emailKey);
    if (match === 'AS_GIVEN') await normalizeHash(deps, found, given.password);
    return made;
  };
  // What was given for a name is not kept: it may be the password, in the wrong field.
  return notingRefusal(deps, attempt, () => start(), {
    BAD_USER_INPUT: credential ? 'WRONG_PASSWORD' : 'UNKNOWN_ACCOUNT',
    FORBIDDEN: 'SUSPENDED',
  });
}

/**
 * Whether this is the password that was hashed, by its normalized spelling or, as passwords were hashed once, as it is
 * given; undefined where it is neither. Without a hash it takes the same time.
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
  // What registration would refuse can be nobody's password: it takes the time of one that is wrong.
  if (spellings.length === 0) await passwords.verify('', undefined);
  return undefined;
}

/** Whether this is the password that was hashed; without a hash it takes the same time and says no. */
export const isPassword = async (deps: Deps, text: string, hash: string | undefined): Promise<boolean> =>
  (await matchPassword(deps, text, hash)) !== undefined;

/** Whoever signs in with another keyboard the next time is to be let in as well. */
async function normalizeHash(
  deps: Deps,
  { userId, passwordHash }: { userId: string; passwordHash: string },
  text: string,
): Promise<void> {
  try {
    const { success, data } = password.safeParse(text);
    if (success) await storeNormalized(deps.database.db, userId, passwordHash, await deps.passwords.hash(data));
  } catch (error) {
    // They are signed in. The next time tries again.
    deps.log.info({ err: error, userId }, 'password could not be rehashed');
  }
}

/**
 * A new session for somebody, with its first tokens. The person is read under a lock that lasts until the transaction
 * ends: a suspension or a deletion that commits first refuses it, a later one ends it.
 * @param byKeyHash of the service key, where that makes it.
 * @throws {ChatError} FORBIDDEN: the person is suspended. UNAUTHENTICATED: the account is gone.
 */
export async function startSession(
  deps: Deps,
  tx: Tx,
  { id: userId }: Pick<User, 'id'>,
  device: string | null | undefined,
  byKeyHash?: Uint8Array<ArrayBuffer>,
): Promise<SignedIn> {
  const [user] = await holdPeople(tx, [userId]);
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
 * Ends those of a person's sessions that are too many, the ones that were not used for longest first; never `keptId`.
 * @returns which these are.
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

/** New tokens for a session. */
export function signedIn(deps: Deps, user: User, sessionId: string, refreshToken: string): SignedIn {
  const { token, expiresAt } = deps.tokens.signAccess(user.id, sessionId);
  const viewer = { userId: user.id, sessionId, expiresAt };
  return { accessToken: token, accessTokenExpiresAt: expiresAt, refreshToken, viewer, user, sessionsEnded: 0 };
}

/**
 * A new access token and a new refresh token for the one given, which is used up with that. Within REFRESH_GRACE it gives
 * the same refresh token again, as long as that one was not used: an answer may be lost, and two tabs ask at once. One
 * that comes back later was stolen or is the thief's, so it ends its session.
 * @throws {ChatError} UNAUTHENTICATED; RATE_LIMITED: too many were refused, or one session is refreshed too often.
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
  // By now it is theirs: nobody else uses up what a session may.
  await takeAll([[refreshPerSession.of(deps), session.id]]);
  const [next, ...others] = deps.tokens.successorsOf(given);
  if (sameHash(session.refreshHash, given.hashes.own)) {
    // Only one of several that come with the same token at once may rotate it: the condition decides.
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
  // Whoever came with it: nobody knows which of the two that is.
  const { id, userId } = present;
  await endSession(deps, userId, id, {
    action: 'REFRESH_TOKEN_REUSED',
    subjectId: userId,
    details: { sessionId: encodeGlobalId('Session', id) },
  });
  throw refused;
}

/** The session that a token is of; undefined when it is over, or the token was invented: that must not end it. */
async function findRefreshable({ database }: Deps, { sessionId, hashes }: RefreshToken) {
  const session = await database.db.session.findUnique({ where: { id: sessionId }, include: { user: true } });
  if (!session || session.endedAt || session.expiresAt <= new Date() || !canGoOn(session)) return undefined;
  return sameHash(session.refreshFamilyHash, hashes.family) ? session : undefined;
}

/** What a session becomes with a new refresh token. */
export const refreshed = ({ config }: Deps, { family, own }: RefreshHashes) => ({
  refreshFamilyHash: family,
  refreshHash: own,
  lastUsedAt: new Date(),
  expiresAt: new Date(Date.now() + config.refreshTokenTtlMs),
});

/**
 * Ends the viewer's session, or another one of theirs; its live streams end everywhere.
 * @throws {ChatError} NOT_FOUND: no session of the viewer's; FORBIDDEN: that of the service key, which has no end.
 */
export async function logout(deps: Deps, viewer: Viewer, sessionId = viewer.sessionId): Promise<string> {
  if (viewer.isService && sessionId === viewer.sessionId) {
    throw new ChatError('FORBIDDEN', 'The session of the service key lasts as long as the key is configured.');
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

/** The service key signs in nobody who moderates the service: nor does what it made before go on then. */
const canGoOn = ({ byKeyHash, user }: Session & { user: User }) =>
  isHere(user) && (byKeyHash === null || user.serviceRole === 'USER');

async function endSession({ database }: Deps, userId: string, sessionId: string, act: Act): Promise<void> {
  await database.transaction(async (tx) => {
    const ended = await endSessions(tx, userId, { id: sessionId });
    if (ended.length > 0) await recordActs(tx, act);
  });
}

/** Ends a person's sessions, whose sockets and streams close after the commit. @returns which sessions these are. */
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

/** Whose these sessions are that have not ended, in their order; null of the others. */
export async function findOwners(sql: Sql, ids: readonly string[]): Promise<(string | null)[]> {
  const rows = await sql.query<{ id: string; userId: string }>(Prisma.sql`
    SELECT id::text, user_id::text AS "userId" FROM sessions WHERE id = ANY (${ids}::uuid[]) AND ended_at IS NULL`);
  const owners = new Map(rows.map(({ id, userId }) => [id, userId]));
  return ids.map((id) => owners.get(id) ?? null);
}

/** The viewer's sessions that can still be used, latest used first: at most SESSIONS_PER_PERSON_MAX. */
export function listSessions({ database, config }: Deps, viewer: Viewer): Promise<Session[]> {
  return findUsable(database.db, viewer, config.sessionsPerPersonMax);
}

/**
 * A page of the viewer's sessions that can still be used, latest used first.
 * @throws {ChatError} BAD_USER_INPUT of the page's arguments.
 */
export async function pageOfSessions(
  { database, config }: Deps,
  viewer: Viewer,
  args: PageArgs,
): Promise<Page<Session>> {
  const list = `sessions:${viewer.userId}`;
  const page = readPageArgs(list, args, ['date', 'uuid'], config);
  const rows = await findUsable(database.db, viewer, page.size + 1, page.from);
  return toPage(list, page, rows, ({ lastUsedAt, id }) => [lastUsedAt, id]);
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
      ...behind(from, 'lastUsedAt', 'id', 'latest first'),
    },
    orderBy: [{ lastUsedAt: 'desc' }, { id: 'desc' }],
    take,
  });
