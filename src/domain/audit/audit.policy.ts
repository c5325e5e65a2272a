import type { ServiceRole } from '../user/service-role.policy.js';

/**
 * Only admins can read the audit log, because it contains addresses and sessions of all users, including moderators.
 */
export const canReadAuditLog = (own: ServiceRole): boolean => own === 'ADMIN';
