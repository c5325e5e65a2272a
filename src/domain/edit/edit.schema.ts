import type { MessageVersion } from '../../generated/prisma/client.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { defineListLoader } from '../../graphql/loader.js';
import { Message } from '../message/message.schema.js';
import { listVersions } from './edit.service.js';
import { findVersions, type VersionsPage } from './edit.store.js';

const MessageEdit = builder.objectRef<MessageVersion>('MessageEdit').implement({
  description: 'What a message said before it was edited.',
  fields: (t) => ({
    text: t.exposeString('text', { nullable: false }),
    at: t.expose('writtenAt', { type: 'DateTime', nullable: false, description: 'When it was written so.' }),
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
      'Its earlier texts, the latest first; of very many the first and the newest. None of a deleted one. Null where they are not for the viewer: a server may keep them for the sender and who moderates the group.',
    args: forwardArgs,
    resolve: (message, args, context) =>
      listVersions(context.deps, viewerOf(context), message, args, (id, page) => loadVersions(context, id, page)),
  }),
);
