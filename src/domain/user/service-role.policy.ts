import type { User } from '../../generated/prisma/client.js';

export type ServiceRole = User['serviceRole'];

const rank = { USER: 0, MODERATOR: 1, ADMIN: 2 } as const;

/** Moderators and admins see who is suspended and who has a role. */
export const canModerateService = (own: ServiceRole): boolean => own !== 'USER';

/** Moderators suspend people who are neither, admins moderators too. */
export const canSuspend = (own: ServiceRole, other: ServiceRole): boolean => rank[own] > rank[other];

/** Admins say who is what. */
export const canSetServiceRole = (own: ServiceRole): boolean => own === 'ADMIN';
