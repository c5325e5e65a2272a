import type { Message } from '../../generated/prisma/client.js';
import { canChange } from '../message/message.policy.js';

/**
 * Members who can send messages in the conversation (`canSend`) can add reactions. All members can remove their own.
 */
export const canReact = (message: Pick<Message, 'kind' | 'deletedAt'>, sends: boolean): boolean =>
  canChange(message) && sends;

/** 63 bytes in base64url, so that each sequence of bytes has one spelling. */
const ENCRYPTED_EMOJI = /^[\w-]{84}$/;

/** Whether clients have encrypted an emoji, which the server cannot read: see docs/ENCRYPTION.md. */
export const isEncryptedEmoji = (emoji: string): boolean => ENCRYPTED_EMOJI.test(emoji);
