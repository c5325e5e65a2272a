export { decryptAttachment, decryptSegment, encryptAttachment, SEGMENT_BYTES } from './attachments.js';
export type { AttachmentSecret, Content } from './content.js';
export { E2eeError, type E2eeErrorCode } from './errors.js';
export { type Identity, safetyNumber } from './identity.js';
