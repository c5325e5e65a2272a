import { badInput, ChatError, notFound } from '../../core/errors.js';
import type { Prisma } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { recordChange } from '../../realtime/change-log.js';
import { changeConversation, findModeratorIds, lockAndNumber } from '../conversation/conversation.store.js';
import { messageChanged } from '../message/message.events.js';
import { defineMessageChangeType, defineMessagePart, messageParts } from '../message/message.part.js';
import { type AttachmentInfo, findAttachments, lockUploads, storeInMessages } from './media.store.js';

declare module '../message/message.part.js' {
  interface MessageParts {
    /** In the order in which the sender gave them. */
    attachments: readonly AttachmentInfo[];
  }
  interface SendMessageInput {
    /** Uploads of the sender. */
    attachmentIds?: readonly string[] | null | undefined;
  }
}

const fieldOf = (index: number) => `input.attachmentIds.${index}`;

const mediaChanged = defineMessageChangeType('MEDIA', 'An attachment became READY or REJECTED.');

export const attachmentsPart = defineMessagePart('attachments', {
  changes: [mediaChanged],
  loaded: {
    version: 1,
    empty: [],
    load: (db, messages) =>
      findAttachments(
        db,
        messages.map(({ id }) => id),
      ),
  },
  sent: {
    read({ config: { attachmentsMax } }, { attachmentIds }): readonly string[] | undefined {
      if (attachmentIds == null || attachmentIds.length === 0) return undefined;
      if (attachmentIds.length > attachmentsMax) {
        const message = `A message can have at most ${attachmentsMax} attachments.`;
        throw badInput('input.attachmentIds', message, 'attachmentsMax');
      }
      const repeated = attachmentIds.findIndex((id, index) => attachmentIds.indexOf(id) !== index);
      if (repeated >= 0) throw badInput(fieldOf(repeated), 'A message can contain an upload only once.');
      return attachmentIds;
    },
    replacesText: true,
    identify: (ids) => ['attachments', ...ids],
    async begin(sql, sent) {
      const found = await lockUploads(
        sql,
        sent.flatMap(({ given }) => given),
      );
      const uploads = new Map(found.map((upload) => [upload.id, upload]));
      return {
        check({ given }, { sender }) {
          for (const [index, id] of given.entries()) {
            const field = fieldOf(index);
            const upload = uploads.get(id);
            if (upload?.uploaderId !== sender.userId || upload.hasExpired) throw notFound(field, 'Attachment');
            if (upload.isSent) throw new ChatError('CONFLICT', 'Another message contains this upload.', { field });
            if (upload.state === 'UPLOADING') throw badInput(field, 'Call `completeUpload` first.');
            if (upload.state === 'REJECTED') throw badInput(field, 'This file was rejected.');
          }
        },
        attach({ given }) {
          const value = given.flatMap((id): AttachmentInfo[] => {
            const upload = uploads.get(id);
            if (!upload) return [];
            // For the messages that follow in the same batch.
            upload.isSent = true;
            const { uploaderId: _uploaderId, isSent: _isSent, hasExpired: _hasExpired, ...info } = upload;
            return [info];
          });
          return { value };
        },
      };
    },
    store: (sql, sent) =>
      storeInMessages(
        sql,
        sent.flatMap(({ message, given }) =>
          given.map((attachmentId, position) => ({ attachmentId, messageId: message.id, position })),
        ),
      ),
  },
  // A trigger deletes the attachments of deleted messages, so that nodes of older releases do so as well.
});

/** Rolls the transaction back, because the upload is not being processed any more. */
class NotProcessing extends Error {}

/**
 * Stores the outcome of the processing of a file. If a message contains it, the change is recorded.
 * @returns false if the attachment was deleted or processed in the meantime.
 */
export async function attachmentDone(
  deps: Deps,
  id: string,
  data: Prisma.AttachmentUpdateManyMutationInput,
): Promise<boolean> {
  const { database } = deps;
  const isProcessing = { id, state: 'PROCESSING' } as const;
  for (;;) {
    const found = await database.db.attachment.findUnique({ where: isProcessing });
    if (!found) return false;
    const { messageId, conversationId, uploaderId } = found;
    if (messageId === null || conversationId === null) {
      // Not if a message has been sent with it in the meantime: then its conversation has to be locked first.
      const { count } = await database.db.attachment.updateMany({ where: { ...isProcessing, messageId: null }, data });
      if (count > 0) return true;
      continue;
    }
    try {
      await changeConversation(deps, conversationId, async (tx) => {
        const conversation = await lockAndNumber(tx, conversationId);
        const { count } = await tx.attachment.updateMany({ where: { ...isProcessing, messageId }, data });
        if (!conversation || count === 0) throw new NotProcessing();
        await recordMedia(deps, tx, conversation, messageId, uploaderId);
      });
      return true;
    } catch (error) {
      if (error instanceof NotProcessing) return false;
      throw error;
    }
  }
}

async function recordMedia(
  deps: Deps,
  tx: Tx,
  conversation: NonNullable<Awaited<ReturnType<typeof lockAndNumber>>>,
  messageId: string,
  actorId: string,
): Promise<void> {
  const message = await tx.message.findUnique({ where: { id: messageId }, include: { sender: true } });
  if (!message) throw new NotProcessing();
  const loaded = messageParts.of(deps);
  const [parts = loaded.empty] = await loaded.load(tx, [message]);
  const moderatorIds = (await findModeratorIds(tx, [conversation.id])).get(conversation.id) ?? null;
  const full = { ...message, parts, conversation: { ...conversation, moderatorIds } };
  await recordChange(tx, messageChanged(mediaChanged, { id: actorId }, full));
}
