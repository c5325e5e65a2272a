export { type Execute, e2eeDocuments } from './api.js';
export { decryptAttachment, decryptSegment, encryptAttachment, SEGMENT_BYTES } from './attachments.js';
export type { AttachmentSecret, Content } from './content.js';
export {
  type E2ee,
  type E2eeConversation,
  type E2eeOptions,
  type EncryptedInput,
  type EncryptedMessage,
  encryptedMessageFields,
  type OpenedMessage,
  type OutgoingContent,
  openE2ee,
  type ReportDisclosure,
} from './e2ee.js';
export { E2eeError, type E2eeErrorCode } from './errors.js';
export { type Certificate, type Identity, safetyNumber } from './identity.js';
export { defaultLocks, type E2eeLocks, memoryLocks, webLocks } from './locks.js';
export type { MessageReactions } from './reactions.js';
export { type E2eeStorage, type Guard, indexedDbStorage, memoryStorage } from './storage.js';
export type { TrustState } from './trust.js';
