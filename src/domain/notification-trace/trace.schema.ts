import { idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { atMost } from '../../graphql/costs.js';
import { loadNotification, Notification } from '../notification/inbox.schema.js';
import { NotificationLevel } from '../notification/notification.schema.js';
import { loadPushSubscription, PushKind, PushSubscription } from '../push/push.schema.js';
import { type TraceReason, traceReasons } from './trace.policy.js';
import {
  type NotificationTrace as NotificationTraceShape,
  type PushTrace as PushTraceShape,
  TRACED_PUSHES_MAX,
  traceOfViewer,
} from './trace.service.js';

const NotificationOutcome = builder.enumType('NotificationOutcome', {
  description:
    'The outcome of pushes about a message. Treat an unknown value as an outcome that a newer server introduced.',
  values: {
    SENT: { description: 'A push service or the gateway has accepted a push.' },
    WAITING: { description: 'The outcome is not decided yet, or a push is waiting.' },
    NOT_SENT: { description: 'No push was sent: see `reason`.' },
  },
});

const NotificationReason = builder.enumType('NotificationReason', {
  description:
    'Why a user was not notified of a message. Treat an unknown value as a reason that a newer server introduced.',
  values: Object.fromEntries(
    Object.entries(traceReasons).map(([name, description]) => [name, { description }]),
  ) as Record<TraceReason, { description: string }>,
});

const PushWait = builder.enumType('PushWait', {
  description: 'Why a push has waited. Treat an unknown value as a reason that a newer server introduced.',
  values: {
    ATTENTION: { description: 'The user was looking at one of their devices.' },
    DEVICE_PAUSED: { description: 'An earlier push to the device had failed, or its push service had asked to wait.' },
    SERVICE_PAUSED: { description: 'The push service or the gateway had failed several times.' },
    FAILED_ATTEMPT: { description: 'The push service or the gateway did not accept the push.' },
  },
});

const PushTrace = builder.objectRef<PushTraceShape>('PushTrace').implement({
  description: 'A push about a message to one device, and its outcome.',
  fields: (t) => ({
    pushSubscription: t.field({
      type: PushSubscription,
      description: 'The device. It is null if the device has been removed since.',
      resolve: ({ subscriptionId }, _args, context) => loadPushSubscription(context, subscriptionId),
    }),
    kind: t.expose('kind', { type: PushKind, nullable: false, description: 'How pushes reach the device.' }),
    outcome: t.expose('outcome', {
      type: NotificationOutcome,
      nullable: false,
      description: 'Whether the push was sent.',
    }),
    reason: t.expose('reason', {
      type: NotificationReason,
      description: 'Why the push was not sent. It is null if the push was sent or is waiting.',
    }),
    queuedAt: t.expose('queuedAt', {
      type: 'DateTime',
      nullable: false,
      description: 'When the push was added. A waiting push includes further messages of the conversation.',
    }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      description: 'When the push was sent or dropped. It is null while the push is waiting.',
    }),
    dueAt: t.expose('dueAt', {
      type: 'DateTime',
      description: 'The time of the next attempt. It is null if the push was sent or dropped.',
    }),
    waits: t.expose('waits', {
      type: [PushWait],
      nullable: { list: false, items: false },
      description: 'Why the push has waited: each reason once, and the latest one last.',
      extensions: atMost(4),
    }),
    failedAttempts: t.exposeInt('failedAttempts', {
      nullable: false,
      description: 'The number of attempts that its push service or gateway did not accept.',
    }),
  }),
});

const NotificationTrace = builder.objectRef<NotificationTraceShape>('NotificationTrace').implement({
  description: 'Why the viewer was or was not notified of a message.',
  fields: (t) => ({
    outcome: t.expose('outcome', {
      type: NotificationOutcome,
      nullable: false,
      description: 'SENT if a push was sent to at least one device.',
    }),
    reason: t.expose('reason', {
      type: NotificationReason,
      description:
        'Why no push was sent: the reason of the newest push, or why no push was added. It is null unless `outcome` is NOT_SENT.',
    }),
    decidedAt: t.expose('decidedAt', {
      type: 'DateTime',
      description:
        'When the server decided which members are notified of the message. It is null if the server has not decided yet, or if this is no longer recorded.',
    }),
    level: t.expose('level', {
      type: NotificationLevel,
      nullable: false,
      description: 'The notification level of the viewer in the conversation at that time.',
    }),
    mutedUntil: t.expose('mutedUntil', {
      type: 'DateTime',
      description:
        'The time until which the viewer had muted the conversation, as it was set then, even if it had passed; or null.',
    }),
    isMention: t.exposeBoolean('isMention', {
      nullable: false,
      description: 'Whether the message, as it is now, mentions the viewer or replies to them.',
    }),
    notification: t.field({
      type: Notification,
      description: "The notification about the message in the viewer's inbox, or null.",
      resolve: ({ notificationId }, _args, context) =>
        notificationId === null ? null : loadNotification(context, notificationId),
    }),
    pushes: t.expose('pushes', {
      type: [PushTrace],
      nullable: { list: false, items: false },
      description: `The pushes about the message, of all devices, the newest first, at most ${TRACED_PUSHES_MAX}.`,
      extensions: atMost(TRACED_PUSHES_MAX),
    }),
  }),
});

builder.queryField('notificationTrace', (t) =>
  t.field({
    type: NotificationTrace,
    description:
      'Why the viewer was or was not notified of a message, as it was recorded. Only the viewer can see it. It is null if the message does not exist or the viewer cannot see it. Reactions and additions to a group are not included.',
    args: { messageId: t.arg.id({ required: true, description: 'The id of the message.' }) },
    resolve: (_root, { messageId }, context) =>
      traceOfViewer(context.deps, viewerOf(context), idOf('Message', messageId, 'messageId')),
  }),
);
