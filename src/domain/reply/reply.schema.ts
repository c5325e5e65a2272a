import { idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { defineListLoader, defineLoader } from '../../graphql/loader.js';
import { givesSource, keyedBy, sharedField } from '../../graphql/sharing.js';
import {
  addSendMessageField,
  keyedBySending,
  loadCanSend,
  Message,
  MessageConnection,
  type Preloaded,
  whenKnown,
} from '../message/message.schema.js';
import { canReply } from './reply.policy.js';
import { listReplies } from './reply.service.js';
import { countReplies, findReplies, type RepliesPage, visibleMessageLookup } from './reply.store.js';

/** The quoted message that was loaded with a message, regardless of whether the viewer can see it. */
const quoted = ({ parts, conversation }: Preloaded): Preloaded | null =>
  parts?.quote ? { ...parts.quote.message, ...(conversation ? { conversation } : {}) } : null;

/** Counts replies, by keys of the form `conversationId seq`. Uses one statement for all messages of a page. */
const loadReplyCount = defineLoader((context, keys) =>
  countReplies(
    context.deps.database.db,
    keys.map((key) => {
      const [conversationId = '', seq] = key.split(' ');
      return { conversationId, seq: Number(seq) };
    }),
  ),
);

/** Loads the same page of replies to many messages in one statement. */
const loadReplies = defineListLoader((context, keys, page: RepliesPage) =>
  findReplies(context.deps.database.sql, viewerOf(context).userId, keys, page),
);

builder.prismaObjectFields(Message, (t) => ({
  viewerCanReply: t.boolean({
    nullable: false,
    description:
      'Whether the viewer can reply to the message: it is not a system message, and `viewerCanSend` of the conversation is true. It is true for a deleted message as well, so that a reply that is being written does not fail.',
    extensions: keyedBySending,
    resolve: (message: Preloaded, _args, context) =>
      whenKnown(loadCanSend(context, message), (sends) => canReply(message, sends)),
  }),
  replyTo: t.field({
    type: Message,
    description:
      'The current state of the message that this message replies to, which is a tombstone if it was deleted. It is null if this message is not a reply, or if the viewer cannot see the other message.',
    extensions: {
      ...givesSource<Preloaded | null>((message) => message && quoted(message)),
      ...keyedBy<Preloaded | null>((message, viewerId) => {
        if (!message || message.replyToSeq === null) return '';
        const hiddenFrom = message.parts?.quote?.hiddenFrom;
        // If it is not known from whom the quoted message is hidden, the value has to be computed for each viewer.
        return hiddenFrom ? String(hiddenFrom.includes(viewerId)) : viewerId;
      }),
    },
    resolve: (message: Preloaded, _args, context) => {
      const { conversationId, replyToSeq: seq } = message;
      if (seq === null) return null;
      const { userId } = viewerOf(context);
      const hiddenFrom = message.parts?.quote?.hiddenFrom;
      if (hiddenFrom) return hiddenFrom.includes(userId) ? null : quoted(message);
      return visibleMessageLookup.of(context.deps)({ conversationId, seq, userId });
    },
  }),
  replyCount: t.int({
    nullable: false,
    description: 'The number of replies to this message, without deleted ones.',
    extensions: sharedField,
    resolve: ({ conversationId, seq, parts }: Preloaded, _args, context) =>
      parts?.replyCount ?? loadReplyCount(context, `${conversationId} ${seq}`).then((count) => count ?? 0),
  }),
  replies: t.field({
    type: MessageConnection,
    description: 'The replies to this message, oldest first, including tombstones of deleted replies.',
    args: forwardArgs,
    resolve: (message, args, context) =>
      listReplies(context.deps, message, args, (key, page) => loadReplies(context, key, page)),
  }),
}));

addSendMessageField(
  'replyToId',
  (t) =>
    t.id({
      description:
        'The message that this message replies to. It must be a message of kind USER in the same conversation that the sender can see.',
    }),
  (id) => idOf('Message', id, 'input.replyToId'),
);
