import { encodeGlobalId, idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { asksDatabase, atMost } from '../../graphql/costs.js';
import { defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { Message } from '../message/message.schema.js';
import { loadUser, User } from '../user/user.schema.js';
import { pageOfReports, reportMessage, resolveReport } from './report.service.js';
import { findReportedAt, type ReportedFile as ReportedFileRow, type Report as ReportRow } from './report.store.js';

const ReportReason = builder.enumType('ReportReason', {
  description: 'Why something is reported. Treat an unknown value like OTHER.',
  values: {
    SPAM: { description: 'It is unwanted advertising, or sent to many users.' },
    HARASSMENT: { description: 'It insults, threatens or bullies a person.' },
    HATE: { description: 'It attacks people for their origin, religion, gender or another property that they share.' },
    VIOLENCE: { description: 'It threatens, shows or glorifies violence.' },
    SEXUAL_CONTENT: { description: 'It is unwanted sexual content.' },
    SELF_HARM: { description: 'A person may harm themselves.' },
    ILLEGAL: { description: 'It is against the law.' },
    OTHER: { description: 'Another reason, which the comment explains.' },
  },
});

const ReportState = builder.enumType('ReportState', {
  description: 'Whether a report waits for a decision.',
  values: {
    OPEN: { description: 'No moderator has decided yet.' },
    RESOLVED: { description: 'A moderator has decided.' },
  },
});

const ReportResolution = builder.enumType('ReportResolution', {
  description: 'The decision about a report. Treat an unknown value as a decision that a newer server introduced.',
  values: {
    DISMISSED: { description: 'Nothing has to be done.' },
    ACTION_TAKEN: { description: 'Something was done, such as suspending the user.' },
  },
});

const ReportProof = builder.enumType('ReportProof', {
  description:
    'What proves that the sender wrote the message in a report. Treat an unknown value as a proof that a newer server introduced.',
  values: {
    STORED: { description: 'The message is not encrypted: the server copied it when it was reported.' },
    VERIFIED: {
      description:
        'The message is encrypted. The reporter revealed its key, and the server verified that a device of the sender has signed it. The server stored exactly this content when it was reported.',
    },
    SIGNED: {
      description:
        'The message is encrypted, and was edited or deleted before the report. A device of the sender has signed this version; the server can no longer verify that it was delivered.',
    },
  },
});

const ReportedFile = builder.objectRef<ReportedFileRow>('ReportedFile').implement({
  description: 'A file of a reported message. The report does not contain its bytes.',
  fields: (t) => ({
    name: t.exposeString('name', { nullable: false, description: 'The name of the file.' }),
    contentType: t.exposeString('contentType', {
      nullable: false,
      description: 'The type of the content. In an encrypted message, it is what the sender stated.',
    }),
    byteSize: t.exposeInt('byteSize', { nullable: false, description: 'The size in bytes.' }),
  }),
});

/** The maximum number of files in a report. */
const FILES_MAX = 100;

const ReportedMessage = builder.objectRef<ReportRow>('ReportedMessage').implement({
  description: 'A message as it was when it was reported. Later edits and deletions do not change this copy.',
  fields: (t) => ({
    messageId: t.id({
      nullable: false,
      description: 'The id of the message.',
      resolve: ({ messageId }) => encodeGlobalId('Message', messageId),
    }),
    conversationId: t.id({
      nullable: false,
      description: 'The id of the conversation that contains the message.',
      resolve: ({ conversationId }) => encodeGlobalId('Conversation', conversationId),
    }),
    sender: t.field({
      type: User,
      description:
        'The user who sent the message, or the placeholder if they have deleted their account. It is null only if this field causes an error.',
      resolve: ({ reportedUserId }, _args, context) => loadUser(context, reportedUserId),
    }),
    text: t.exposeString('text', { description: 'The text. It is null if the message consists of files only.' }),
    earlierTexts: t.exposeStringList('earlierTexts', {
      nullable: { list: false, items: false },
      description:
        'The texts before edits, oldest first, as far as the server stores them. The list is empty for encrypted messages.',
    }),
    files: t.field({
      type: [ReportedFile],
      extensions: atMost(FILES_MAX),
      nullable: { list: false, items: false },
      description: 'The files of the message.',
      resolve: ({ files }) => files as unknown as ReportedFileRow[],
    }),
    proof: t.expose('proof', {
      type: ReportProof,
      nullable: false,
      description: 'What proves that the sender wrote the message.',
    }),
    sentAt: t.expose('sentAt', { type: 'DateTime', nullable: false, description: 'When the message was sent.' }),
    editedAt: t.expose('editedAt', {
      type: 'DateTime',
      description: 'When the message was last edited before it was reported, or null.',
    }),
    deletedAt: t.expose('deletedAt', {
      type: 'DateTime',
      description: 'When the message was deleted if that was before it was reported, or null.',
    }),
  }),
});

const ReportTarget = builder.unionType('ReportTarget', {
  description: 'What was reported. Newer servers can add types.',
  types: [ReportedMessage],
  resolveType: () => ReportedMessage,
});

const Report = builder.objectRef<ReportRow>('Report').implement({
  description: 'A report to the moderators of the service.',
  fields: (t) => ({
    id: t.globalID({
      nullable: false,
      description: 'Identifies the report.',
      resolve: ({ id }) => ({ type: 'Report', id }),
    }),
    target: t.field({
      type: ReportTarget,
      nullable: false,
      description: 'What was reported.',
      resolve: (report) => report,
    }),
    reporter: t.field({
      type: User,
      description: 'The user who reported. It is null if the user has deleted their account.',
      resolve: ({ reporterId }, _args, context) => (reporterId === null ? null : loadUser(context, reporterId)),
    }),
    reason: t.expose('reason', { type: ReportReason, nullable: false, description: 'Why it was reported.' }),
    comment: t.exposeString('comment', {
      description: 'What the reporter wrote about it. It is null if they wrote nothing or have deleted their account.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', nullable: false, description: 'When it was reported.' }),
    state: t.field({
      type: ReportState,
      nullable: false,
      description: 'Whether the report waits for a decision.',
      resolve: ({ resolvedAt }) => (resolvedAt === null ? ('OPEN' as const) : ('RESOLVED' as const)),
    }),
    resolution: t.expose('resolution', {
      type: ReportResolution,
      description: 'The decision, or null while the report is open.',
    }),
    resolvedAt: t.expose('resolvedAt', {
      type: 'DateTime',
      description: 'When a moderator decided, or null while the report is open.',
    }),
    resolvedBy: t.field({
      type: User,
      description: 'The moderator who decided, or null while the report is open.',
      resolve: ({ resolvedById }, _args, context) => (resolvedById === null ? null : loadUser(context, resolvedById)),
    }),
  }),
});

const ReportConnection = builder.connectionObject({ type: Report, name: 'ReportConnection' }, { name: 'ReportEdge' });

const ReportsFilter = builder.inputType('ReportsFilter', {
  description: 'Conditions on reports. A report must match all conditions that are given.',
  fields: (t) => ({ state: t.field({ type: ReportState, description: 'Whether the report waits for a decision.' }) }),
});

builder.queryField('reports', (t) =>
  t.field({
    type: ReportConnection,
    description:
      'The reports of users to the moderators, latest first, without those about the viewer. Only moderators and admins of the service are allowed to read them; for others the error is FORBIDDEN. Reading them is recorded in the audit log.',
    args: {
      filter: t.arg({ type: ReportsFilter, description: 'Conditions that the reports must match.' }),
      ...forwardArgs,
    },
    resolve: (_root, { filter, ...page }, context) => {
      const isOpen = filter?.state == null ? undefined : filter.state === 'OPEN';
      return pageOfReports(context.deps, viewerOf(context), { isOpen }, page);
    },
  }),
);

const loadReportedAt = defineLoader((context, ids) =>
  findReportedAt(context.deps.database.db, viewerOf(context).userId, ids),
);

builder.prismaObjectField(Message, 'viewerReportedAt', (t) =>
  t.field({
    type: 'DateTime',
    description:
      'When the viewer last reported the message, or null if they did not. It becomes null when the report is deleted after its retention. Nobody else can see it.',
    extensions: asksDatabase,
    resolve: ({ id }, _args, context) => loadReportedAt(context, id),
  }),
);

const DisclosureInput = builder.inputType('MessageDisclosureInput', {
  description:
    'What a client reveals of one encrypted message, as it received it. It opens this version of the message and nothing else.',
  fields: (t) => ({
    generation: t.int({ required: true, description: 'The generation of the group in which it was encrypted.' }),
    epoch: t.int({ required: true, description: 'The epoch in which it was encrypted.' }),
    deviceId: t.id({ required: true, description: 'The device of the sender that encrypted it.' }),
    content: t.field({ type: 'Bytes', required: true, description: 'The encrypted content.' }),
    messageKey: t.field({
      type: 'Bytes',
      required: true,
      description: 'The key of this version of the message, which is derived from the key of the epoch.',
    }),
  }),
});

addViewerMutation('reportMessage', {
  description:
    'Reports a message of another user to the moderators of the service, who receive a copy of it. The sender does not learn of it. If the viewer has an open report of the message, it remains unchanged. Only users who can see the message can report it.',
  input: (t) => ({
    messageId: t.id({ required: true, description: 'The message.' }),
    reason: t.field({ type: ReportReason, required: true, description: 'Why it is reported.' }),
    comment: t.string({
      description: 'A comment for the moderators: at most `serverInfo.limits.reportCommentMaxChars` characters.',
    }),
    disclosure: t.field({
      type: DisclosureInput,
      description:
        'For an encrypted message, its key with which the server verifies the report. If it does not prove that a device of the sender has encrypted the message, the error is BAD_USER_INPUT with the field `input.disclosure`. It can be a version from before an edit or the deletion.',
    }),
  }),
  ids: { messageId: 'Message' },
  hasOwnRate: true,
  payload: payloadOf((t) => ({
    message: t.field({ type: Message, nullable: false, description: 'The message, with `viewerReportedAt`.' }),
  })),
  run: async (deps, viewer, { disclosure, ...input }) => {
    const deviceId = disclosure && idOf('Device', disclosure.deviceId, 'input.disclosure.deviceId');
    const given = disclosure && deviceId ? { ...disclosure, deviceId } : undefined;
    return { message: await reportMessage(deps, viewer, { ...input, disclosure: given }) };
  },
});

addViewerMutation('resolveReport', {
  description:
    'Resolves a report. Resolving a resolved report has no effect. Only moderators and admins of the service are allowed to do this, except for reports about themselves.',
  input: (t) => ({
    reportId: t.id({ required: true, description: 'The report.' }),
    resolution: t.field({ type: ReportResolution, required: true, description: 'The decision.' }),
  }),
  ids: { reportId: 'Report' },
  payload: payloadOf((t) => ({
    report: t.field({ type: Report, nullable: false, description: 'The report afterwards.' }),
  })),
  run: async (deps, viewer, input) => ({ report: await resolveReport(deps, viewer, input) }),
});
