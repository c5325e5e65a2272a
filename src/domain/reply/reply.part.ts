import { ChatError, notFound } from '../../core/errors.js';
import { reviveMessage } from '../message/message.events.js';
import { defineMessagePart } from '../message/message.part.js';
import { canSee } from '../message/message.policy.js';
import { canBeRepliedTo } from './reply.policy.js';
import { countReplies, findQuotes, findQuotesById, type Quote } from './reply.store.js';

declare module '../message/message.part.js' {
  interface MessageParts {
    /** The number of replies to the message, without deleted ones. */
    replyCount: number;
    /** The message that it replies to. */
    quote: Quote | null;
  }
  interface SendMessageInput {
    /** The message of the same conversation that it replies to. */
    replyToId?: string | null | undefined;
  }
}

export const replyCountPart = defineMessagePart('replyCount', {
  loaded: { version: 1, empty: 0, load: countReplies },
});

const field = 'input.replyToId';

export const quotePart = defineMessagePart('quote', {
  loaded: {
    version: 1,
    empty: null,
    load: findQuotes,
    revive(quote) {
      if (quote) reviveMessage(quote.message);
    },
  },
  sent: {
    read: (_deps, { replyToId }): string | undefined => replyToId ?? undefined,
    // Without the name of the part, because the hashes of inputs from earlier versions are stored without it.
    identify: (replyToId) => [replyToId],
    async begin(sql, sent) {
      const keys = sent.map(({ message: { conversationId }, given }) => ({ conversationId, messageId: given }));
      const nameOf = (conversationId: string, messageId: string) => `${conversationId} ${messageId}`;
      const found = await findQuotesById(sql, keys);
      const quotes = new Map(
        keys.map(({ conversationId, messageId }, index) => [nameOf(conversationId, messageId), found[index] ?? null]),
      );
      return {
        check({ message, given }, { sender }) {
          const quoted = quotes.get(nameOf(message.conversationId, given))?.message;
          if (!quoted || !canSee(quoted, sender)) throw notFound(field, 'Message');
          if (!canBeRepliedTo(quoted)) throw new ChatError('FORBIDDEN', 'You cannot reply to this message.', { field });
        },
        attach({ message, given }) {
          const name = nameOf(message.conversationId, given);
          const before = quotes.get(name);
          if (!before) return {};
          const { message: quoted, hiddenFrom } = before;
          const replyCount = quoted.parts.replyCount + 1;
          const quote: Quote = { message: { ...quoted, parts: { replyCount } }, hiddenFrom };
          quotes.set(name, quote);
          return { value: quote, columns: { replyToSeq: quoted.seq } };
        },
      };
    },
  },
});
