import type { User } from '../../generated/prisma/client.js';

export type ServiceRole = User['serviceRole'];

const rank = { USER: 0, MODERATOR: 1, ADMIN: 2 } as const;

/** Moderators and admins can see who is suspended and who has a service-wide role. */
export const canModerateService = (own: ServiceRole): boolean => own !== 'USER';

/** Moderators can suspend users without a role; admins can also suspend moderators. */
export const canSuspend = (own: ServiceRole, other: ServiceRole): boolean => rank[own] > rank[other];

/** Only admins can change service-wide roles. */
export const canSetServiceRole = (own: ServiceRole): boolean => own === 'ADMIN';
