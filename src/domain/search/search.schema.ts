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
      description: 'The matching words in the order of their positions. They do not overlap.',
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
    description: `Searches the messages that the viewer can read. The best match comes first; equally good matches are sorted by time, newest first. All pages show the matches at the time of the first page.

A message must contain all words of the query in its text, or in the file names and alternative texts of its attachments, regardless of case, accents and vowel points; the last word can be the beginning of a word. Words in quotation marks must be adjacent, and \`-word\` excludes messages that contain the word. The filters are: \`from:username\` or \`from:me\`; \`in:title\` for a group and \`in:@username\` for a direct conversation; \`has:link\`, \`has:mention\` and \`has:attachment\`, and by the kind of an attachment \`has:image\`, \`has:video\`, \`has:audio\` (including voice messages), \`has:voice\` and \`has:file\`; \`before:\` and \`after:\` with a day, month or year in UTC, or a date and time. A query can have up to ${QUERY_MAX_CHARS} characters and ${QUERY_MAX_TERMS} words.

Large searches are limited to the newest messages in the most recently active conversations. At most ${RANKED_MAX} matches are ranked. If they are very long, fewer are ranked, and the others follow, newest first. For a phrase, or a word in a script without spaces, at most ${CANDIDATES_MAX} messages are checked for whether its parts are adjacent, and fewer if they are very long. If a query has more than ${RANKED_TERMS_MAX} words (in scripts without spaces, pairs of characters), its matches are not ranked but sorted by time, newest first.`,
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
