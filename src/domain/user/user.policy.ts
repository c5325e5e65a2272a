import type { User } from '../../generated/prisma/client.js';

/** Whether a user has an account that is neither deleted nor suspended. Others cannot do anything. */
export const isActive = ({ deletedAt, suspendedAt }: Pick<User, 'deletedAt' | 'suspendedAt'>): boolean =>
  deletedAt === null && suspendedAt === null;
