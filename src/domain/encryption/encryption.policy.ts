import { ChatError } from '../../core/errors.js';
import type { Conversation, Membership } from '../../generated/prisma/client.js';
import { isPublic } from '../conversation/conversation.policy.js';
import { canUpdate } from '../conversation/membership.policy.js';

/** Everybody can join a public group, so nothing in it can be kept from the server. */
export const isEncryptable = (conversation: Pick<Conversation, 'visibility'>): boolean => !isPublic(conversation);

/** Both users can encrypt their direct conversation; owners and admins can encrypt a group. */
export const canEncrypt = ({ kind }: Pick<Conversation, 'kind'>, own: Pick<Membership, 'userId' | 'role'>): boolean =>
  kind === 'DIRECT' || canUpdate(own);

/** The error for encrypted content in a conversation that is not encrypted. */
export const notEncrypted = (field: string): ChatError =>
  new ChatError('CONFLICT', 'This conversation is not encrypted.', { field, reason: 'NOT_ENCRYPTED' });

/** The error for another generation or epoch than the current one, which it contains. */
export const staleEpoch = ({
  groupGeneration: generation,
  groupEpoch: epoch,
}: Pick<Conversation, 'groupGeneration' | 'groupEpoch'>): ChatError =>
  new ChatError('CONFLICT', 'The group is in another epoch. Process the commits up to it, and try again.', {
    reason: 'STALE_EPOCH',
    extensions: { generation, epoch },
  });

/** The error while the group contains a device that must leave it. */
export const rekeyDue = (): ChatError =>
  new ChatError('CONFLICT', 'A device has to be removed from the group first. See `devicesToRemove`.', {
    reason: 'REKEY',
  });

/** The error for a device that cannot send, because it is not in the group. */
export const notInGroup = (field: string): ChatError =>
  new ChatError('FORBIDDEN', 'This device is not in the group of the conversation.', {
    field,
    reason: 'DEVICE_NOT_IN_GROUP',
  });
