import { OWN_ISSUER } from '../../infra/config/issuers.js';
import type { Db, Tx } from '../../infra/database/database.js';

/** Who the service's own account is, among those that are somebody elsewhere. */
export const SERVICE_IDENTITY = { issuer: OWN_ISSUER, subject: 'service' };

/** Whether it is the account that the service key itself acts as. */
export async function isServiceAccount(db: Db | Tx, userId: string): Promise<boolean> {
  return (await db.outsideIdentity.count({ where: { ...SERVICE_IDENTITY, userId } })) > 0;
}

/** Whether somebody is one of the backend's people: `createUser` made them, or they are somebody for this issuer. */
export async function isOfBackend(db: Db | Tx, userId: string, issuer: string): Promise<boolean> {
  const where = { userId, OR: [{ inputHash: { not: null } }, { issuer }] };
  return (await db.outsideIdentity.count({ where })) > 0;
}
