import { builder } from './graphql/builder.js';
import './graphql/node.schema.js';
import './domain/server-info/server-info.schema.js';
import './domain/user/user.schema.js';
import './domain/session/session.schema.js';
import './domain/conversation/conversation.schema.js';
import './domain/message/message.schema.js';

/** The whole schema. A new feature is one more import above. */
export const schema = builder.toSchema();
