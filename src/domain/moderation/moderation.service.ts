import { ChatError, notFound } from '../../core/errors.js';
import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import type { Db, Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { notingRefusal } from '../audit/audit.notes.js';
import { type Act, type Actor, recordActs } from '../audit/audit.store.js';
import { recordUpdate } from '../conversation/person-updates.store.js';
import { recordRelationshipChanges } from '../relationship/relationship.store.js';
import { refuseServiceAccount } from '../service/service.policy.js';
import { endSessions } from '../session/session.service.js';
import { canModerateService, canSetServiceRole, canSuspend, type ServiceRole } from '../user/service-role.policy.js';
import { holdPerson, holdViewer, readServiceRole } from '../user/user.store.js';
import { isLastAdmin, listSuspended, type User } from './moderation.store.js';

const forbidden = (message: string) => new ChatError('FORBIDDEN', message);

/**
 * Suspends somebody: their sessions end at once, they cannot sign in, and nobody can write to them in direct
 * conversations. Who is suspended already stays so.
 * @throws {ChatError} NOT_FOUND of `input.userId`; FORBIDDEN: not the viewer's to suspend, or the service's own account.
 */
export async function suspendUser(deps: Deps, viewer: Viewer, userId: string): Promise<User> {
  return setSuspended(deps, viewer, userId, true);
}

/**
 * Lets somebody in again; who is not suspended stays so.
 * @throws {ChatError} NOT_FOUND of `input.userId`; FORBIDDEN: not the viewer's to let in.
 */
export async function unsuspendUser(deps: Deps, viewer: Viewer, userId: string): Promise<User> {
  return setSuspended(deps, viewer, userId, false);
}

/** @throws {ChatError} FORBIDDEN */
async function mayModerate(db: Db | Tx, viewer: Viewer, message: string): Promise<ServiceRole> {
  const own = await readServiceRole(db, viewer);
  if (!canModerateService(own)) throw forbidden(message);
  return own;
}

async function setSuspended(deps: Deps, viewer: Viewer, userId: string, suspended: boolean): Promise<User> {
  const action = suspended ? 'USER_SUSPENDED' : 'USER_UNSUSPENDED';
  const act: Act = { action, actor: viewer, subjectId: userId };
  return notingRefusal(deps, act, () => changeSuspended(deps, viewer, userId, suspended, act));
}

async function changeSuspended(
  deps: Deps,
  viewer: Viewer,
  userId: string,
  suspended: boolean,
  act: Act,
): Promise<User> {
  // Asked before anything is locked, for anyone may try.
  await mayModerate(deps.database.db, viewer, 'Only moderators and admins can suspend users.');
  return deps.database.transaction(async (tx) => {
    await holdViewer(tx, viewer);
    const own = await mayModerate(tx, viewer, 'Only moderators and admins can suspend users.');
    const person = await holdPerson(tx, userId);
    if (!person) throw notFound('input.userId', 'User');
    if (!canSuspend(own, person.serviceRole)) throw forbidden('You are not allowed to suspend this user.');
    if (suspended) await refuseServiceAccount(tx, userId);
    if ((person.suspendedAt !== null) === suspended) return person;
    const user = await tx.user.update({
      where: { id: userId },
      data: { suspendedAt: suspended ? new Date() : null },
    });
    const ended = suspended ? await endSessions(tx, userId) : [];
    await recordActs(tx, { ...act, details: suspended ? { sessionsEnded: ended.length } : {} });
    await recordRelationshipChanges(tx, [{ userId, type: null, aboutId: null }]);
    await recordUpdate(tx, userId, 'CONVERSATION_UPDATED');
    return user;
  });
}

/**
 * Makes somebody a moderator or an admin of the service, or neither.
 * @throws {ChatError} NOT_FOUND of `input.userId`; FORBIDDEN: the viewer is no admin, or it is the service's own account;
 *   CONFLICT of `input.role`: the only admin, or `input.userId`: suspended.
 */
export async function setServiceRole(
  deps: Deps,
  viewer: Viewer,
  input: { userId: string; role: ServiceRole },
): Promise<User> {
  const { userId: subjectId, role: to } = input;
  const asked: Act = { action: 'SERVICE_ROLE_CHANGED', actor: viewer, subjectId, details: { role: to } };
  return notingRefusal(deps, asked, () =>
    deps.database.transaction((tx) =>
      giveServiceRole(tx, viewer, input, async () => {
        const own = await readServiceRole(tx, viewer);
        if (!canSetServiceRole(own)) throw forbidden('Only admins can change the roles of users.');
      }),
    ),
  );
}

/** The same, with another check of who does it, made when all admins are held. Without `actor`: by a command. */
export async function giveServiceRole(
  tx: Tx,
  actor: Actor | undefined,
  { userId, role }: { userId: string; role: ServiceRole },
  check: () => Promise<void>,
): Promise<User> {
  const isLast = await isLastAdmin(tx, userId);
  await check();
  const person = await holdPerson(tx, userId);
  if (!person) throw notFound('input.userId', 'User');
  // Its key would moderate with it.
  if (role !== 'USER') await refuseServiceAccount(tx, userId);
  if (role !== 'ADMIN' && isLast) {
    throw new ChatError('CONFLICT', 'The service must have at least one admin. Make another user an admin first.', {
      field: 'input.role',
    });
  }
  if (role !== 'USER' && person.suspendedAt) {
    throw new ChatError('CONFLICT', 'This user is suspended.', { field: 'input.userId' });
  }
  if (person.serviceRole !== role) {
    const details = { role: { from: person.serviceRole, to: role }, by: actor ? undefined : 'COMMAND' };
    await recordActs(tx, { action: 'SERVICE_ROLE_CHANGED', actor, subjectId: userId, details });
  }
  return tx.user.update({ where: { id: userId }, data: { serviceRole: role } });
}

/**
 * Who is suspended, the latest first.
 * @throws {ChatError} FORBIDDEN; BAD_USER_INPUT of the page's arguments.
 */
export async function pageOfSuspended({ database, config }: Deps, viewer: Viewer, args: PageArgs): Promise<Page<User>> {
  await mayModerate(database.db, viewer, 'Only moderators and admins can list suspended users.');
  const list = 'suspended';
  const page = readPageArgs(list, args, ['date', 'uuid'], config);
  const rows = await listSuspended(database.db, page);
  return toPage(list, page, rows, ({ suspendedAt, id }) => [suspendedAt ?? new Date(0), id]);
}
