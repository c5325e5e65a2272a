import { gone } from '../../core/errors.js';
import { encodeGlobalId, idOf, NOBODYS_ID } from '../../core/ids.js';
import type { Page } from '../../core/page.js';
import type { StatusView as StatusViewRow } from '../../generated/prisma/client.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { type Context, viewerOf } from '../../graphql/context.js';
import { asksDatabase, atMost } from '../../graphql/costs.js';
import { defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, type InputFields, payloadOf } from '../../graphql/mutation.js';
import { shared, sharedField } from '../../graphql/sharing.js';
import { Attachment } from '../media/media.schema.js';
import { addSendMessageField, Message, type Preloaded } from '../message/message.schema.js';
import { loadUser, User, UserConnection, Viewer } from '../user/user.schema.js';
import {
  type AudienceInput,
  audienceOf,
  currentTime,
  deleteStatus,
  type FeedEntry,
  feedOf,
  markStatusesViewed,
  muteStatuses,
  ownStatuses,
  pageOfMutes,
  pageOfViews,
  postStatus,
  previewAudience,
  setStatusAudience,
  setStatusViewsReported,
} from './status.service.js';
import {
  type Audience,
  countViews,
  type FeedStatus,
  findFiles,
  findReplies,
  findReporting,
  findVisible,
  type StatusReplyInfo,
  type Status as StatusRow,
  viewedLookup,
} from './status.store.js';
import { type StatusEvent as StatusEventShape, streamStatuses } from './status.stream.js';

// The length of lists as far as the cost of an operation depends on it. Their maximum would exclude the usual query.
const TYPICAL_AUTHORS = 50;
const TYPICAL_STATUSES = 10;
const TYPICAL_LISTED = 100;

const loadStatus = defineLoader((context, ids) =>
  findVisible(context.deps.database.sql, viewerOf(context).userId, ids),
);
const loadFile = defineLoader((context, ids) => findFiles(context.deps.database.db, ids));
const loadViewCount = defineLoader((context, ids) => countViews(context.deps.database.db, ids));
const loadReporting = defineLoader((context, ids) => findReporting(context.deps.database.db, ids));
const loadReply = defineLoader((context, ids) =>
  findReplies(
    context.deps.database.db,
    ids.map((id) => ({ id, statusReply: true })),
  ),
);

/** Whether the viewer can see who has viewed a status: only its author, and only one who reports views as well. */
const canSeeViews = async ({ authorId }: StatusRow, context: Context): Promise<boolean> =>
  authorId === viewerOf(context).userId && (await loadReporting(context, authorId)) === true;

const StatusView = builder.objectRef<StatusViewRow>('StatusView').implement({
  description: 'A view of a status by a user.',
  fields: (t) => ({
    user: t.field({
      type: User,
      nullable: false,
      description: 'The user who has viewed it.',
      resolve: ({ viewerId }, _args, context) => loadUser(context, viewerId).then((user) => user ?? gone('User')),
    }),
    viewedAt: t.expose('viewedAt', {
      type: 'DateTime',
      nullable: false,
      description: 'When the user viewed it for the first time.',
    }),
  }),
});

const StatusViewConnection = builder.connectionObject(
  { type: StatusView, name: 'StatusViewConnection' },
  { name: 'StatusViewEdge' },
);

export const Status = builder.prismaNode('Status', {
  id: { field: 'id' },
  nullable: true,
  // A status that the viewer cannot see is looked up with an id that does not exist.
  findUnique: async (id, context) => ({ id: (await loadStatus(context, id)) ? id : NOBODYS_ID }),
  description:
    'A text, image or video that the author shows to contacts for a limited time. A user can see it if both have each other as contacts, neither has blocked the other, and the audience of the status contains the user. After `expiresAt`, it can no longer be queried.',
  extensions: shared('id', 'author', 'text', 'style', 'attachment', 'createdAt', 'expiresAt'),
  fields: (t) => ({
    author: t.field({
      type: User,
      nullable: false,
      description: 'The user who posted it.',
      resolve: ({ authorId }, _args, context) => loadUser(context, authorId).then((user) => user ?? gone('User')),
    }),
    text: t.exposeString('text', {
      description: 'The text, or the caption of the attachment. It is null if there is none.',
    }),
    style: t.exposeString('style', {
      description:
        'The name of a style in which to display the text, such as a background, as given to `postStatus`. Clients define these names; the server does not interpret them. It is null if none was given.',
    }),
    attachment: t.field({
      type: Attachment,
      description:
        'The image or video. It is null if the status is only a text. Only the author sees the status before the attachment is READY.',
      resolve: ({ id }, _args, context) => loadFile(context, id),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', nullable: false, description: 'When it was posted.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: false,
      description:
        'When it expires. From that time, it can no longer be queried, and clients must not display it any more.',
    }),
    viewerHasViewed: t.boolean({
      nullable: false,
      description: 'Whether the viewer has marked it as viewed. It is true for own statuses.',
      resolve: ({ id: statusId, authorId, isViewed }: StatusRow & Partial<FeedStatus>, _args, context) => {
        const { userId: viewerId } = viewerOf(context);
        return authorId === viewerId || (isViewed ?? viewedLookup.of(context.deps)({ viewerId, statusId }));
      },
    }),
    viewCount: t.int({
      description:
        'The number of users who have viewed it and report their views. It is null for everybody but the author, and for an author with `viewer.statusViewsReported` false.',
      extensions: asksDatabase,
      resolve: async (status, _args, context) =>
        (await canSeeViews(status, context)) ? ((await loadViewCount(context, status.id)) ?? 0) : null,
    }),
    views: t.field({
      type: StatusViewConnection,
      description: 'The views that `viewCount` counts, latest first. It is null whenever `viewCount` is.',
      args: forwardArgs,
      resolve: async (status, args, context): Promise<Page<StatusViewRow> | null> =>
        (await canSeeViews(status, context)) ? pageOfViews(context.deps, status.id, args) : null,
    }),
  }),
});

// ── audiences ──

const StatusAudienceMode = builder.enumType('StatusAudienceMode', {
  description: 'Which mutual contacts of the author can see a status.',
  values: {
    CONTACTS: { description: 'All mutual contacts.' },
    CONTACTS_EXCEPT: { description: 'All mutual contacts except the listed users.' },
    ONLY: { description: 'Only the listed users, as far as they are mutual contacts.' },
  },
});

const StatusAudience = builder.objectRef<Audience>('StatusAudience').implement({
  description: 'Who can see a status: mutual contacts of the author, that is users who have each other as contacts.',
  fields: (t) => ({
    mode: t.expose('mode', { type: StatusAudienceMode, nullable: false, description: 'Which mutual contacts.' }),
    users: t.field({
      type: [User],
      nullable: { list: false, items: false },
      description: 'The listed users, without deleted ones. It is empty for CONTACTS.',
      extensions: atMost(TYPICAL_LISTED),
      resolve: async ({ listedIds }, _args, context) => {
        const users = await Promise.all(listedIds.map((id) => loadUser(context, id)));
        return users.flatMap((user) => (user && !user.deletedAt ? [user] : []));
      },
    }),
  }),
});

const audienceFields = (t: InputFields) => ({
  mode: t.field({ type: StatusAudienceMode, required: true, description: 'Which mutual contacts can see a status.' }),
  userIds: t.idList({
    description:
      'The listed users, at most `serverInfo.limits.statusListedMax`. It must be absent or empty for CONTACTS.',
  }),
});

const StatusAudienceInput = builder.inputType('StatusAudienceInput', {
  description: 'Who can see a status.',
  fields: audienceFields,
});

/** An audience whose ids are those of rows. */
const audienceInputOf = (
  { mode, userIds }: { mode: AudienceInput['mode']; userIds?: readonly (string | number)[] | null | undefined },
  path: string,
): AudienceInput => ({ mode, userIds: userIds?.map((id, index) => idOf('User', id, `${path}.userIds.${index}`)) });

// ── the feed ──

const StatusFeedEntry = builder.objectRef<FeedEntry>('StatusFeedEntry').implement({
  description: 'The statuses of one author that the viewer can see.',
  fields: (t) => ({
    author: t.field({ type: User, nullable: false, description: 'The author.', resolve: ({ author }) => author }),
    statuses: t.field({
      type: [Status],
      nullable: { list: false, items: false },
      description: 'The statuses, oldest first.',
      extensions: atMost(TYPICAL_STATUSES),
      resolve: ({ statuses }) => statuses,
    }),
    hasUnviewed: t.exposeBoolean('hasUnviewed', {
      nullable: false,
      description: 'Whether the viewer has not viewed at least one of them.',
    }),
    muted: t.exposeBoolean('muted', { nullable: false, description: 'Whether the viewer has muted the author.' }),
  }),
});

const AudiencePreview = builder.connectionObject(
  {
    type: User,
    name: 'StatusAudienceConnection',
    fields: (t) => ({
      totalCount: t.int({
        nullable: false,
        description: 'The number of all users in the audience.',
        extensions: asksDatabase,
        resolve: (page) => (page as unknown as { count: () => Promise<number> }).count(),
      }),
    }),
  },
  { name: 'StatusAudienceEdge' },
);

builder.prismaObjectFields(Viewer, (t) => ({
  statusFeed: t.field({
    type: [StatusFeedEntry],
    nullable: { list: false, items: false },
    description:
      'The statuses of others that the viewer can see, by author: first the authors with statuses that the viewer has not viewed, then by their newest status. For its cost, it counts as a list of 50 authors with 10 statuses each.',
    args: {
      includeMuted: t.arg.boolean({
        required: true,
        defaultValue: false,
        description: 'Whether to include authors whom the viewer has muted.',
      }),
    },
    extensions: atMost(TYPICAL_AUTHORS),
    resolve: (_viewer, { includeMuted }, context) => feedOf(context.deps, viewerOf(context), includeMuted),
  }),
  statuses: t.field({
    type: [Status],
    nullable: { list: false, items: false },
    description: "The viewer's own statuses that have not expired, oldest first.",
    extensions: atMost('statusesMax'),
    resolve: (_viewer, _args, context) => ownStatuses(context.deps, viewerOf(context)),
  }),
  statusAudience: t.field({
    type: StatusAudience,
    nullable: false,
    description: "The audience of the viewer's next statuses. Before the first change, it is CONTACTS.",
    resolve: (_viewer, _args, context) => audienceOf(context.deps, viewerOf(context)),
  }),
  statusAudiencePreview: t.field({
    type: AudiencePreview,
    nullable: false,
    description: 'Exactly the users who would see a status that the viewer posted now.',
    args: {
      audience: t.arg({
        type: StatusAudienceInput,
        description: 'The audience. The default is `viewer.statusAudience`.',
      }),
      ...forwardArgs,
    },
    resolve: async (_viewer, { audience, ...args }, context) => {
      const wanted = audience == null ? null : audienceInputOf(audience, 'audience');
      const { page, count } = await previewAudience(context.deps, viewerOf(context), { ...args, audience: wanted });
      return { ...page, count };
    },
  }),
  statusViewsReported: t.boolean({
    nullable: false,
    description:
      "Whether the viewer's views are reported to the authors of statuses. If not, the viewer cannot see who has viewed the viewer's own statuses.",
    extensions: asksDatabase,
    resolve: async (_viewer, _args, context) => (await loadReporting(context, viewerOf(context).userId)) === true,
  }),
  serverTime: t.field({
    type: 'DateTime',
    nullable: false,
    description:
      'The current time of the database, by which statuses expire. A client whose own clock differs can compute the difference.',
    extensions: asksDatabase,
    resolve: (_viewer, _args, context) => currentTime(context.deps),
  }),
  statusMutedUsers: t.field({
    type: UserConnection,
    description: 'The authors whose statuses the viewer has muted, most recently muted first.',
    args: forwardArgs,
    resolve: async (_viewer, args, context) => {
      const { edges, pageInfo } = await pageOfMutes(context.deps, viewerOf(context), args);
      return { pageInfo, edges: edges.map(({ cursor, node }) => ({ cursor, node: node.author })) };
    },
  }),
}));

// ── mutations ──

addViewerMutation('postStatus', {
  description:
    'Posts a status. A text, an attachment or both are required. Its audience is fixed when it is posted, and only becomes smaller: users who are no longer mutual contacts of the author, or have a block, can no longer see it. Repeating the same input with the same `clientStatusId` returns the first result, until it has expired.',
  input: (t) => ({
    clientStatusId: t.string({
      required: true,
      description: 'An idempotency key chosen by the client, up to 128 characters.',
    }),
    text: t.string({ description: 'The text: at most `serverInfo.limits.statusMaxChars` characters after trimming.' }),
    style: t.string({
      description:
        'The name of a style in which to display the text, at most 64 characters. Clients define these names; the server only stores them.',
    }),
    attachmentId: t.id({
      description:
        'An upload of kind IMAGE or VIDEO. While it is PROCESSING, only the author can see the status. If it is rejected, or a video turns out to be longer than `serverInfo.limits.statusVideoMaxMs`, the status is deleted.',
    }),
    audience: t.field({
      type: StatusAudienceInput,
      description: 'Who can see the status. The default is `viewer.statusAudience`.',
    }),
  }),
  ids: { attachmentId: 'Attachment' },
  payload: payloadOf((t) => ({
    status: t.field({ type: Status, nullable: false, description: 'The status.' }),
  })),
  hasOwnRate: true,
  run: async (deps, viewer, { audience, ...input }) => ({
    status: await postStatus(deps, viewer, {
      ...input,
      audience: audience == null ? null : audienceInputOf(audience, 'input.audience'),
    }),
  }),
});

addViewerMutation('deleteStatus', {
  description:
    'Deletes a status of the viewer, with its attachment. It has no effect if the status has expired or was deleted.',
  input: (t) => ({ statusId: t.id({ required: true, description: 'The status.' }) }),
  ids: { statusId: 'Status' },
  payload: payloadOf((t) => ({
    statusId: t.id({ nullable: false, description: 'The id of the deleted status.' }),
  })),
  run: async (deps, viewer, { statusId }) => {
    await deleteStatus(deps, viewer, statusId);
    return { statusId: encodeGlobalId('Status', statusId) };
  },
});

addViewerMutation('markStatusesViewed', {
  description:
    'Marks statuses as viewed. The views are reported to the authors, unless `viewer.statusViewsReported` is false. Statuses that the viewer cannot see are skipped.',
  input: (t) => ({
    statusIds: t.idList({ required: true, description: 'The statuses, at most `serverInfo.limits.statusesMax`.' }),
  }),
  ids: { statusIds: 'Status' },
  payload: payloadOf((t) => ({
    statuses: t.field({
      type: [Status],
      nullable: { list: false, items: false },
      description: 'Those of the statuses that the viewer can see.',
      extensions: atMost('statusesMax'),
    }),
  })),
  run: async (deps, viewer, { statusIds }) => ({ statuses: await markStatusesViewed(deps, viewer, statusIds) }),
});

const viewerPayload = payloadOf((t) => ({
  viewer: t.field({ type: Viewer, nullable: false, description: 'The viewer with the new setting.' }),
}));

builder.mutationField('setStatusAudience', (t) =>
  t.field({
    type: viewerPayload('SetStatusAudiencePayload'),
    description:
      "Sets the audience of the viewer's next statuses. The setting is stored and applies to all of the viewer's devices. Statuses that were posted before keep theirs.",
    args: { input: t.arg({ type: StatusAudienceInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      viewer: await setStatusAudience(context.deps, viewerOf(context), audienceInputOf(input, 'input')),
    }),
  }),
);

addViewerMutation('setStatusViewsReported', {
  description:
    "Sets whether the viewer's views are reported to the authors of statuses. If not, the viewer cannot see who has viewed the viewer's own statuses. Earlier views are not changed.",
  input: (t) => ({ reported: t.boolean({ required: true, description: 'Whether views are reported.' }) }),
  payload: viewerPayload,
  run: async (deps, viewer, { reported }) => ({ viewer: await setStatusViewsReported(deps, viewer, reported) }),
});

addViewerMutation('muteStatuses', {
  description:
    'Hides the statuses of a user from `viewer.statusFeed` and from the stream `statuses`, or shows them again. The user is not notified.',
  input: (t) => ({
    userId: t.id({ required: true, description: 'The author.' }),
    muted: t.boolean({ required: true, description: 'True to hide their statuses, false to show them.' }),
  }),
  ids: { userId: 'User' },
  payload: payloadOf((t) => ({ user: t.field({ type: User, nullable: false, description: 'The author.' }) })),
  run: async (deps, viewer, input) => ({ user: await muteStatuses(deps, viewer, input) }),
});

// ── replies ──

const StatusReply = builder.objectRef<StatusReplyInfo>('StatusReply').implement({
  description: 'The status that a message replies to.',
  extensions: shared('excerpt'),
  fields: (t) => ({
    status: t.field({
      type: Status,
      description: 'The status. It is null if it has expired, was deleted, or cannot be seen by the viewer any more.',
      resolve: ({ statusId }, _args, context) => loadStatus(context, statusId),
    }),
    excerpt: t.exposeString('excerpt', {
      description: 'The first 100 characters of its text, which remain. It is null if the status had no text.',
    }),
  }),
});

builder.prismaObjectField(Message, 'statusReply', (t) =>
  t.field({
    type: StatusReply,
    description: 'The status that this message replies to. It is null for other messages, and for deleted ones.',
    extensions: sharedField,
    resolve: ({ id, statusReply, deletedAt, parts }: Preloaded, _args, context) => {
      if (!statusReply || deletedAt) return null;
      return parts?.statusReply ?? loadReply(context, id);
    },
  }),
);

addSendMessageField(
  'replyToStatusId',
  (t) =>
    t.id({
      description:
        'The status that this message replies to. The conversation must be the direct conversation with its author, and the sender must be able to see the status.',
    }),
  (id) => idOf('Status', id, 'input.replyToStatusId'),
);

// ── the stream ──

const StatusEventType = builder.enumType('StatusEventType', {
  description:
    'The kind of an event of the stream `statuses`. Treat an unknown value as a hint that `status` has changed.',
  values: {
    POSTED: { description: 'A status was posted, or its attachment became READY.' },
    VIEWED: { description: 'A status of the viewer was viewed, or the viewer has viewed a status on another device.' },
    DELETED: { description: 'A status was deleted. Only `statusId` is set.' },
    CAUGHT_UP: {
      description:
        'Fetch `viewer.statusFeed` and `viewer.statuses` now: the stream delivers all later changes. It is repeated when contacts or blocks have changed.',
    },
  },
});

const StatusEvent = builder.objectRef<StatusEventShape>('StatusEvent').implement({
  description: 'A change of a status. Apply it as an upsert of the status that it carries.',
  extensions: shared('type', 'statusId', 'status'),
  fields: (t) => ({
    type: t.expose('type', { type: StatusEventType, nullable: false, description: 'What happened.' }),
    statusId: t.globalID({
      description: 'The id of the status. It is null for CAUGHT_UP.',
      resolve: ({ statusId }) => (statusId === null ? null : { type: 'Status', id: statusId }),
    }),
    status: t.field({
      type: Status,
      description: 'The status after the change. It is null for DELETED and CAUGHT_UP.',
      resolve: ({ status }) => status,
    }),
  }),
});

builder.subscriptionField('statuses', (t) =>
  t.field({
    type: StatusEvent,
    nullable: false,
    description:
      'Changes of the statuses that the viewer can see, and of their own. It begins with CAUGHT_UP and has no cursor: a new stream begins in the same way. Expired statuses have no event.',
    subscribe: (_root, _args, context) => streamStatuses(context.deps, viewerOf(context), context),
    resolve: (event) => event,
  }),
);
