import { Prisma } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';

interface LockedCredential {
  userId: string;
  email: string;
  passwordHash: string;
}

/**
 * Locks and returns the credential of an account. Until the end of the transaction the password does not change, and no
 * other transaction acquires a conflicting lock (SHARE locks do not conflict with each other). Undefined if there is no
 * such account.
 */
export async function lockCredential(
  tx: Tx,
  account: { userId: string } | { emailKey: string },
  strength: 'UPDATE' | 'SHARE',
): Promise<LockedCredential | undefined> {
  const isIt =
    'userId' in account
      ? Prisma.sql`credentials.user_id = ${account.userId}::uuid`
      : Prisma.sql`credentials.email_key = ${account.emailKey}`;
  const [credential] = await tx.$queryRaw<LockedCredential[]>`
    SELECT user_id::text AS "userId", email, password_hash AS "passwordHash"
    FROM credentials JOIN users ON users.id = user_id
    WHERE ${isIt} AND deleted_at IS NULL
    FOR ${Prisma.raw(strength)} OF credentials`;
  return credential;
}

/** Stores a hash of the same password in its normalized spelling, unless the password was changed in the meantime. */
export async function storeNormalized(db: Db, userId: string, before: string, passwordHash: string): Promise<void> {
  await db.credential.updateMany({ where: { userId, passwordHash: before }, data: { passwordHash } });
}

/**
 * Stores a new password in the transaction that locked the credential, and invalidates the user's tokens for resets.
 */
export async function storePassword(tx: Tx, userId: string, passwordHash: string): Promise<void> {
  await tx.credential.update({ where: { userId }, data: { passwordHash } });
  await tx.passwordReset.updateMany({ where: { userId, endedAt: null }, data: { endedAt: new Date() } });
}
