import { badInput } from '../../core/errors.js';
import { isEncrypted } from '../conversation/conversation.policy.js';
import { defineMessageChangeType, defineMessagePart } from '../message/message.part.js';
import { requireUsable } from './media.policy.js';
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

export const mediaChanged = defineMessageChangeType('MEDIA', 'An attachment became READY or REJECTED.');

export const attachmentsPart = defineMessagePart('attachments', {
  changes: [mediaChanged],
  loaded: {
    version: 1,
    empty: [],
    load: findAttachments,
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
        check({ given }, { sender, conversation }) {
          for (const [index, id] of given.entries()) {
            const upload = uploads.get(id);
            requireUsable(upload, sender, fieldOf(index));
            if (isEncrypted(conversation) && upload?.kind !== 'FILE') {
              const message = 'In an encrypted conversation, attachments are encrypted files: upload it as a FILE.';
              throw badInput(fieldOf(index), message);
            }
          }
        },
        attach({ given }) {
          const value = given.flatMap((id): AttachmentInfo[] => {
            const upload = uploads.get(id);
            if (!upload) return [];
            // For the messages that follow in the same batch.
            upload.isUsed = true;
            const { uploaderId: _uploaderId, isUsed: _isUsed, hasExpired: _hasExpired, ...info } = upload;
            return [info];
          });
          return { value, columns: { attachmentCount: value.length } };
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
  cleared: { attachmentCount: 0 },
});
