import { badInput, ChatError, notFound } from '../../core/errors.js';
import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import type { Conversation, Summary } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import { mutationPerPerson, take } from '../../platform/rates.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import type { LiveStream } from '../../realtime/live-stream.js';
import { checkReadable, openLive } from '../conversation/open-stream.js';
import { summaries, summaryGates } from './summaries.js';
import {
  countTalk,
  findReach,
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
 * A summary of a range, by default of what the viewer has not read: one that is kept, or a new one.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `input.conversationId`; BAD_USER_INPUT of the ends: nothing to read there,
 *   or too much; RATE_LIMITED: they have had as many written as they may; UNAVAILABLE.
 */
export async function summarizeConversation(deps: Deps, viewer: Viewer, input: SummarizeInput): Promise<Summary> {
  const range = await rangeOf(deps, viewer, input, 'input.');
  return showMade(deps, viewer, await makeFor(deps, viewer, range, () => {}), 'input.conversationId');
}

/** What of a range is for the viewer. */
async function rangeOf(deps: Deps, viewer: Viewer, input: SummarizeInput, place: '' | 'input.'): Promise<Range> {
  const { config, database } = deps;
  const { conversationId } = input;
  const ends = { fromSeq: `${place}fromSeq`, toSeq: `${place}toSeq` };
  for (const name of ['fromSeq', 'toSeq'] as const) {
    if (input[name] != null && input[name] < 1) throw badInput(ends[name], 'A seq must be at least 1.');
  }
  const reach = await findReach(database.sql, conversationId, viewer.userId);
  if (!reach) {
    const field = `${place}conversationId`;
    await checkReadable(deps, viewer, conversationId, field);
    throw notFound(field, 'Conversation');
  }
  if (input.fromSeq != null && input.toSeq != null && input.toSeq < input.fromSeq) {
    throw badInput(ends.toSeq, '`toSeq` must not be less than `fromSeq`.');
  }
  const max = config.summaryMessagesMax;
  const toSeq = Math.min(input.toSeq ?? reach.latestSeq, reach.latestSeq);
  const asked = input.fromSeq ?? Math.max(reach.readSeq + 1, toSeq - max + 1);
  // What was said before they came is not theirs to read, and so not for a summary of theirs.
  const fromSeq = Math.max(asked, reach.hiddenToSeq + 1);
  if (toSeq - fromSeq + 1 > max) {
    throw badInput(ends.fromSeq, `A summary can cover at most ${max} messages.`, 'summaryMessagesMax');
  }
  const range = { conversationId, fromSeq, toSeq };
  if (fromSeq > toSeq || (await countTalk(database.sql, range)) === 0) {
    throw badInput(input.fromSeq == null ? ends.fromSeq : ends.toSeq, 'There are no messages to summarize.');
  }
  return range;
}

/** @returns the id of the summary. */
async function makeFor(
  deps: Deps,
  { userId, isService }: Viewer,
  range: Range,
  tell: (steps: Steps) => void,
): Promise<string> {
  try {
    // The summaries of one person wait for each other; those of other people do not wait for them.
    const enter = isService ? undefined : () => summaryGates.of(deps).enter(userId);
    return await summaries.of(deps).get(range, userId, tell, enter);
  } catch (error) {
    const { config, database } = deps;
    const server = config.summaryServer;
    if (!server || !(error instanceof ChatError) || error.code !== 'RATE_LIMITED') throw error;
    const { tokensMax, tokensWindowMs: windowMs } = server;
    const retryAfterMs = Math.max(1, await findWait(database.sql, userId, { tokensMax, windowMs }));
    throw new ChatError('RATE_LIMITED', error.message, { retryAfterMs });
  }
}

/** What was made, if the viewer may (still) see it: making it can have taken long. */
async function showMade({ database }: Deps, { userId }: Viewer, id: string, field: string): Promise<Summary> {
  const [summary] = await findVisible(database.db, userId, [id]);
  if (!summary) throw notFound(field, 'Conversation');
  return summary;
}

/** One event of the `summaryProgress` stream. */
export interface SummaryProgress extends Range {
  /** From 0 to 1. */
  progress: number;
  /** The last event has it. */
  summary: Summary | null;
}

/**
 * The same told while it happens: how far it is, at last the summary; then it ends.
 * @throws {ChatError} as `summarizeConversation`.
 */
export async function streamSummary(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  input: SummarizeInput,
): Promise<LiveStream<SummaryProgress>> {
  // It does as much as the mutation.
  take(deps, mutationPerPerson, viewer);
  const range = await rangeOf(deps, viewer, input, '');
  const { conversationId } = range;
  // Of the conversation it only hears when the viewer is put out.
  const stream = await openLive<SummaryProgress>(deps, viewer, connection, { conversationId, types: [], hear() {} });
  let last = -1;
  const tell = ({ done, total }: Steps) => {
    const progress = Math.min(1, done / Math.max(1, total));
    // What it is counted in may grow on the way: it is not told to go back.
    if (stream.closed || progress <= last) return;
    last = progress;
    stream.push({ ...range, progress, summary: null });
  };
  void makeFor(deps, viewer, range, tell)
    .then(async (id) => {
      const summary = await showMade(deps, viewer, id, 'conversationId');
      stream.push({ ...range, progress: 1, summary });
      stream.end();
    })
    .catch((error: unknown) => stream.fail(error));
  return stream;
}

/**
 * A page of the summaries that the viewer may see of a conversation, the latest first.
 * @throws {ChatError} BAD_USER_INPUT; FORBIDDEN to who is not a member.
 */
export async function pageOfSummaries(
  { config }: Deps,
  { id }: Conversation,
  args: PageArgs,
  read: (conversationId: string, page: SummariesPage) => Promise<Summary[] | null>,
): Promise<Page<Summary>> {
  const list = `summaries:${id}`;
  const page = readPageArgs(list, args, ['date', 'uuid'], config);
  const from = page.from ? ([page.from[0].toISOString(), page.from[1]] as const) : null;
  const rows = await read(id, { behind: from, limit: page.size + 1 });
  if (!rows) throw new ChatError('FORBIDDEN', 'Join this group to read its summaries.');
  return toPage(list, page, rows, (row) => [row.createdAt, row.id]);
}
