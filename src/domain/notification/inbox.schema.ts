import { gone } from '../../core/errors.js';
import { encodeGlobalId } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { asksDatabase, atMost } from '../../graphql/costs.js';
import {
  afterArg,
  changeOf,
  defineEventTypes,
  defineStreamEvent,
  durableStream,
} from '../../graphql/durable-stream.js';
import { defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { shared } from '../../graphql/sharing.js';
import { Conversation, loadConversation, loadViewerMembership } from '../conversation/conversation.schema.js';
import { Message } from '../message/message.schema.js';
import { visibleMessageLookup } from '../reply/reply.store.js';
import { loadUser, User, Viewer } from '../user/user.schema.js';
import {
  markNotificationsRead,
  type NotificationEvent as NotificationEventShape,
  pageOfNotifications,
  streamNotifications,
  unreadNotificationsLookup,
} from './inbox.service.js';
import { findNotifications } from './inbox.store.js';

const NotificationKind = builder.enumType('NotificationKind', {
  description:
    'What a notification is about. Do not show notifications with an unknown value, which a newer server introduced.',
  values: {
    MENTION: { description: 'A message mentions the viewer.' },
    REPLY: { description: "Replies to one of the viewer's messages. A reply that mentions the viewer is a MENTION." },
    REACTION: { description: "Reactions to one of the viewer's messages." },
    ADDED_TO_GROUP: { description: 'Another user has added the viewer to a group.' },
    MISSED_CALL: {
      description:
        'Calls in one conversation that the viewer did not answer. In large groups, missed calls are only reported by their system messages.',
    },
  },
});

/** The maximum number of actors of a notification (`ACTORS_MAX` of the notifier). */
const ACTORS_MAX = 10;

export const Notification = builder.prismaNode('Notification', {
  id: { field: 'id' },
  nullable: true,
  findUnique: (id, context) => ({ id, userId: viewerOf(context).userId }),
  description:
    "An entry of the viewer's inbox. Similar occurrences are combined in one notification with a count, such as all replies to one message, or all reactions to it.",
  extensions: shared('id', 'kind', 'createdAt', 'readAt', 'count', 'actors'),
  fields: (t) => ({
    kind: t.expose('kind', { type: NotificationKind, nullable: false, description: 'What the notification is about.' }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      nullable: false,
      description: 'When the newest occurrence happened, which determines the order of the inbox.',
    }),
    readAt: t.expose('readAt', {
      type: 'DateTime',
      description: 'When the viewer read it, or null. A new occurrence makes it unread again.',
    }),
    count: t.exposeInt('count', { nullable: false, description: 'The number of occurrences.' }),
    actors: t.field({
      type: [User],
      nullable: { list: false, items: false },
      description: 'The users who caused the notification, latest first, at most ten.',
      extensions: atMost(ACTORS_MAX),
      resolve: ({ actorIds }, _args, context) =>
        Promise.all(actorIds.map(async (id) => (await loadUser(context, id)) ?? gone('User'))),
    }),
    conversation: t.field({
      type: Conversation,
      description: 'The conversation. It is null if the viewer is no longer a member.',
      resolve: async ({ conversationId }, _args, context) =>
        conversationId !== null && (await loadViewerMembership(context, conversationId))
          ? loadConversation(context, conversationId)
          : null,
    }),
    message: t.field({
      type: Message,
      description:
        'The message to show: the one that mentions the viewer, the newest reply, or the message with the reactions. It is null for other kinds, and if the viewer can no longer see it.',
      resolve: ({ conversationId, seq }, _args, context) =>
        conversationId === null || seq === null
          ? null
          : visibleMessageLookup.of(context.deps)({ conversationId, seq, userId: viewerOf(context).userId }),
    }),
  }),
});

/** Loads a notification of the viewer; null if it was removed. */
export const loadNotification = defineLoader((context, ids) =>
  findNotifications(context.deps.database.db, viewerOf(context).userId, ids),
);

const NotificationConnection = builder.connectionObject(
  { type: Notification, name: 'NotificationConnection' },
  { name: 'NotificationEdge' },
);

builder.prismaObjectFields(Viewer, (t) => ({
  notifications: t.field({
    type: NotificationConnection,
    description:
      "The viewer's inbox, latest first. It keeps at most `serverInfo.limits.notificationsMax` notifications. Events of the `notifications` stream keep it current.",
    args: {
      unreadOnly: t.arg.boolean({ description: 'If it is true, only notifications that the viewer has not read.' }),
      ...forwardArgs,
    },
    resolve: (_viewer, { unreadOnly, ...args }, context) =>
      pageOfNotifications(context.deps, viewerOf(context), unreadOnly ?? false, args),
  }),
  unreadNotificationCount: t.int({
    nullable: false,
    description: "The number of unread notifications in the viewer's inbox.",
    extensions: asksDatabase,
    resolve: (_viewer, _args, context) => unreadNotificationsLookup.of(context.deps)(viewerOf(context).userId),
  }),
}));

addViewerMutation('markNotificationsRead', {
  description:
    "Marks the viewer's notifications as read, up to and including one, or only one, on all of their devices. Reading a conversation past a message (`markRead`) marks its notifications as well.",
  input: (t) => ({
    upToId: t.id({
      required: true,
      description: "The newest notification to mark as read. All older ones in the viewer's inbox are marked with it.",
    }),
    onlyThis: t.boolean({
      description: 'If it is true, only this notification is marked as read, and older ones remain as they are.',
    }),
  }),
  ids: { upToId: 'Notification' },
  payload: payloadOf((t) => ({
    viewer: t.field({ type: Viewer, nullable: false, description: 'The viewer with the new unread count.' }),
  })),
  async run(deps, viewer, { upToId, onlyThis }, context) {
    await markNotificationsRead(deps, viewer, { upToId, onlyThis: onlyThis ?? false });
    return { viewer: (await loadUser(context, viewer.userId)) ?? gone('User') };
  },
});

// ── the stream ──

const NotificationEvent = defineStreamEvent<NotificationEventShape>('NotificationEvent', {
  description: "A change of the viewer's inbox. Apply it as an upsert of the notification that it carries.",
  changeSeq:
    "The number of the change among all changes of the viewer's own data, which the streams `contacts`, `notifications` and `viewerChanges` share.",
});

defineEventTypes(NotificationEvent, 'NotificationEventType', {
  description: 'What happened to the notification, as a hint.',
  values: {
    ADDED: { description: 'The notification was added to the inbox.' },
    UPDATED: {
      description: 'The notification was read, or its occurrences changed. A new occurrence moves it to the top.',
    },
    REMOVED: {
      description:
        "The notification was removed from the inbox. Remove the notification with the id `notificationId` from the client's data.",
    },
  },
});

builder.objectFields(NotificationEvent, (t) => ({
  notification: t.field({
    type: Notification,
    description: 'The notification after the change. It is null for REMOVED, CAUGHT_UP and CHECKPOINT.',
    resolve: (event) => changeOf(event)?.data.notification ?? null,
  }),
  notificationId: t.id({
    description: 'The id of the notification. It is null for CAUGHT_UP and CHECKPOINT.',
    resolve(event) {
      const id = changeOf(event)?.subjectId;
      return id == null ? null : encodeGlobalId('Notification', id);
    },
  }),
  unreadCount: t.int({
    nullable: false,
    description: 'The current number of unread notifications, for a badge.',
    extensions: asksDatabase,
    resolve: (_event, _args, context) => unreadNotificationsLookup.of(context.deps)(viewerOf(context).userId),
  }),
}));

builder.subscriptionField('notifications', (t) =>
  t.field({
    ...durableStream(NotificationEvent, "Changes of the viewer's inbox, for all of their devices."),
    args: afterArg,
    subscribe: (_root, { after }, context) => streamNotifications(context.deps, viewerOf(context), context, after),
  }),
);
