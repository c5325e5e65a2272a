import type { ServiceRole } from '../user/service-role.policy.js';

/** Admins look into the audit log: it has addresses and sessions of everybody, moderators too. */
export const canReadAuditLog = (own: ServiceRole): boolean => own === 'ADMIN';
