import { queryFromInfo } from '@pothos/plugin-prisma';
import { idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { isSelected } from '../../graphql/selection.js';
import { Message } from '../message/message.schema.js';
import { QUERY_MAX_CHARS, QUERY_MAX_TERMS } from './search.query.js';
import { searchMessages } from './search.service.js';
import { SNIPPET_MAX_CHARS } from './search.snippet.js';
import { RANKED_MAX } from './search.store.js';

const MessageSearchConnection = builder.connectionObject(
  { type: Message, name: 'MessageSearchConnection' },
  {
    name: 'MessageSearchEdge',
    fields: (t) => ({
      snippet: t.expose('snippet' as never, {
        type: 'String',
        nullable: false,
        description: `The text around the match, some ${SNIPPET_MAX_CHARS} characters on one line, the matching words between « and » (what of the text looks like these marks is shown as ‹ and ›). Plain text: escape it before it becomes HTML.`,
      }),
    }),
  },
);

builder.queryField('searchMessages', (t) =>
  t.field({
    type: MessageSearchConnection,
    description: `Full-text search over the messages that the viewer may read, best match first, of equals the newest. All words must be there, without regard to case, accents and vowel points; the last one may go on. "Words in quotes" must stand beside each other; \`-word\` must not be there. Filters: \`from:username\` or \`from:me\`; \`in:title\` of a group, \`in:@username\` for the direct conversation; \`has:link\`, \`has:mention\`; \`before:\` and \`after:\` a day, month or year (UTC), or an instant. A query has at most ${QUERY_MAX_CHARS} characters and ${QUERY_MAX_TERMS} words. Of more than ${RANKED_MAX} matches those are ranked that were said last, conversation by conversation. Later pages are of what the first one was of.`,
    args: { query: t.arg.string({ required: true }), conversationId: t.arg.id(), ...forwardArgs },
    resolve: async (_root, { query, conversationId, ...page }, context, info) => {
      const { edges, pageInfo } = await searchMessages(
        context.deps,
        viewerOf(context),
        {
          query,
          conversationId: conversationId == null ? null : idOf('Conversation', conversationId, 'conversationId'),
          ...page,
        },
        queryFromInfo({ context, info, typeName: 'Message', paths: [['nodes'], ['edges', 'node']] }),
        { snippets: isSelected(info, ['edges', 'snippet']) },
      );
      return {
        pageInfo,
        edges: edges.map(({ cursor, node: { message, snippet } }) => ({ cursor, node: message, snippet })),
      };
    },
  }),
);
