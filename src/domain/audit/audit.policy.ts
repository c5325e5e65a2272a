import type { ServiceRole } from '../moderation/moderation.policy.js';

/** Admins look into the audit log: it has addresses and sessions of everybody, moderators too. */
export const canReadAuditLog = (own: ServiceRole): boolean => own === 'ADMIN';
