import { queryFromInfo } from '@pothos/plugin-prisma';
import { idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { atMost } from '../../graphql/costs.js';
import { isSelected } from '../../graphql/selection.js';
import { Message } from '../message/message.schema.js';
import { Limits } from '../server-info/server-info.schema.js';
import { QUERY_MAX_CHARS, QUERY_MAX_TERMS, RANKED_TERMS_MAX } from './search.query.js';
import { searchMessages } from './search.service.js';
import { SNIPPET_MAX_CHARS, type Snippet } from './search.snippet.js';
import { CANDIDATES_MAX, RANKED_MAX } from './search.store.js';

const SearchSnippetMatch = builder.objectRef<Snippet['matches'][number]>('SearchSnippetMatch').implement({
  description: 'Where a matching word is in the text of a snippet, in UTF-16 code units.',
  fields: (t) => ({
    start: t.exposeInt('start', { nullable: false, description: 'The position of the first code unit.' }),
    end: t.exposeInt('end', { nullable: false, description: 'The position after the last code unit.' }),
  }),
});

const SearchSnippet = builder.objectRef<Snippet>('SearchSnippet').implement({
  description: 'The text around a match, with the positions of the matching words.',
  fields: (t) => ({
    text: t.exposeString('text', {
      nullable: false,
      description: `The text around the match on one line, up to about ${SNIPPET_MAX_CHARS} characters. Matching words are not enclosed in « and ». It is plain text.`,
    }),
    matches: t.field({
      type: [SearchSnippetMatch],
      nullable: { list: false, items: false },
      // At most one match for every two characters: a word of one character and a space.
      extensions: atMost(SNIPPET_MAX_CHARS / 2),
      description: 'The matching words, in their order. They do not overlap.',
      resolve: ({ matches }) => matches,
    }),
  }),
});

const MessageSearchConnection = builder.connectionObject(
  { type: Message, name: 'MessageSearchConnection' },
  {
    name: 'MessageSearchEdge',
    fields: (t) => ({
      snippet: t.expose('snippet' as never, {
        type: 'String',
        nullable: false,
        description: `The text around the match on one line, up to about ${SNIPPET_MAX_CHARS} characters. Matching words are enclosed in « and »; where the text itself contains these characters, they are replaced with ‹ and ›. It is plain text: escape it before you insert it into HTML.`,
      }),
      plainSnippet: t.expose('plainSnippet' as never, {
        type: SearchSnippet,
        nullable: false,
        description: 'The text of `snippet` without « and », and the positions of the matching words.',
      }),
    }),
  },
);

builder.queryField('searchMessages', (t) =>
  t.field({
    type: MessageSearchConnection,
    description: `Full-text search over the messages that the viewer can read, best match first; among equal matches, newer messages come first. A message must contain all words, regardless of case, accents and vowel points; the last word can be the beginning of a word. Words in quotation marks must be adjacent, and \`-word\` excludes messages. The filters are: \`from:username\` or \`from:me\`; \`in:title\` for a group and \`in:@username\` for a direct conversation; \`has:link\` and \`has:mention\`; \`before:\` and \`after:\` with a day, month or year in UTC, or a date and time. A query can have up to ${QUERY_MAX_CHARS} characters and ${QUERY_MAX_TERMS} words. If there are more than ${RANKED_MAX} matches, only ${RANKED_MAX} of them are ranked: the newest ones in the most recently active conversations. If the messages are very long, fewer are ranked, and the others follow, newest first. Of messages that contain the words of a phrase or of scripts without spaces, only ${CANDIDATES_MAX}, and of very long messages fewer, are checked for whether the words are adjacent: the newest ones in the most recently active conversations. The matches of a query with more than ${RANKED_TERMS_MAX} words (in scripts without spaces, pairs of characters) are not ranked, but sorted by time, newest first. All pages show the matches at the time of the first page.`,
    args: {
      query: t.arg.string({ required: true, description: 'The search terms and filters.' }),
      conversationId: t.arg.id({ description: 'Only search in this conversation.' }),
      ...forwardArgs,
    },
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
        { snippets: isSelected(info, ['edges', 'snippet']) || isSelected(info, ['edges', 'plainSnippet']) },
      );
      return {
        pageInfo,
        edges: edges.map(({ cursor, node: { message, snippet } }) => ({
          cursor,
          node: message,
          snippet: snippet?.marked,
          plainSnippet: snippet,
        })),
      };
    },
  }),
);

builder.objectField(Limits, 'searchQueryMaxChars', (t) =>
  t.int({
    nullable: false,
    description: 'The maximum length of the query of `searchMessages`, in UTF-16 code units.',
    resolve: () => QUERY_MAX_CHARS,
  }),
);
