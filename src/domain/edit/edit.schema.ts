import type { MessageVersion } from '../../generated/prisma/client.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { defineListLoader } from '../../graphql/loader.js';
import { addViewerMutation } from '../../graphql/mutation.js';
import { keyedBy, sharedField } from '../../graphql/sharing.js';
import {
  buildMessageFields,
  loadCanSend,
  Message,
  messagePayload,
  type Preloaded,
  readMessageFields,
} from '../message/message.schema.js';
import { canEdit, editableUntil, isEditableBy } from './edit.policy.js';
import { editMessage, listVersions } from './edit.service.js';
import { findVersions, type VersionsPage } from './edit.store.js';

const MessageEdit = builder.objectRef<MessageVersion>('MessageEdit').implement({
  description: 'An earlier text of an edited message.',
  fields: (t) => ({
    text: t.exposeString('text', { nullable: false, description: 'The earlier text.' }),
    at: t.expose('writtenAt', { type: 'DateTime', nullable: false, description: 'When this text was written.' }),
  }),
});

const MessageEditConnection = builder.connectionObject(
  { type: MessageEdit, name: 'MessageEditConnection' },
  { name: 'MessageEditEdge' },
);

/** Loads the same page of earlier texts of many messages in one statement. */
const loadVersions = defineListLoader((context, ids, page: VersionsPage) =>
  findVersions(context.deps.database.sql, viewerOf(context).userId, ids, page),
);

builder.prismaObjectFields(Message, (t) => ({
  edits: t.field({
    type: MessageEditConnection,
    description:
      'The earlier texts, newest first. If there are very many, only the first and the newest ones are kept. The list is empty for a deleted message, and null if the viewer is not allowed to read earlier texts: a server can restrict them to the sender and the owners and admins of the group.',
    args: forwardArgs,
    resolve: (message, args, context) =>
      listVersions(context.deps, viewerOf(context), message, args, (id, page) => loadVersions(context, id, page)),
  }),
  viewerCanEdit: t.boolean({
    nullable: false,
    description:
      'Whether the viewer can edit the message now: it is their own, and in a direct conversation `viewerCanSend` is true. It becomes false `serverInfo.limits.messageEditWindowSeconds` after `createdAt` without an event.',
    // Two keys are enough: the time limit is the same for everybody, and only the sender's value depends on
    // `viewerCanSend`.
    extensions: keyedBy<Preloaded | null>((message, viewerId) => String(message && isEditableBy(message, viewerId))),
    resolve: (message: Preloaded, _args, context) => {
      if (!canEdit(message, viewerOf(context).userId, context.deps.config)) return false;
      return loadCanSend(context, message);
    },
  }),
  editableUntil: t.field({
    type: 'DateTime',
    description:
      'When the sender can no longer edit the message. It is null if there is no time limit, and for deleted messages and system messages, which nobody can edit. `viewerCanEdit` shows whether the viewer can edit the message now.',
    extensions: sharedField,
    resolve: (message, _args, context) => editableUntil(message, context.deps.config),
  }),
}));

addViewerMutation('editMessage', {
  description:
    "Replaces the text of one of the viewer's own messages, or removes that of a message with attachments, within `serverInfo.limits.messageEditWindowSeconds` after it was sent. In a direct conversation, `viewerCanSend` must be true. The earlier text remains available in `Message.edits`.",
  input: (t) => ({
    messageId: t.id({ required: true, description: 'The message to edit.' }),
    text: t.string({
      description:
        'The new text: 1 to `serverInfo.limits.messageMaxChars` characters after trimming. Without it, the text of a message with attachments is removed.',
    }),
    ...buildMessageFields(t, { isEditable: true }),
  }),
  ids: { messageId: 'Message' },
  payload: messagePayload,
  run: async (deps, viewer, input) => {
    const { messageId, text } = input;
    return { message: await editMessage(deps, viewer, { ...readMessageFields(input), messageId, text }) };
  },
});
