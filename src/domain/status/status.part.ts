import { notFound } from '../../core/errors.js';
import { defineMessagePart } from '../message/message.part.js';
import { findRepliable, findReplies, type StatusReplyInfo, storeReplies } from './status.store.js';

declare module '../message/message.part.js' {
  interface MessageParts {
    /** The status that the message replies to. */
    statusReply: StatusReplyInfo | null;
  }
  interface SendMessageInput {
    /** A status of the other user of a direct conversation. */
    replyToStatusId?: string | null | undefined;
  }
}

/** What was attached to messages that are being stored: the status may expire in between. */
const attached = new WeakMap<object, StatusReplyInfo>();

export const statusReplyPart = defineMessagePart('statusReply', {
  loaded: { version: 1, empty: null, load: findReplies },
  sent: {
    read: (_deps, { replyToStatusId }): string | undefined => replyToStatusId ?? undefined,
    identify: (statusId) => ['statusReply', statusId],
    async begin(sql, sent) {
      const wanted = sent.map(({ message: { id, conversationId }, given }) => ({
        id,
        conversationId,
        statusId: given,
      }));
      const found = await findRepliable(sql, wanted);
      const byMessage = new Map(found.map((repliable) => [wanted[repliable.n - 1]?.id, repliable]));
      return {
        check({ message }, { sender }) {
          if (byMessage.get(message.id)?.senderId !== sender.userId) throw notFound('input.replyToStatusId', 'Status');
        },
        attach({ message }) {
          const repliable = byMessage.get(message.id);
          if (!repliable) return {};
          const { statusId, excerpt } = repliable;
          const value = { statusId, excerpt };
          attached.set(message, value);
          return { value, columns: { statusReply: true } };
        },
      };
    },
    store: (sql, sent) =>
      storeReplies(
        sql,
        sent.flatMap(({ message }) => {
          const reply = attached.get(message);
          return reply ? [{ messageId: message.id, ...reply }] : [];
        }),
      ),
  },
  // A trigger deletes the row, so that nodes of older releases do so as well.
  cleared: { statusReply: false },
});
