import type { MessageVersion } from '../../generated/prisma/client.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { defineListLoader } from '../../graphql/loader.js';
import { Message } from '../message/message.schema.js';
import { listVersions } from './edit.service.js';
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

/** One statement for all messages of which the same page is asked for. */
const loadVersions = defineListLoader((context, ids, page: VersionsPage) =>
  findVersions(context.deps.database.sql, viewerOf(context).userId, ids, page),
);

builder.prismaObjectField(Message, 'edits', (t) =>
  t.field({
    type: MessageEditConnection,
    description:
      'The earlier texts, newest first. For very many edits, it contains the first and the newest texts. It is empty for a deleted message, and null if the viewer is not allowed to read earlier texts: a server can restrict them to the sender and the owners and admins of the group.',
    args: forwardArgs,
    resolve: (message, args, context) =>
      listVersions(context.deps, viewerOf(context), message, args, (id, page) => loadVersions(context, id, page)),
  }),
);
