import { defineMessageChangeType, defineMessagePart } from '../message/message.part.js';

export const edited = defineMessageChangeType('EDITED', 'The text was edited.', { changesText: true });

/** The earlier texts of messages. */
export const editsPart = defineMessagePart('edits', {
  changes: [edited],
  clear: async (tx, messageIds) => {
    await tx.messageVersion.deleteMany({ where: { messageId: { in: [...messageIds] } } });
  },
});
