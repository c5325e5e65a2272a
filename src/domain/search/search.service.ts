import { type Page, type PageArgs, readPage } from '../../core/page.js';
import type { Steps } from '../../core/steps.js';
import type { Message } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import { take } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { checkReadable } from '../conversation/open-stream.js';
import { findAttachments } from '../media/media.store.js';
import { searchPerPerson } from '../user/user.rates.js';
import { type Phrase, parseQuery, rankTemplatesOf, type SearchQuery, templatesOf } from './search.query.js';
import { type Snippet, snippetSteps } from './search.snippet.js';
import { findMatches, findNamedConversations, findSenders, type MatchRequest, matchKeys } from './search.store.js';
import { textOfAttachments } from './search.terms.js';

/** A message that matches a search. */
export interface Found {
  message: Message;
  /** The snippet, or null if it was not requested. */
  snippet: Snippet | null;
}

/**
 * Searches the messages that the viewer can read, best match first, and newest first among equal matches. Later pages
 * show the matches at the time of the first page.
 * @param select the Prisma selection to read of each message.
 * @param options.snippets whether to create snippets.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND or FORBIDDEN with the field `conversationId`; RATE_LIMITED.
 */
export async function searchMessages(
  deps: Deps,
  viewer: Viewer,
  { query: text, conversationId, ...args }: PageArgs & { query: string; conversationId: string | null },
  select: object,
  { snippets: withSnippets = true } = {},
): Promise<Page<Found>> {
  const { database, config } = deps;
  const query = parseQuery(text);
  const { edges, pageInfo } = await readPage(args, config, {
    name: `search:${conversationId ?? ''}:${text}`,
    keys: matchKeys,
    read: async (page) => {
      take(deps, searchPerPerson, viewer);
      if (conversationId !== null) await checkReadable(deps, viewer, conversationId, 'conversationId');
      const request = await resolve(deps, viewer, query, conversationId);
      return request ? findMatches(database, request, page) : [];
    },
    keysetOf: ({ listedAt, rank, createdAt, id }) => [listedAt, rank, createdAt, id],
  });
  const messages = await database.db.message.findMany({
    ...select,
    where: { id: { in: edges.map(({ node }) => node.id) } },
  });
  const byId = new Map(messages.map((message) => [message.id, message]));
  const found = edges.flatMap(({ cursor, node: { id } }) => {
    const message = byId.get(id);
    // The message may have been deleted since the search found it.
    return !message || message.deletedAt !== null ? [] : [{ cursor, message }];
  });
  const snippets = withSnippets
    ? await readSnippets(
        deps,
        found.map(({ message }) => message),
        query.phrases,
      )
    : [];
  return {
    pageInfo,
    edges: found.map(({ cursor, message }, index) => ({ cursor, node: { message, snippet: snippets[index] ?? null } })),
  };
}

/** The snippets of messages. The names and alternative texts of attachments follow the text. */
async function readSnippets(
  { database, slices }: Deps,
  messages: readonly Message[],
  phrases: readonly Phrase[],
): Promise<Snippet[]> {
  const attachments = await findAttachments(database.db, messages);
  const texts = messages.map(({ text }, index) =>
    [text ?? '', textOfAttachments(attachments[index] ?? [])].filter((each) => each !== '').join('\n'),
  );
  return slices(snippetsSteps(texts, phrases));
}

function* snippetsSteps(texts: readonly string[], phrases: readonly Phrase[]): Steps<Snippet[]> {
  const snippets: Snippet[] = [];
  for (const text of texts) {
    snippets.push(yield* snippetSteps(text, phrases));
    yield;
  }
  return snippets;
}

/**
 * Resolves the names in a query to ids. It returns undefined if a name in `from:` or `in:` cannot match anything that
 * the viewer can see.
 */
async function resolve(
  { database, config }: Deps,
  { userId }: Viewer,
  query: SearchQuery,
  conversationId: string | null,
): Promise<MatchRequest | undefined> {
  const people = async (names: readonly string[]) => [
    ...(names.includes('me') ? [userId] : []),
    ...(await findSenders(
      database.db,
      names.filter((name) => name !== 'me'),
    )),
  ];
  const [from, notFrom, within, notWithin] = await Promise.all([
    people(query.from),
    people(query.notFrom),
    findNamedConversations(database.sql, userId, query.in),
    findNamedConversations(database.sql, userId, query.notIn),
  ]);
  if ((query.from.length > 0 && from.length === 0) || (query.in.length > 0 && within.length === 0)) return undefined;
  const places = query.in.length > 0 ? within : undefined;
  return {
    userId,
    within: conversationId === null ? places : places ? places.filter((id) => id === conversationId) : [conversationId],
    notWithin,
    since: query.since,
    until: query.until,
    templates: templatesOf(query, from, notFrom),
    rankTemplates: rankTemplatesOf(query),
    phraseBytesMax: config.searchPhraseBytesMax,
  };
}
