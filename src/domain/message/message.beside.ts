import type { Message } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';
import { findReactions, noReactions, type Reactions } from '../reaction/reaction.store.js';
import { countReplies, findQuotes, type Quote } from '../reply/reply.store.js';

/** What belongs to a message and does not stand in its row. */
export interface Beside {
  reactions: Reactions;
  /** Answers to it that are not deleted. */
  replyCount: number;
  /** What it answers. */
  quote: Quote | null;
}

/** Of what was just written and answers nothing. */
export const nothingBeside: Beside = { reactions: noReactions, replyCount: 0, quote: null };

/** What stands beside each of these messages, in their order. */
export async function findBeside(db: Db | Tx, messages: readonly Message[]): Promise<Beside[]> {
  if (messages.length === 0) return [];
  const reactions = await findReactions(
    db,
    messages.map(({ id }) => id),
  );
  const replyCounts = await countReplies(db, messages);
  const quotes = await findQuotes(db, messages);
  return messages.map((_message, index) => ({
    reactions: reactions[index] ?? noReactions,
    replyCount: replyCounts[index] ?? 0,
    quote: quotes[index] ?? null,
  }));
}
