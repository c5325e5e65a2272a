import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { defineListLoader, defineLoader } from '../../graphql/loader.js';
import { givesSource, keyedBy, sharedField } from '../../graphql/sharing.js';
import { Message, MessageConnection, type Preloaded } from '../message/message.schema.js';
import { listReplies } from './reply.service.js';
import { countReplies, findReplies, type RepliesPage, visibleMessageLookup } from './reply.store.js';

/** What a message answers as it came along with it, whoever may see that. */
const quoted = ({ quote, conversation }: Preloaded): Preloaded | null =>
  quote ? { ...quote.message, ...(conversation ? { conversation } : {}) } : null;

/** By conversation and number: one statement for all messages of a page. */
const loadReplyCount = defineLoader((context, keys) =>
  countReplies(
    context.deps.database.db,
    keys.map((key) => {
      const [conversationId = '', seq] = key.split(' ');
      return { conversationId, seq: Number(seq) };
    }),
  ),
);

/** One statement for all messages of which the same page of answers is asked for. */
const loadReplies = defineListLoader((context, keys, page: RepliesPage) =>
  findReplies(context.deps.database.sql, viewerOf(context).userId, keys, page),
);

builder.prismaObjectFields(Message, (t) => ({
  replyTo: t.field({
    type: Message,
    description:
      'The current state of the message that this message replies to, which is a tombstone if it was deleted. It is null if this message is not a reply, or if the viewer cannot see the other message.',
    extensions: {
      ...givesSource<Preloaded | null>((message) => message && quoted(message)),
      ...keyedBy<Preloaded | null>((message, viewerId) => {
        if (!message || message.replyToSeq === null) return '';
        const hiddenFrom = message.quote?.hiddenFrom;
        // Where it is not known from whom it is hidden, each viewer has to be asked about.
        return hiddenFrom ? String(hiddenFrom.includes(viewerId)) : viewerId;
      }),
    },
    resolve: (message: Preloaded, _args, context) => {
      const { conversationId, replyToSeq: seq, quote } = message;
      if (seq === null) return null;
      const { userId } = viewerOf(context);
      if (quote?.hiddenFrom) return quote.hiddenFrom.includes(userId) ? null : quoted(message);
      return visibleMessageLookup.of(context.deps)({ conversationId, seq, userId });
    },
  }),
  replyCount: t.int({
    nullable: false,
    description: 'The number of replies to this message, without deleted ones.',
    extensions: sharedField,
    resolve: ({ conversationId, seq, replyCount }: Preloaded, _args, context) =>
      replyCount ?? loadReplyCount(context, `${conversationId} ${seq}`).then((count) => count ?? 0),
  }),
  replies: t.field({
    type: MessageConnection,
    description: 'The replies to this message, oldest first, including tombstones of deleted replies.',
    args: forwardArgs,
    resolve: (message, args, context) =>
      listReplies(context.deps, message, args, (key, page) => loadReplies(context, key, page)),
  }),
}));
