import { defaultFieldResolver } from 'graphql';
import { builder } from './graphql/builder.js';
import type { Context } from './graphql/context.js';
import './graphql/node.schema.js';
import './domain/server-info/server-info.schema.js';
import './domain/user/user.schema.js';
import './domain/session/session.schema.js';
import './domain/profile/profile.schema.js';
import './domain/account/account.schema.js';
import './domain/moderation/moderation.schema.js';
import './domain/password/password.schema.js';
import './domain/service/service.schema.js';
import './domain/contact/contact.schema.js';
import './domain/block/block.schema.js';
import './domain/conversation/conversation.schema.js';
import './domain/conversation/membership.schema.js';
import './domain/conversation/conversation-stream.schema.js';
import './domain/message/message.schema.js';
import './domain/receipt/receipt.schema.js';
import './domain/presence/presence.schema.js';
import './domain/typing/typing.schema.js';
import './domain/summary/summary.schema.js';
import './domain/sync/sync.schema.js';

/** The whole schema. A new feature is one more import above. */
export const schema = builder.toSchema();

// Mutations of one operation run one after another: each begins as who asked, also after one that signed somebody in.
for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
  const resolve = field.resolve ?? defaultFieldResolver;
  field.resolve = (root, args, context: Context, info) => {
    context.identity = context.asker;
    return resolve(root, args, context, info);
  };
}
