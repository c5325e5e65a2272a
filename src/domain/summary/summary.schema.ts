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
import { type Point, peopleIn, type pointKinds, withNames } from './summary.talk.js';

const SummaryHighlightKind = builder.enumType('SummaryHighlightKind', {
  description: 'What a point is, as far as that can be told. Treat an unknown one as POINT.',
  values: {
    DECISION: {},
    TASK: { description: 'Somebody takes it on, or is to do it.' },
    QUESTION: { description: 'Still open.' },
    ANSWER: { description: 'Of a question that was asked.' },
    NEWS: {},
    POINT: {},
  } satisfies Record<(typeof pointKinds)[number], object>,
});

/** A point, and whose it is. */
type Highlight = Point & { conversationId: string };

/** One statement for all highlights of an answer. */
const loadCited = defineLoader((context, keys) => findCited(context.deps.database.db, viewerOf(context).userId, keys));

/** A stored text with the names that people have now. */
async function named(context: Context, text: string): Promise<string> {
  const people = await Promise.all(peopleIn([text]).map((id) => loadUser(context, id)));
  const names = new Map(people.flatMap((user) => (user ? [[user.id, user.displayName]] : [])));
  return withNames(text, (id) => names.get(id));
}

const SummaryHighlight = builder.objectRef<Highlight>('SummaryHighlight').implement({
  description: 'A point worth reading.',
  fields: (t) => ({
    text: t.string({
      nullable: false,
      description: 'Of the embedded summarizer what was said, with who said it; a line for each of its messages.',
      resolve: ({ text }, _args, context) => named(context, text),
    }),
    kind: t.expose('kind', { type: SummaryHighlightKind, nullable: false }),
    topic: t.exposeInt('topic', {
      nullable: false,
      description: 'Highlights with the same number are of one topic.',
    }),
    messages: t.field({
      type: [Message],
      nullable: { list: false, items: false },
      description: 'The messages that it stands on: never none.',
      resolve: async ({ conversationId, seqs }, _args, context) => {
        const messages = await Promise.all(seqs.map((seq) => loadCited(context, `${conversationId} ${seq}`)));
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
  // What is not for the viewer is looked up as what cannot be there.
  findUnique: async (id, context) => ({ id: (await loadVisible(context, id)) ? id : NOBODYS_ID }),
  description:
    'Some messages condensed into the points worth reading. To be seen by members who may see all of these messages. What somebody edits or deletes is gone from it at once.',
  fields: (t) => ({
    conversation: t.field({
      type: Conversation,
      nullable: false,
      resolve: ({ conversationId }, _args, context) =>
        loadConversation(context, conversationId).then((conversation) => conversation ?? gone('Conversation')),
    }),
    text: t.string({
      nullable: false,
      description: 'To be read as one. With names that people have now.',
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
      description: 'The points worth reading, each with the messages that it stands on; by topic, then in their order.',
      resolve: (summary) => pointsOf(summary).map((point) => ({ ...point, conversationId: summary.conversationId })),
    }),
    fromSeq: t.exposeInt('fromSeq', { nullable: false }),
    toSeq: t.exposeInt('toSeq', { nullable: false }),
    messageCount: t.exposeInt('messageCount', {
      nullable: false,
      description: 'How many messages it is of: those of its range that somebody wrote and nobody had deleted.',
    }),
    stale: t.exposeBoolean('stale', {
      nullable: false,
      description:
        'Something in its range was edited or deleted since; what it said of that is gone. Summarize once more for a new one.',
    }),
    model: t.exposeString('model', {
      nullable: false,
      description:
        'Which summarizer wrote it: `extractive` is the embedded one, which quotes; else the name of the model, which writes in words of its own.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', nullable: false }),
  }),
});

const SummaryConnection = builder.connectionObject(
  { type: Summary, name: 'SummaryConnection' },
  { name: 'SummaryEdge' },
);

/** The same page of all conversations of a list together. */
const loadSummaries = defineListLoader((context, ids, page: SummariesPage) =>
  findSummaries(context.deps.database.db, viewerOf(context).userId, ids, page),
);

builder.prismaObjectField(Conversation, 'summaries', (t) =>
  t.field({
    type: SummaryConnection,
    description:
      'Summaries that were made, by whomever, of messages that the viewer may see: the latest first. To who is not a member: FORBIDDEN.',
    args: forwardArgs,
    resolve: (conversation, args, context) =>
      pageOfSummaries(context.deps, conversation, args, (id, page) => loadSummaries(context, id, page)),
  }),
);

const seqArgs = {
  fromSeq:
    'By default the first message that the viewer has not read. What was said before they may see any is left out.',
  toSeq: 'Included; by default the newest.',
};

const SummarizeConversationInput = builder.inputType('SummarizeConversationInput', {
  fields: (t) => ({
    conversationId: t.id({ required: true }),
    fromSeq: t.int({ description: seqArgs.fromSeq }),
    toSeq: t.int({ description: seqArgs.toSeq }),
  }),
});
const SummarizeConversationPayload = builder.simpleObject('SummarizeConversationPayload', {
  fields: (t) => ({ summary: t.field({ type: Summary, nullable: false }) }),
});

builder.mutationField('summarizeConversation', (t) =>
  t.field({
    type: SummarizeConversationPayload,
    description:
      'The points worth reading of a range of messages, at most `serverInfo.limits.summaryMessagesMax`. One that was made of the same range comes again as long as nothing in it changed. Answers when it is made, which can take long where a model server writes it: `summaryProgress` tells how far it is.',
    args: { input: t.arg({ type: SummarizeConversationInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const conversationId = idOf('Conversation', input.conversationId, 'input.conversationId');
      return { summary: await summarizeConversation(context.deps, viewer, { ...input, conversationId }) };
    },
  }),
);

const SummaryProgress = builder.objectRef<SummaryProgressShape>('SummaryProgress').implement({
  description: 'How far a summary is.',
  fields: (t) => ({
    conversationId: t.id({
      nullable: false,
      resolve: ({ conversationId }) => encodeGlobalId('Conversation', conversationId),
    }),
    fromSeq: t.exposeInt('fromSeq', { nullable: false }),
    toSeq: t.exposeInt('toSeq', { nullable: false }),
    progress: t.exposeFloat('progress', { nullable: false, description: 'From 0 to 1; never less than before.' }),
    summary: t.field({
      type: Summary,
      description: 'Of the last event.',
      resolve: async ({ summary }, _args, context) => summary && loadVisible(context, summary.id),
    }),
  }),
});

builder.subscriptionField('summaryProgress', (t) =>
  t.field({
    type: SummaryProgress,
    nullable: false,
    description:
      'The same as summarizeConversation, told while it happens: how far it is, at last the summary; then it completes. One that is being made already, on whichever node, is waited for. It begins anew after a break.',
    args: {
      conversationId: t.arg.id({ required: true }),
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
