import { ChatError, notFound } from '../../core/errors.js';
import { type Page, type PageArgs, readPage } from '../../core/page.js';
import type { Db, Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { auditingDenials } from '../audit/audit.logger.js';
import { type Actor, type AuditEvent, recordAuditEvents } from '../audit/audit.store.js';
import { recordUpdate } from '../conversation/person-updates.store.js';
import { recordRelationshipChanges } from '../relationship/relationship.store.js';
import { refuseServiceAccount } from '../service/service.policy.js';
import { endSessions } from '../session/session.service.js';
import { canModerateService, canSetServiceRole, canSuspend, type ServiceRole } from '../user/service-role.policy.js';
import { lockUserForUpdate, readServiceRole, requireActiveViewer } from '../user/user.store.js';
import { recordSettingsChanged } from '../viewer-changes/viewer-changes.events.js';
import { isLastAdmin, listSuspended, type User } from './moderation.store.js';

const forbidden = (message: string) => new ChatError('FORBIDDEN', message);

/**
 * Suspends a user: their sessions end at once, they cannot sign in, and nobody can send them direct messages.
 * Idempotent.
 * @throws {ChatError} NOT_FOUND of `input.userId`; FORBIDDEN: the viewer must not suspend this user, or it is the
 *   account of the service key.
 */
export async function suspendUser(deps: Deps, viewer: Viewer, userId: string): Promise<User> {
  return setSuspended(deps, viewer, userId, true);
}

/**
 * Reinstates a suspended user. Idempotent.
 * @throws {ChatError} NOT_FOUND of `input.userId`; FORBIDDEN: the viewer must not reinstate this user.
 */
export async function unsuspendUser(deps: Deps, viewer: Viewer, userId: string): Promise<User> {
  return setSuspended(deps, viewer, userId, false);
}

/** Returns the viewer's role. Throws FORBIDDEN if the viewer is not a moderator. */
async function mayModerate(db: Db | Tx, viewer: Viewer, message: string): Promise<ServiceRole> {
  const own = await readServiceRole(db, viewer);
  if (!canModerateService(own)) throw forbidden(message);
  return own;
}

async function setSuspended(deps: Deps, viewer: Viewer, userId: string, suspended: boolean): Promise<User> {
  const action = suspended ? 'USER_SUSPENDED' : 'USER_UNSUSPENDED';
  const act: AuditEvent = { action, actor: viewer, subjectId: userId };
  return auditingDenials(deps, act, () => changeSuspended(deps, viewer, userId, suspended, act));
}

async function changeSuspended(
  deps: Deps,
  viewer: Viewer,
  userId: string,
  suspended: boolean,
  act: AuditEvent,
): Promise<User> {
  // Checked before rows are locked, because anyone can call this.
  await mayModerate(deps.database.db, viewer, 'Only moderators and admins of the service can suspend users.');
  return deps.database.transaction(async (tx) => {
    await requireActiveViewer(tx, viewer);
    const own = await mayModerate(tx, viewer, 'Only moderators and admins of the service can suspend users.');
    const person = await lockUserForUpdate(tx, userId);
    if (!person) throw notFound('input.userId', 'User');
    if (!canSuspend(own, person.serviceRole)) throw forbidden('You are not allowed to suspend this user.');
    if (suspended) await refuseServiceAccount(tx, userId);
    if ((person.suspendedAt !== null) === suspended) return person;
    const user = await tx.user.update({
      where: { id: userId },
      data: { suspendedAt: suspended ? new Date() : null },
    });
    const ended = suspended ? await endSessions(tx, userId) : [];
    await recordAuditEvents(tx, { ...act, details: suspended ? { sessionsEnded: ended.length } : {} });
    await recordRelationshipChanges(tx, [{ userId, type: null, aboutId: null }]);
    await recordUpdate(tx, userId, 'CONVERSATION_UPDATED');
    return user;
  });
}

/**
 * Sets the service-wide role of a user.
 * @throws {ChatError} NOT_FOUND of `input.userId`; FORBIDDEN: the viewer is not an admin, or it is the account of the
 *   service key; CONFLICT of `input.role`: the user is the only admin, or of `input.userId`: the user is suspended.
 */
export async function setServiceRole(
  deps: Deps,
  viewer: Viewer,
  input: { userId: string; role: ServiceRole },
): Promise<User> {
  const { userId: subjectId, role: to } = input;
  const event: AuditEvent = { action: 'SERVICE_ROLE_CHANGED', actor: viewer, subjectId, details: { role: to } };
  return auditingDenials(deps, event, () =>
    deps.database.transaction((tx) =>
      giveServiceRole(tx, viewer, input, async () => {
        const own = await readServiceRole(tx, viewer);
        if (!canSetServiceRole(own)) throw forbidden('Only admins of the service can change the roles of users.');
      }),
    ),
  );
}

/**
 * Sets the role after `check`, which runs while the rows of all admins are locked. `actor` is undefined for commands.
 */
export async function giveServiceRole(
  tx: Tx,
  actor: Actor | undefined,
  { userId, role }: { userId: string; role: ServiceRole },
  check: () => Promise<void>,
): Promise<User> {
  const isLast = await isLastAdmin(tx, userId);
  await check();
  const person = await lockUserForUpdate(tx, userId);
  if (!person) throw notFound('input.userId', 'User');
  // Otherwise the service key could moderate.
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
    await recordAuditEvents(tx, { action: 'SERVICE_ROLE_CHANGED', actor, subjectId: userId, details });
  }
  const user = await tx.user.update({ where: { id: userId }, data: { serviceRole: role } });
  if (person.serviceRole !== role) recordSettingsChanged(tx, userId);
  return user;
}

/**
 * Lists suspended users, latest first.
 * @throws {ChatError} FORBIDDEN; BAD_USER_INPUT of the page's arguments.
 */
export async function pageOfSuspended({ database, config }: Deps, viewer: Viewer, args: PageArgs): Promise<Page<User>> {
  await mayModerate(database.db, viewer, 'Only moderators and admins of the service can list suspended users.');
  return readPage(args, config, {
    name: 'suspended',
    keys: ['date', 'uuid'],
    read: (page) => listSuspended(database.db, page),
    keysetOf: ({ suspendedAt, id }) => [suspendedAt ?? new Date(0), id],
  });
}
