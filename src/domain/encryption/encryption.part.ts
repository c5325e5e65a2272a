import { isDeepStrictEqual } from 'node:util';
import { badInput } from '../../core/errors.js';
import type { Message } from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';
import type { Db, Tx } from '../../infra/database/database.js';
import type { Conversation } from '../conversation/conversation.store.js';
import { findMembersAmong } from '../conversation/conversation.store.js';
import { defineMessagePart } from '../message/message.part.js';
import { type EncryptedContent, findContents, toColumn } from './encryption.content.js';
import { checkBytes } from './encryption.input.js';
import { notInGroup, rekeyDue, staleEpoch } from './encryption.policy.js';
import { findSendingDevices, type SendingDevice } from './group.store.js';

/** The encrypted content of a message that is being sent or edited, with the ids of rows. */
interface EncryptedInput {
  generation: number;
  epoch: number;
  deviceId: string;
  content: Uint8Array;
  mentionedIds?: readonly string[] | null | undefined;
  mentionsEveryone?: boolean | null | undefined;
}

declare module '../message/message.part.js' {
  interface MessageParts {
    encrypted: EncryptedContent | null;
  }
  interface SendMessageInput {
    encrypted?: EncryptedInput | null | undefined;
  }
}

/** A valid input, with its mentions. */
interface GivenContent extends EncryptedContent {
  mentionedIds: readonly string[];
  mentionsEveryone: boolean;
}

const FIELD = 'input.encrypted';

/**
 * Validates an encrypted content.
 * @throws {ChatError} BAD_USER_INPUT with the path of the field.
 */
function readContent(config: Config, input: EncryptedInput): GivenContent {
  const { generation, epoch, deviceId, content, mentionedIds, mentionsEveryone } = input;
  if (generation < 1) throw badInput(`${FIELD}.generation`, 'Generations begin with 1.');
  if (epoch < 0) throw badInput(`${FIELD}.epoch`, 'Epochs begin with 0.');
  checkBytes(config, content, 'encryptedContentMaxBytes', `${FIELD}.content`);
  const mentioned = [...new Set(mentionedIds)];
  if (mentioned.length > config.mentionsMax) {
    const message = `A message can mention at most ${config.mentionsMax} users.`;
    throw badInput(`${FIELD}.mentionedIds`, message, 'mentionsMax');
  }
  return {
    generation,
    epoch,
    deviceId,
    content: Buffer.from(content).toString('base64url'),
    mentionedIds: mentioned,
    mentionsEveryone: mentionsEveryone === true,
  };
}

/**
 * Checks that a device can send under these keys now.
 * @throws {ChatError} FORBIDDEN with the reason DEVICE_NOT_IN_GROUP; CONFLICT with the reason STALE_EPOCH or REKEY.
 */
function checkSending(
  { deviceId: _deviceId, generation, epoch }: EncryptedContent,
  device: SendingDevice | undefined,
  userId: string,
  conversation: Pick<Conversation, 'groupGeneration' | 'groupEpoch'>,
): void {
  if (device?.userId !== userId) throw notInGroup(`${FIELD}.deviceId`);
  if (generation !== conversation.groupGeneration || epoch !== conversation.groupEpoch) throw staleEpoch(conversation);
  if (device.isRekeyDue) throw rekeyDue();
}

const contentOf = ({ generation, epoch, deviceId, content }: EncryptedContent): EncryptedContent => ({
  generation,
  epoch,
  deviceId,
  content,
});

/** Whether a message may have an encrypted content, so that it must be read. */
const mayBeEncrypted = ({ kind, text, deletedAt }: Message) => kind === 'USER' && text === null && deletedAt === null;

async function load(db: Db | Tx, messages: readonly Message[]): Promise<(EncryptedContent | null)[]> {
  const ids = messages.filter(mayBeEncrypted).map(({ id }) => id);
  const found = await findContents(db, ids);
  const byId = new Map(ids.map((id, index) => [id, found[index] ?? null]));
  return messages.map(({ id }) => byId.get(id) ?? null);
}

export const encryptedPart = defineMessagePart('encrypted', {
  loaded: { version: 1, empty: null, load },
  sent: {
    read({ config }, { encrypted, text }): GivenContent | undefined {
      if (encrypted == null) return undefined;
      if (text != null) throw badInput('input.text', 'A message has either a text or an encrypted content.');
      return readContent(config, encrypted);
    },
    replacesText: true,
    encrypts: true,
    findMentions: async (db, conversationId, { mentionedIds, mentionsEveryone }) => ({
      mentionedIds: await findMembersAmong(db, conversationId, mentionedIds),
      asksEveryone: mentionsEveryone,
    }),
    async replace(tx, { message, given }, { sender, conversation }) {
      const value = contentOf(given);
      const [stored] = await findContents(tx, [message.id]);
      // A repeated edit is answered also when the group has moved on.
      if (stored && isDeepStrictEqual(stored, value)) return undefined;
      const { conversationId } = message;
      const [device] = await findSendingDevices(tx, [{ conversationId, deviceId: given.deviceId }]);
      checkSending(given, device, sender.userId, conversation);
      return value;
    },
    identify: ({ generation, epoch, deviceId, content, mentionedIds, mentionsEveryone }) => [
      'encrypted',
      `${generation}`,
      `${epoch}`,
      deviceId,
      content,
      `${mentionsEveryone}`,
      ...mentionedIds,
    ],
    async begin(sql, sent) {
      const found = await findSendingDevices(
        sql,
        sent.map(({ message, given }) => ({ conversationId: message.conversationId, deviceId: given.deviceId })),
      );
      const byMessage = new Map(sent.map(({ message }, index) => [message.id, found[index]]));
      return {
        check: ({ message, given }, { sender, conversation }) =>
          checkSending(given, byMessage.get(message.id), sender.userId, conversation),
        attach: ({ given }) => ({ value: contentOf(given) }),
      };
    },
  },
  column: {
    name: 'encrypted',
    type: 'bytea',
    derive: () => undefined,
    valueOf: ({ parts }) => (parts.encrypted ? toColumn(parts.encrypted) : ''),
  },
});
