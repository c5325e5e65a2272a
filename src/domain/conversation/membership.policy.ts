import type { Conversation, Membership } from '../../generated/prisma/client.js';
import { isPublic } from './conversation.policy.js';

type Own = Pick<Membership, 'userId' | 'role'>;

const rank = { MEMBER: 0, ADMIN: 1, OWNER: 2 } as const;

/** The members of a direct conversation never change. */
export const hasChangingMembers = ({ kind }: Pick<Conversation, 'kind'>): boolean => kind === 'GROUP';

/** Owners and admins moderate a group; a direct conversation has no moderators. */
export const canModerate = ({ kind }: Pick<Conversation, 'kind'>, own: Own): boolean =>
  kind === 'GROUP' && own.role !== 'MEMBER';

/** Owners and admins can change the title, description and image of a group; only owners can change its visibility. */
export const canUpdate = (own: Own): boolean => own.role !== 'MEMBER';
export const canSetVisibility = (own: Own): boolean => own.role === 'OWNER';

/** Only owners can change roles. The last owner keeps the role until there is another one. */
export const canSetRole = (own: Own): boolean => own.role === 'OWNER';

/** Any non-member can join a public group. */
export const canJoin = (conversation: Pick<Conversation, 'visibility'>, own: Own | null): boolean =>
  own === null && isPublic(conversation);

/** Owners and admins can add members. */
export const canAddMembers = (own: Own): boolean => own.role !== 'MEMBER';

/** Owners can remove everybody else; admins can remove members without a role. */
export const canRemoveMember = (own: Own, other: Own): boolean =>
  own.userId !== other.userId && (own.role === 'OWNER' || rank[own.role] > rank[other.role]);
