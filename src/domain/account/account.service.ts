import { randomBytes } from 'node:crypto';
import { badInput, ChatError, gone } from '../../core/errors.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { notingRefusal } from '../audit/audit.notes.js';
import { type Act, recordActs } from '../audit/audit.store.js';
import { changePerson } from '../conversation/person-change.js';
import { isLastAdmin } from '../moderation/moderation.store.js';
import { refuseServiceAccount } from '../service/service.policy.js';
import { endSessions, isPassword } from '../session/session.service.js';
import { tryPassword } from '../session/sign-in.tries.js';
import { holdSelf, namesOf } from '../user/user.store.js';
import { erasures } from './erasures.js';

/** What others see of who has deleted their account. */
const PLACEHOLDER_NAME = 'Deleted account';

/**
 * Deletes the viewer's account, for good: their name becomes a placeholder, and can be taken by others; all they had for
 * themselves is gone, and all their sessions end. They are taken out of their groups soon after; what they wrote stays
 * or goes, as DELETED_ACCOUNT_MESSAGES says.
 * @throws {ChatError} BAD_USER_INPUT of `input.password`: not theirs; CONFLICT: the service's only admin; FORBIDDEN: the
 *   service's own account; RATE_LIMITED: too many wrong passwords.
 */
export async function deleteAccount(
  deps: Deps,
  viewer: Viewer,
  input: { password?: string | null | undefined },
): Promise<void> {
  const act: Act = { action: 'ACCOUNT_DELETED', actor: viewer, subjectId: viewer.userId };
  const reasons = { BAD_USER_INPUT: 'WRONG_PASSWORD', FORBIDDEN: 'NOT_ALLOWED', RATE_LIMITED: 'RATE_LIMITED' };
  await notingRefusal(deps, act, () => remove(deps, viewer, input, act), reasons);
}

async function remove(
  deps: Deps,
  viewer: Viewer,
  { password }: { password?: string | null | undefined },
  act: Act,
): Promise<void> {
  const { userId } = viewer;
  await refuseServiceAccount(deps.database.db, userId);
  const credential = await deps.database.db.credential.findUnique({ where: { userId }, include: { user: true } });
  if (credential) {
    const wrong = badInput('input.password', 'The password is incorrect.');
    await tryPassword(deps, credential.user.usernameKey, wrong, async () => {
      if (!(await isPassword(deps, password ?? '', credential.passwordHash))) throw wrong;
    });
  }
  await changePerson(deps, userId, async (tx) => {
    // Admins are held before any of them is, in one order for all; who is none needs none of them.
    const { serviceRole } = (await tx.user.findUnique({ where: { id: userId } })) ?? gone('User');
    const isLast = serviceRole === 'ADMIN' && (await isLastAdmin(tx, userId));
    const user = await holdSelf(tx, viewer);
    if (isLast) {
      throw new ChatError('CONFLICT', 'The service must have at least one admin. Make another user an admin first.');
    }
    const ended = await endSessions(tx, userId);
    for (const feature of deps.features) await feature.onAccountDeleted?.(tx, userId);
    await tx.erasure.create({ data: { userId } });
    await recordActs(tx, { ...act, details: { sessionsEnded: ended.length } });
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
