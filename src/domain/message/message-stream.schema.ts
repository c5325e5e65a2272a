import { encodeGlobalId, idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import {
  afterArg,
  changeOf,
  defineEventTypes,
  defineStreamEvent,
  durableStream,
} from '../../graphql/durable-stream.js';
import { givesSource } from '../../graphql/sharing.js';
import type { Feature } from '../../platform/deps.js';
import { loadUser, User } from '../user/user.schema.js';
import { allMessageChangeTypes } from './message.events.js';
import { streamedChanges } from './message.part.js';
import { Message } from './message.schema.js';
import { type MessageEvent as MessageEventShape, streamMessages } from './message.service.js';

export const MessageEvent = defineStreamEvent<MessageEventShape>('MessageEvent', {
  description: 'A change of a message. Apply it as an upsert of the objects that it carries.',
  changeSeq:
    'The number of this change in its conversation. Later changes have higher numbers; an event that is delivered again has the same number.',
  replayed: 'Do not notify the user of such events.',
  shared: ['messageId', 'message', 'actor'],
});

builder.objectFields(MessageEvent, (t) => ({
  messageId: t.id({
    description:
      'The id of the message. It is null for CAUGHT_UP and CHECKPOINT, and for changes that are not about a message.',
    resolve: (event) => {
      const id = changeOf(event)?.messageId;
      return id == null ? null : encodeGlobalId('Message', id);
    },
  }),
  message: t.field({
    type: Message,
    description:
      'The message after the change. It is null for CAUGHT_UP, CHECKPOINT and ERASED, and for changes that are not about a message.',
    extensions: givesSource<MessageEventShape>((event) => changeOf(event)?.data.message ?? null),
    resolve: (event) => changeOf(event)?.data.message ?? null,
  }),
  actor: t.field({
    type: User,
    description:
      'The user who made the change. It is null for CAUGHT_UP and CHECKPOINT, and for changes of the server.',
    resolve: (event, _args, context) => {
      const change = changeOf(event);
      if (change?.actorId == null) return null;
      const { message, actor } = change.data;
      if (message?.sender?.id === change.actorId) return message.sender;
      return actor ?? loadUser(context, change.actorId);
    },
  }),
}));

/** Adds the stream `messages`, with the events of these features. */
export function addMessageStream(features: readonly Feature[]): void {
  const changes = [...allMessageChangeTypes({ features }), ...streamedChanges.of({ features })];
  defineEventTypes(MessageEvent, 'MessageEventType', {
    description: 'What changed in a message, as a hint for sounds and badges.',
    values: {
      ...Object.fromEntries(changes.map(({ event, description }) => [event, { description }])),
      ERASED: {
        description: "The message was removed from the database without a tombstone. Remove it from the client's data.",
      },
    },
  });

  builder.subscriptionField('messages', (t) =>
    t.field({
      ...durableStream(
        MessageEvent,
        "Changes of messages, in order within each conversation, of one conversation or of all of the viewer's conversations.",
      ),
      args: { conversationId: t.arg.id({ description: 'Only changes in this conversation.' }), ...afterArg },
      subscribe: (_root, { conversationId, after }, context) =>
        streamMessages(context.deps, viewerOf(context), context, {
          conversationId: conversationId == null ? null : idOf('Conversation', conversationId, 'conversationId'),
          after,
        }),
    }),
  );
}
