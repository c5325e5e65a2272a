import type { Conversation, Membership } from '../../generated/prisma/client.js';
import { isPublic } from './conversation.policy.js';

type Own = Pick<Membership, 'userId' | 'role'>;

const rank = { MEMBER: 0, ADMIN: 1, OWNER: 2 } as const;

/** A direct conversation is of its two, for good. */
export const hasChangingMembers = ({ kind }: Pick<Conversation, 'kind'>): boolean => kind === 'GROUP';

/** A group is in the hands of its owners and admins; a direct conversation has none. */
export const canModerate = ({ kind }: Pick<Conversation, 'kind'>, own: Own): boolean =>
  kind === 'GROUP' && own.role !== 'MEMBER';

/** Owners and admins change what a group is called and looks like; whether it is public, owners only. */
export const canUpdate = (own: Own): boolean => own.role !== 'MEMBER';
export const canSetVisibility = (own: Own): boolean => own.role === 'OWNER';

/** Owners say who is what; the last of them stays one until there is another. */
export const canSetRole = (own: Own): boolean => own.role === 'OWNER';

/** Public groups are open to everyone; whoever is a member already cannot join again. */
export const canJoin = (conversation: Pick<Conversation, 'visibility'>, own: Own | null): boolean =>
  own === null && isPublic(conversation);

/** Owners and admins bring people in. */
export const canAddMembers = (own: Own): boolean => own.role !== 'MEMBER';

/** Owners put out anyone else, admins those who are neither. */
export const canRemoveMember = (own: Own, other: Own): boolean =>
  own.userId !== other.userId && (own.role === 'OWNER' || rank[own.role] > rank[other.role]);
