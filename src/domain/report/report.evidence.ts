import { isDeepStrictEqual } from 'node:util';
import { badInput, ChatError, notFound } from '../../core/errors.js';
import { encodeGlobalId } from '../../core/ids.js';
import { storableOf } from '../../core/text/characters.js';
import { type Content, MESSAGE_KEY_BYTES, type OpenedContent } from '../../generated/e2ee/content.js';
import { E2eeError } from '../../generated/e2ee/errors.js';
import { verifyDisclosure } from '../../generated/e2ee/report.js';
import type { Report } from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';
import type { Db } from '../../infra/database/database.js';
import { checkBytes } from '../encryption/encryption.input.js';
import { findCertifiedDevice, type Reportable, type ReportedFile } from './report.store.js';

/** What a reporter reveals of one encrypted message, with the id of the row of the device. */
export interface Disclosure {
  generation: number;
  epoch: number;
  deviceId: string;
  content: Uint8Array;
  messageKey: Uint8Array;
}

/** The copy of a message in a report, and what proves it. */
export interface Evidence extends Pick<Report, 'text' | 'earlierTexts' | 'proof'> {
  files: ReportedFile[];
}

const FIELD = 'input.disclosure';

/** @throws {ChatError} BAD_USER_INPUT if the sizes of the bytes are not possible. */
export function checkDisclosure(config: Config, { generation, epoch, content, messageKey }: Disclosure): void {
  if (generation < 1) throw badInput(`${FIELD}.generation`, 'Generations begin with 1.');
  if (epoch < 0) throw badInput(`${FIELD}.epoch`, 'Epochs begin with 0.');
  checkBytes(config, content, 'encryptedContentMaxBytes', `${FIELD}.content`);
  if (messageKey.length !== MESSAGE_KEY_BYTES) {
    throw badInput(`${FIELD}.messageKey`, `The key of a message has ${MESSAGE_KEY_BYTES} bytes.`);
  }
}

/**
 * What a report of a message contains.
 * @throws {ChatError} FORBIDDEN of `input.messageId`: the message is deleted, and was not encrypted. BAD_USER_INPUT of
 *   `input.disclosure`: it is missing or not needed, or does not prove that the sender's device has encrypted the message.
 *   NOT_FOUND of `input.disclosure.deviceId`: the device is not one of the sender.
 */
export async function evidenceOf(db: Db, message: Reportable, disclosure: Disclosure | undefined): Promise<Evidence> {
  const { encrypted, text, files, earlierTexts, deletedAt } = message;
  if (!disclosure) {
    if (encrypted) throw badInput(FIELD, 'An encrypted message can only be reported with the key of the message.');
    if (deletedAt) {
      throw new ChatError('FORBIDDEN', 'The server has nothing of a deleted message.', { field: 'input.messageId' });
    }
    return { text, earlierTexts, files, proof: 'STORED' };
  }
  if (!encrypted && !deletedAt) throw badInput(FIELD, 'The message is not encrypted.');
  const isStored = isDeepStrictEqual(encrypted, storedFormOf(disclosure));
  if (!isStored && !deletedAt && !message.editedAt) {
    throw badInput(`${FIELD}.content`, 'The message has another content, and was never edited.');
  }
  const { content } = await verify(db, message, disclosure);
  // Only the keys of files make their bytes readable, and they are not stored.
  return {
    text: content.text === undefined ? null : storableOf(content.text),
    earlierTexts: [],
    files: filesOf(content),
    proof: isStored ? 'VERIFIED' : 'SIGNED',
  };
}

const storedFormOf = ({ generation, epoch, deviceId, content }: Disclosure) => ({
  generation,
  epoch,
  deviceId,
  content: Buffer.from(content).toString('base64url'),
});

async function verify(
  db: Db,
  { conversationId, senderId, clientMessageId, replyToId }: Reportable,
  { generation, epoch, deviceId, content, messageKey }: Disclosure,
): Promise<OpenedContent> {
  const device = await findCertifiedDevice(db, deviceId);
  if (!device || device.userId !== senderId) throw notFound(`${FIELD}.deviceId`, 'Device');
  const place = {
    conversationId: encodeGlobalId('Conversation', conversationId),
    generation,
    epoch,
    deviceId: encodeGlobalId('Device', deviceId),
    clientMessageId: clientMessageId ?? '',
  };
  const sender = { ...device, userId: encodeGlobalId('User', device.userId) };
  try {
    const opened = await verifyDisclosure(place, sender, content, messageKey);
    // Clients refuse to show such a message for the same reason.
    if (replyToId !== null && encodeGlobalId('Message', replyToId) !== opened.content.replyToId) {
      throw new E2eeError('TAMPERED', 'The message replies to another one.');
    }
    return opened;
  } catch (error) {
    if (!(error instanceof E2eeError)) throw error;
    throw badInput(
      FIELD,
      error.code === 'UNKNOWN_FORMAT'
        ? 'This server does not support the format in which the message was encrypted.'
        : 'This does not prove that a device of the sender has encrypted the message.',
    );
  }
}

const FILES_MAX = 100;
const NAME_MAX_CHARS = 255;

/** The files of an encrypted message, with the names that only the message contains. */
const filesOf = ({ attachments = {} }: Content): ReportedFile[] =>
  Object.values(attachments)
    .slice(0, FILES_MAX)
    .map(({ name = '', mimeType = '', size }) => ({
      name: storableOf(name.slice(0, NAME_MAX_CHARS)),
      contentType: storableOf(mimeType.slice(0, NAME_MAX_CHARS)),
      byteSize: Math.min(size, 2 ** 31 - 1),
    }));
