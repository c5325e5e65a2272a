import { OWN_ISSUER } from '../../infra/config/issuers.js';
import type { Db, Tx } from '../../infra/database/database.js';

/** The external identity of the account of the service key. */
export const SERVICE_IDENTITY = { issuer: OWN_ISSUER, subject: 'service' };

/** Whether this is the account of the service key. */
export async function isServiceAccount(db: Db | Tx, userId: string): Promise<boolean> {
  return (await db.outsideIdentity.count({ where: { ...SERVICE_IDENTITY, userId } })) > 0;
}

/** Whether this is a user of the backend: created by `createUser`, or known to this issuer. */
export async function isOfBackend(db: Db | Tx, userId: string, issuer: string): Promise<boolean> {
  const where = { userId, OR: [{ inputHash: { not: null } }, { issuer }] };
  return (await db.outsideIdentity.count({ where })) > 0;
}
