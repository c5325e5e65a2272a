import { randomBytes } from 'node:crypto';
import { badInput, ChatError, gone } from '../../core/errors.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { auditingDenials } from '../audit/audit.logger.js';
import { type AuditEvent, recordAuditEvents } from '../audit/audit.store.js';
import { changePerson } from '../conversation/person-change.js';
import { isLastAdmin } from '../moderation/moderation.store.js';
import { refuseServiceAccount } from '../service/service.policy.js';
import { endSessions, isPassword } from '../session/session.service.js';
import { checkPassword } from '../session/sign-in.attempts.js';
import { lockActiveViewer, namesOf } from '../user/user.store.js';
import { erasures } from './erasures.js';

/** The display name of deleted accounts. */
const PLACEHOLDER_NAME = 'Deleted account';

/**
 * Deletes the viewer's account permanently: the name becomes a placeholder and can be registered by others, personal
 * data is deleted, and all sessions end. A background job then removes the account from its groups and, depending on
 * DELETED_ACCOUNT_MESSAGES, deletes its messages.
 * @throws {ChatError} BAD_USER_INPUT of `input.password`: it is wrong; CONFLICT: the viewer is the only admin of the
 *   service; FORBIDDEN: it is the account of the service key; RATE_LIMITED: too many wrong passwords.
 */
export async function deleteAccount(
  deps: Deps,
  viewer: Viewer,
  input: { password?: string | null | undefined },
): Promise<void> {
  const act: AuditEvent = { action: 'ACCOUNT_DELETED', actor: viewer, subjectId: viewer.userId };
  const reasons = { BAD_USER_INPUT: 'WRONG_PASSWORD', FORBIDDEN: 'NOT_ALLOWED', RATE_LIMITED: 'RATE_LIMITED' };
  await auditingDenials(deps, act, () => remove(deps, viewer, input, act), reasons);
}

async function remove(
  deps: Deps,
  viewer: Viewer,
  { password }: { password?: string | null | undefined },
  act: AuditEvent,
): Promise<void> {
  const { userId } = viewer;
  await refuseServiceAccount(deps.database.db, userId);
  const credential = await deps.database.db.credential.findUnique({ where: { userId }, include: { user: true } });
  if (credential) {
    const wrong = badInput('input.password', 'The password is incorrect.');
    await checkPassword(deps, credential.user.usernameKey, wrong, async () => {
      if (!(await isPassword(deps, password ?? '', credential.passwordHash))) throw wrong;
    });
  }
  await changePerson(deps, userId, async (tx) => {
    // Admins are locked before any other user, in a fixed order, to avoid deadlocks. Other users do not need these
    // locks.
    const { serviceRole } = (await tx.user.findUnique({ where: { id: userId } })) ?? gone('User');
    const isLast = serviceRole === 'ADMIN' && (await isLastAdmin(tx, userId));
    const user = await lockActiveViewer(tx, viewer);
    if (isLast) {
      throw new ChatError('CONFLICT', 'The service must have at least one admin. Make another user an admin first.');
    }
    const ended = await endSessions(tx, userId);
    for (const feature of deps.features) await feature.onAccountDeleted?.(tx, userId);
    await tx.erasure.create({ data: { userId } });
    await recordAuditEvents(tx, { ...act, details: { sessionsEnded: ended.length } });
    const username = `deleted_${randomBytes(10).toString('hex')}`;
    return tx.user.update({
      where: { id: user.id },
      data: {
        ...namesOf({ username, displayName: PLACEHOLDER_NAME }),
        bio: null,
        avatarUrl: null,
        searchWords: [],
        serviceRole: 'USER',
        deletedAt: new Date(),
      },
    });
  });
  erasures.of(deps).begin();
}
