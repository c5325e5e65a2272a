import { gone } from '../../core/errors.js';
import { encodeGlobalId, idOf, NOBODYS_ID } from '../../core/ids.js';
import type { Message as MessageRow, Summary as SummaryRow } from '../../generated/prisma/client.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { type Context, viewerOf } from '../../graphql/context.js';
import { atMost } from '../../graphql/costs.js';
import { defineListLoader, defineLoader } from '../../graphql/loader.js';
import { Conversation, loadConversation } from '../conversation/conversation.schema.js';
import { Message } from '../message/message.schema.js';
import { loadUser } from '../user/user.schema.js';
import {
  pageOfSummaries,
  type SummaryProgress as SummaryProgressShape,
  streamSummary,
  summarizeConversation,
} from './summary.service.js';
import { findCited, findSummaries, findVisible, type SummariesPage } from './summary.store.js';
import { type Point, peopleIn, type pointKinds, withNames } from './summary.transcript.js';

const SummaryHighlightKind = builder.enumType('SummaryHighlightKind', {
  description: 'The kind of a point, as far as the summarizer can determine it. Treat an unknown value as POINT.',
  values: {
    DECISION: { description: 'A decision.' },
    TASK: { description: 'A task that someone takes on or is asked to do.' },
    QUESTION: { description: 'A question that has not been answered.' },
    ANSWER: { description: 'An answer to a question.' },
    NEWS: { description: 'A piece of news.' },
    POINT: { description: 'Any other point.' },
  } satisfies Record<(typeof pointKinds)[number], object>,
});

/** The maximum number of messages of a point in a response. A model can base a point on any number of them. */
const CITED_MAX = 10;

/** A point and its conversation. */
type Highlight = Point & { conversationId: string };

/** Reads the messages of all highlights of a response with one statement. */
const loadCited = defineLoader((context, keys) => findCited(context.deps.database.db, viewerOf(context).userId, keys));

/** A stored text with the present names of users. */
async function named(context: Context, text: string): Promise<string> {
  const people = await Promise.all(peopleIn([text]).map((id) => loadUser(context, id)));
  const names = new Map(people.flatMap((user) => (user ? [[user.id, user.displayName]] : [])));
  return withNames(text, (id) => names.get(id));
}

const SummaryHighlight = builder.objectRef<Highlight>('SummaryHighlight').implement({
  description: 'A main point of a summary.',
  fields: (t) => ({
    text: t.string({
      nullable: false,
      description:
        'The text of the point. The embedded summarizer quotes what was said with the name of its author, one line for each message.',
      resolve: ({ text }, _args, context) => named(context, text),
    }),
    kind: t.expose('kind', { type: SummaryHighlightKind, description: 'The kind of the point.', nullable: false }),
    topic: t.exposeInt('topic', {
      nullable: false,
      description: 'The number of the topic. Points with the same number belong to the same topic.',
    }),
    messages: t.field({
      type: [Message],
      extensions: atMost(CITED_MAX),
      nullable: { list: false, items: false },
      description: `The messages that the point is based on: the first ${CITED_MAX} if there are more. There is always at least one.`,
      resolve: async ({ conversationId, seqs }, _args, context) => {
        const cited = seqs.slice(0, CITED_MAX);
        const messages = await Promise.all(cited.map((seq) => loadCited(context, `${conversationId} ${seq}`)));
        return messages.filter((message): message is MessageRow => message !== null);
      },
    }),
  }),
});

const loadVisible = defineLoader((context, ids) =>
  findVisible(context.deps.database.db, viewerOf(context).userId, ids),
);

const pointsOf = ({ highlights }: SummaryRow) => highlights as unknown as Point[];

const Summary = builder.prismaNode('Summary', {
  id: { field: 'id' },
  nullable: true,
  // An id that the viewer must not see is replaced by one that does not exist.
  findUnique: async (id, context) => ({ id: (await loadVisible(context, id)) ? id : NOBODYS_ID }),
  description:
    'The main points of a range of messages. Only members who can read all of these messages can see it. Content that is edited or deleted disappears from it immediately.',
  fields: (t) => ({
    conversation: t.field({
      type: Conversation,
      description: 'The conversation.',
      nullable: false,
      resolve: ({ conversationId }, _args, context) =>
        loadConversation(context, conversationId).then((conversation) => conversation ?? gone('Conversation')),
    }),
    text: t.string({
      nullable: false,
      description: 'The whole summary as one text, with the current names of users.',
      resolve: (summary, _args, context) =>
        named(
          context,
          summary.text ||
            pointsOf(summary)
              .map(({ text }) => text)
              .join('\n'),
        ),
    }),
    highlights: t.field({
      type: [SummaryHighlight],
      extensions: atMost('summaryHighlightsMax'),
      nullable: { list: false, items: false },
      description:
        'The main points with the messages that they are based on, grouped by topic and in the order of the messages.',
      resolve: (summary) => pointsOf(summary).map((point) => ({ ...point, conversationId: summary.conversationId })),
    }),
    fromSeq: t.exposeInt('fromSeq', { nullable: false, description: 'The `seq` of the first message of the range.' }),
    toSeq: t.exposeInt('toSeq', { nullable: false, description: 'The `seq` of the last message of the range.' }),
    messageCount: t.exposeInt('messageCount', {
      nullable: false,
      description:
        'The number of messages that the summary covers: those in the range that users wrote and that had not been deleted.',
    }),
    stale: t.exposeBoolean('stale', {
      nullable: false,
      description:
        'Whether a message in the range was edited or deleted after the summary was created. The summary no longer contains that content. Summarize again to create a new summary.',
    }),
    model: t.exposeString('model', {
      nullable: false,
      description:
        'The summarizer: `extractive` for the embedded one, which quotes messages, or the name of the model, which writes its own text.',
    }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      description: 'When the summary was created.',
      nullable: false,
    }),
  }),
});

const SummaryConnection = builder.connectionObject(
  { type: Summary, name: 'SummaryConnection' },
  { name: 'SummaryEdge' },
);

/** Reads the same page of all conversations of a list together. */
const loadSummaries = defineListLoader((context, ids, page: SummariesPage) =>
  findSummaries(context.deps.database.db, viewerOf(context).userId, ids, page),
);

builder.prismaObjectField(Conversation, 'summaries', (t) =>
  t.field({
    type: SummaryConnection,
    description:
      'Existing summaries of messages that the viewer can read, newest first, including those that other members requested. The error is FORBIDDEN if the viewer is not a member.',
    args: forwardArgs,
    resolve: (conversation, args, context) =>
      pageOfSummaries(context.deps, conversation, args, (id, page) => loadSummaries(context, id, page)),
  }),
);

const seqArgs = {
  fromSeq:
    'The `seq` of the first message, by default that of the first message that the viewer has not read. Messages that the viewer cannot read are left out.',
  toSeq: 'The `seq` of the last message, by default that of the newest message.',
};

const SummarizeConversationInput = builder.inputType('SummarizeConversationInput', {
  fields: (t) => ({
    conversationId: t.id({ required: true, description: 'The conversation to summarize.' }),
    fromSeq: t.int({ description: seqArgs.fromSeq }),
    toSeq: t.int({ description: seqArgs.toSeq }),
  }),
});
const SummarizeConversationPayload = builder.simpleObject('SummarizeConversationPayload', {
  fields: (t) => ({ summary: t.field({ type: Summary, description: 'The summary.', nullable: false }) }),
});

builder.mutationField('summarizeConversation', (t) =>
  t.field({
    type: SummarizeConversationPayload,
    description:
      'Summarizes a range of at most `serverInfo.limits.summaryMessagesMax` messages. An existing summary of the same range is returned if nothing in the range has changed. The mutation returns when the summary is complete, which can take minutes if a model server writes it. Use the subscription `summaryProgress` to follow the progress.',
    args: { input: t.arg({ type: SummarizeConversationInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const conversationId = idOf('Conversation', input.conversationId, 'input.conversationId');
      return { summary: await summarizeConversation(context.deps, viewer, { ...input, conversationId }) };
    },
  }),
);

const SummaryProgress = builder.objectRef<SummaryProgressShape>('SummaryProgress').implement({
  description: 'The progress of a summary.',
  fields: (t) => ({
    conversationId: t.id({
      nullable: false,
      description: 'The id of the conversation.',
      resolve: ({ conversationId }) => encodeGlobalId('Conversation', conversationId),
    }),
    fromSeq: t.exposeInt('fromSeq', { nullable: false, description: 'The `seq` of the first message of the range.' }),
    toSeq: t.exposeInt('toSeq', { nullable: false, description: 'The `seq` of the last message of the range.' }),
    progress: t.exposeFloat('progress', {
      nullable: false,
      description: 'The progress from 0 to 1. It never decreases.',
    }),
    summary: t.field({
      type: Summary,
      description: 'The summary. It is null in all events but the last.',
      resolve: async ({ summary }, _args, context) => summary && loadVisible(context, summary.id),
    }),
  }),
});

builder.subscriptionField('summaryProgress', (t) =>
  t.field({
    type: SummaryProgress,
    nullable: false,
    description:
      'Summarizes messages like `summarizeConversation`, and delivers the progress and finally the summary. Then the stream completes. If a server process is already creating the same summary, the stream reports the progress of that one. This stream cannot be resumed.',
    args: {
      conversationId: t.arg.id({ required: true, description: 'The conversation to summarize.' }),
      fromSeq: t.arg.int({ description: seqArgs.fromSeq }),
      toSeq: t.arg.int({ description: seqArgs.toSeq }),
    },
    subscribe: (_root, { conversationId, ...ends }, context) =>
      streamSummary(context.deps, viewerOf(context), context, {
        ...ends,
        conversationId: idOf('Conversation', conversationId, 'conversationId'),
      }),
    resolve: (event) => event,
  }),
);
