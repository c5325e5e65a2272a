import { foldWords } from '../../core/text/fold.js';
import type { NamedConversation, Phrase, SearchQuery } from './search.query.js';
import { matchesTerm } from './search.snippet.js';
import { eachTerm, hasOf, type IndexedAttachment, type Term, textOfAttachments } from './search.terms.js';

/** A message that is compared with a query where there is no index, such as an encrypted one on a device. */
export interface Searched {
  text: string;
  attachments: readonly IndexedAttachment[];
  /** Whether it mentions anybody. */
  hasMention: boolean;
  /** The username of its sender. */
  sender: string | undefined;
  createdAt: Date;
}

/**
 * Whether a message matches a query, except for its conversation, as the index decides (`templatesOf`).
 * @param viewer the username that `me` means.
 */
export function matchesQuery(query: SearchQuery, message: Searched, viewer: string): boolean {
  const { phrases, without, from, notFrom, has, hasNot, since, until } = query;
  const { createdAt, sender } = message;
  const isFrom = (names: readonly string[]) =>
    sender !== undefined && names.some((name) => (name === 'me' ? viewer : name) === sender.toLowerCase());
  if ((since && createdAt < since) || (until && createdAt >= until)) return false;
  if ((from.length > 0 && !isFrom(from)) || isFrom(notFrom)) return false;
  const what = has.length + hasNot.length > 0 ? hasOf(message, message.attachments) : new Set();
  if (!has.every((each) => what.has(each)) || hasNot.some((each) => what.has(each))) return false;
  if (phrases.length + without.length === 0) return true;
  const terms = termsAt(message);
  return phrases.every((phrase) => occurs(phrase, terms)) && !without.some((phrase) => occurs(phrase, terms));
}

/** Whether a query is about a conversation: a group by words of its title, or the direct conversation with a user. */
export function matchesConversation(
  { in: names, notIn }: SearchQuery,
  conversation: { title: string | undefined; counterpart: string | undefined },
): boolean {
  const words = foldWords(conversation.title ?? '');
  const isNamed = (named: NamedConversation) =>
    'username' in named
      ? conversation.counterpart?.toLowerCase() === named.username
      : conversation.title !== undefined &&
        foldWords(named.title).every((word) => words.some((each) => each.startsWith(word)));
  return (names.length === 0 || names.some(isNamed)) && !notIn.some(isNamed);
}

/** The terms of a message by their positions. Those of its attachments follow after a gap, so that no phrase spans both. */
function termsAt({ text, attachments }: Searched): Term[][] {
  const terms: Term[][] = [];
  for (const [index, each] of [text, textOfAttachments(attachments)].entries()) {
    const from = terms.length + index;
    for (const term of eachTerm(each)) {
      const there = terms[from + term.position];
      if (there) there.push(term);
      else terms[from + term.position] = [term];
    }
  }
  return terms;
}

const occurs = (phrase: Phrase, terms: readonly (Term[] | undefined)[]): boolean =>
  terms.some((_, start) =>
    phrase.every((queried, index) => terms[start + index]?.some((term) => matchesTerm(term, queried)) === true),
  );
