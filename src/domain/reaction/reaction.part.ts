import { Prisma } from '../../generated/prisma/client.js';
import { defineMessageChangeType, defineMessagePart } from '../message/message.part.js';
import { findReactions, noReactions, type Reactions, removeReactions } from './reaction.store.js';

declare module '../message/message.part.js' {
  interface MessageParts {
    reactions: Reactions;
  }
}

export const reacted = defineMessageChangeType('REACTED', 'A reaction was added or removed.');

export const reactionsPart = defineMessagePart('reactions', {
  changes: [reacted],
  loaded: {
    version: 1,
    empty: noReactions,
    load: (db, messages) =>
      findReactions(
        db,
        messages.map(({ id }) => id),
      ),
  },
  contributions: {
    change: reacted,
    messageIdsOf: (userId) => Prisma.sql`SELECT message_id FROM reactions WHERE user_id = ${userId}::uuid`,
    remove: removeReactions,
  },
  clear: async (tx, messageIds) => {
    await tx.reactionGroup.deleteMany({ where: { messageId: { in: [...messageIds] } } });
  },
});
