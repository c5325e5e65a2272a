import { badInput, ChatError, notFound } from '../../core/errors.js';
import { isoKeyset, type Page, type PageArgs, readPage } from '../../core/page.js';
import type { Conversation, Summary } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import { mutationPerPerson, take } from '../../platform/rates.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import type { LiveStream } from '../../realtime/live-stream.js';
import { isEncrypted } from '../conversation/conversation.policy.js';
import { checkReadable, openLive } from '../conversation/open-stream.js';
import { summaries, summaryQueue } from './summaries.js';
import {
  countMessages,
  findAccess,
  findVisible,
  findWait,
  type Range,
  type Steps,
  type SummariesPage,
} from './summary.store.js';

export interface SummarizeInput {
  conversationId: string;
  fromSeq?: number | null | undefined;
  toSeq?: number | null | undefined;
}

/**
 * Returns a stored or new summary of a range; by default of the viewer's unread messages.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `input.conversationId`; BAD_USER_INPUT of the range: it contains no
 *   messages, or too many; RATE_LIMITED: the viewer has used up the limit; UNAVAILABLE.
 */
export async function summarizeConversation(deps: Deps, viewer: Viewer, input: SummarizeInput): Promise<Summary> {
  const range = await rangeOf(deps, viewer, input, 'input.');
  return showMade(deps, viewer, await makeFor(deps, viewer, range, () => {}), 'input.conversationId');
}

/** The part of a range that the viewer can read. */
async function rangeOf(deps: Deps, viewer: Viewer, input: SummarizeInput, place: '' | 'input.'): Promise<Range> {
  const { config, database } = deps;
  const { conversationId } = input;
  const ends = { fromSeq: `${place}fromSeq`, toSeq: `${place}toSeq` };
  for (const name of ['fromSeq', 'toSeq'] as const) {
    if (input[name] != null && input[name] < 1) throw badInput(ends[name], 'A seq must be at least 1.');
  }
  const access = await findAccess(database.sql, conversationId, viewer.userId);
  if (!access) {
    const field = `${place}conversationId`;
    await checkReadable(deps, viewer, conversationId, field);
    throw notFound(field, 'Conversation');
  }
  if (isEncrypted(access)) {
    throw new ChatError('FORBIDDEN', 'This conversation is encrypted: the server cannot read its messages.', {
      field: `${place}conversationId`,
      reason: 'ENCRYPTED',
    });
  }
  if (input.fromSeq != null && input.toSeq != null && input.toSeq < input.fromSeq) {
    throw badInput(ends.toSeq, '`toSeq` must not be less than `fromSeq`.');
  }
  const max = config.summaryMessagesMax;
  const toSeq = Math.min(input.toSeq ?? access.latestSeq, access.latestSeq);
  const requested = input.fromSeq ?? Math.max(access.readSeq + 1, toSeq - max + 1);
  // Messages from before the viewer joined that they must not read are excluded.
  const fromSeq = Math.max(requested, access.hiddenToSeq + 1);
  if (toSeq - fromSeq + 1 > max) {
    throw badInput(ends.fromSeq, `A summary can cover at most ${max} messages.`, 'summaryMessagesMax');
  }
  const range = { conversationId, fromSeq, toSeq };
  if (fromSeq > toSeq || (await countMessages(database.sql, range)) === 0) {
    throw badInput(input.fromSeq == null ? ends.fromSeq : ends.toSeq, 'There are no messages to summarize.');
  }
  return range;
}

/** Returns the id of the summary, which is created if necessary. */
async function makeFor(
  deps: Deps,
  { userId, isService }: Viewer,
  range: Range,
  onProgress: (steps: Steps) => void,
): Promise<string> {
  try {
    // The summaries of one person are created one after another, independently of those of others.
    const enter = isService ? undefined : () => summaryQueue.of(deps).enter(userId);
    return await summaries.of(deps).get(range, userId, onProgress, enter);
  } catch (error) {
    const { config, database } = deps;
    const server = config.summaryServer;
    if (!server || !(error instanceof ChatError) || error.code !== 'RATE_LIMITED') throw error;
    const { tokensMax, tokensWindowMs: windowMs } = server;
    const retryAfterMs = Math.max(1, await findWait(database.sql, userId, { tokensMax, windowMs }));
    throw new ChatError('RATE_LIMITED', error.message, { retryAfterMs });
  }
}

/** The summary, if the viewer may still see it when it is complete. */
async function showMade({ database }: Deps, { userId }: Viewer, id: string, field: string): Promise<Summary> {
  const [summary] = await findVisible(database.db, userId, [id]);
  if (!summary) throw notFound(field, 'Conversation');
  return summary;
}

/** One event of the `summaryProgress` stream. */
export interface SummaryProgress extends Range {
  /** From 0 to 1. */
  progress: number;
  /** Only set in the last event. */
  summary: Summary | null;
}

/**
 * Streams the progress of a summary; the last event contains the summary.
 * @throws {ChatError} as `summarizeConversation`.
 */
export async function streamSummary(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  input: SummarizeInput,
): Promise<LiveStream<SummaryProgress>> {
  // Counted like the mutation, because it causes the same work.
  take(deps, mutationPerPerson, viewer);
  const range = await rangeOf(deps, viewer, input, '');
  const { conversationId } = range;
  // The stream ignores all changes, but it ends when the viewer is removed from the conversation.
  const stream = await openLive<SummaryProgress>(deps, viewer, connection, {
    conversationId,
    types: [],
    onChange() {},
  });
  let last = -1;
  const report = ({ done, total }: Steps) => {
    const progress = Math.min(1, done / Math.max(1, total));
    // The total can grow, so the progress could otherwise decrease.
    if (stream.closed || progress <= last) return;
    last = progress;
    stream.push({ ...range, progress, summary: null });
  };
  void makeFor(deps, viewer, range, report)
    .then(async (id) => {
      const summary = await showMade(deps, viewer, id, 'conversationId');
      stream.push({ ...range, progress: 1, summary });
      stream.end();
    })
    .catch((error: unknown) => stream.fail(error));
  return stream;
}

/**
 * A page of the summaries of a conversation that the viewer may see, latest first.
 * @throws {ChatError} BAD_USER_INPUT; FORBIDDEN: the viewer is not a member.
 */
export async function pageOfSummaries(
  { config }: Deps,
  { id }: Conversation,
  args: PageArgs,
  read: (conversationId: string, page: SummariesPage) => Promise<Summary[] | null>,
): Promise<Page<Summary>> {
  return readPage(args, config, {
    name: `summaries:${id}`,
    keys: ['date', 'uuid'],
    read: async ({ from, size }) => {
      const rows = await read(id, { after: isoKeyset(from), limit: size + 1 });
      if (!rows) throw new ChatError('FORBIDDEN', 'Join this group to read its summaries.');
      return rows;
    },
    keysetOf: (row) => [row.createdAt, row.id],
  });
}
