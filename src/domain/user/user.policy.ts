import type { User } from '../../generated/prisma/client.js';

/** Whoever has an account and is not suspended: others can do nothing. */
export const isHere = ({ deletedAt, suspendedAt }: Pick<User, 'deletedAt' | 'suspendedAt'>): boolean =>
  deletedAt === null && suspendedAt === null;
