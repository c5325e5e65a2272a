import { defaultFieldResolver } from 'graphql';
import { builder } from './graphql/builder.js';
import type { Context } from './graphql/context.js';
import { describeConventions } from './graphql/conventions.js';
import { refuseUnstorableTexts } from './graphql/texts.js';
import { take } from './platform/rates.js';
import './graphql/node.schema.js';
import './domain/server-info/server-info.schema.js';
import './domain/user/user.schema.js';
import './domain/session/session.schema.js';
import './domain/profile/profile.schema.js';
import './domain/account/account.schema.js';
import './domain/moderation/moderation.schema.js';
import './domain/audit/audit.schema.js';
import './domain/password/password.schema.js';
import './domain/service/service.schema.js';
import './domain/contact/contact.schema.js';
import './domain/block/block.schema.js';
import './domain/relationship/relationship.schema.js';
import './domain/conversation/conversation.schema.js';
import './domain/group/group.schema.js';
import './domain/group/membership.schema.js';
import './domain/conversation/conversation-stream.schema.js';
import './domain/message/message.schema.js';
import './domain/search/search.schema.js';
import './domain/edit/edit.schema.js';
import './domain/reaction/reaction.schema.js';
import './domain/reply/reply.schema.js';
import './domain/pin/pin.schema.js';
import './domain/receipt/receipt.schema.js';
import './domain/presence/presence.schema.js';
import './domain/typing/typing.schema.js';
import './domain/summary/summary.schema.js';
import './domain/sync/sync.schema.js';

/** The whole schema. A new feature is one more import above. */
export const schema = describeConventions(refuseUnstorableTexts(builder.toSchema()));

/** Mutations with a rate of their own. */
const countedApart = new Set(['sendMessage']);

// Mutations of one operation run one after another: each begins as who asked, also after one that signed somebody in.
// Each is counted, under whatever alias.
for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
  const resolve = field.resolve ?? defaultFieldResolver;
  field.resolve = (root, args, context: Context, info) => {
    context.identity = context.asker;
    const { asker, deps } = context;
    if (asker && !(asker instanceof Error) && !countedApart.has(field.name)) take(deps.rates.mutationPerPerson, asker);
    return resolve(root, args, context, info);
  };
}
