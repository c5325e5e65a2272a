import { gone } from '../../core/errors.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { asksDatabase, atMost } from '../../graphql/costs.js';
import { defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { ServerInfo } from '../server-info/server-info.schema.js';
import { Session } from '../session/session.schema.js';
import { loadUser, Viewer } from '../user/user.schema.js';
import { pushSubscriptionsOf, registerPush, removePush, setAttention } from './push.service.js';
import { findSessions, findSubscriptions } from './push.store.js';
import { vapidKeys } from './vapid-keys.js';

export const PushKind = builder.enumType('PushKind', {
  description: 'How pushes reach a device. Treat an unknown value as a way that a newer server introduced.',
  values: {
    WEB: { description: 'By Web Push: browsers, and apps with UnifiedPush.' },
    GATEWAY: {
      description:
        "By a push gateway that supports Matrix's Push Gateway API, such as Sygnal, which uses APNs and FCM.",
    },
  },
});

/** Loads a session by the id of the row; null if it was deleted. */
const loadSession = defineLoader((context, ids) => findSessions(context.deps.database.db, ids));

export const PushSubscription = builder.prismaNode('PushSubscription', {
  id: { field: 'id' },
  nullable: true,
  findUnique: (id, context) => ({ id, userId: viewerOf(context).userId }),
  description: 'A device of the viewer that receives pushes.',
  fields: (t) => ({
    kind: t.expose('kind', { type: PushKind, nullable: false, description: 'How pushes reach the device.' }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      nullable: false,
      description: 'When the device was first registered.',
    }),
    lastSucceededAt: t.expose('lastSucceededAt', {
      type: 'DateTime',
      description: 'When its push service or gateway last accepted a push, or null.',
    }),
    session: t.field({
      type: Session,
      description: 'The session with which the subscription ends. It is null if it has just ended.',
      // Not as a relation, because both can be deleted while the operation runs.
      resolve: ({ sessionId }, _args, context) => loadSession(context, sessionId),
    }),
  }),
});

/** Loads a subscription of the viewer; null if it was deleted. */
export const loadPushSubscription = defineLoader((context, ids) =>
  findSubscriptions(context.deps.database.db, viewerOf(context).userId, ids),
);

builder.prismaObjectField(Viewer, 'pushSubscriptions', (t) =>
  t.field({
    type: [PushSubscription],
    nullable: { list: false, items: false },
    description:
      "The viewer's devices that receive pushes, the newest first, at most `serverInfo.limits.pushSubscriptionsMax`.",
    extensions: atMost('pushSubscriptionsMax'),
    resolve: (_viewer, _args, context) => pushSubscriptionsOf(context.deps, viewerOf(context)),
  }),
);

builder.objectField(ServerInfo, 'webPushPublicKey', (t) =>
  t.string({
    description:
      'The public key for `PushManager.subscribe` (`applicationServerKey`), in base64url. It is null if Web Push is switched off. If it differs from the key of an existing subscription, subscribe again.',
    extensions: asksDatabase,
    resolve: async (_info, _args, { deps }) => (await vapidKeys.of(deps)())?.publicKey ?? null,
  }),
);

const WebPushInput = builder.inputType('WebPushInput', {
  description: "A browser's `PushSubscription`.",
  fields: (t) => ({
    endpoint: t.string({
      required: true,
      description: 'The `endpoint` of the subscription: at most 2,000 characters.',
    }),
    p256dh: t.string({ required: true, description: 'The key `p256dh` of the subscription, in base64url.' }),
    auth: t.string({ required: true, description: 'The key `auth` of the subscription, in base64url.' }),
  }),
});

const PushGatewayInput = builder.inputType('PushGatewayInput', {
  description: 'A device at the push gateway of the server.',
  fields: (t) => ({
    appId: t.string({
      required: true,
      description: 'The id of the app in the configuration of the gateway: at most 64 characters.',
    }),
    pushKey: t.string({ required: true, description: "The device's token: at most 512 characters." }),
  }),
});

const viewerPayload = payloadOf((t) => ({
  viewer: t.field({ type: Viewer, nullable: false, description: 'The viewer.' }),
}));

addViewerMutation('registerPush', {
  description:
    'Registers the device of the current session for pushes, with exactly one of `web` and `gateway`. The registration ends with the session. Registering a device again changes its keys and its session, and nothing else. A device that another user had registered is taken over. If the user already has `serverInfo.limits.pushSubscriptionsMax` devices, the new one replaces the oldest.',
  input: (t) => ({
    web: t.field({ type: WebPushInput, description: 'For Web Push: see `serverInfo.webPushPublicKey`.' }),
    gateway: t.field({
      type: PushGatewayInput,
      description: 'For a push gateway: `serverInfo.features` contains `pushGateway` if the server has one.',
    }),
  }),
  payload: payloadOf((t) => ({
    pushSubscription: t.field({ type: PushSubscription, nullable: false, description: 'The registered device.' }),
  })),
  run: async (deps, viewer, input) => ({ pushSubscription: await registerPush(deps, viewer, input) }),
});

addViewerMutation('removePush', {
  description: 'Ends a push subscription of the viewer.',
  input: (t) => ({
    pushSubscriptionId: t.id({ required: true, description: 'A subscription of the viewer.' }),
  }),
  ids: { pushSubscriptionId: 'PushSubscription' },
  payload: viewerPayload,
  async run(deps, viewer, { pushSubscriptionId }, context) {
    await removePush(deps, viewer, pushSubscriptionId);
    return { viewer: (await loadUser(context, viewer.userId)) ?? gone('User') };
  },
});

addViewerMutation('setAttention', {
  description:
    'Reports whether the viewer is looking at the device of the current session. While they are, pushes to all of their devices are delayed, so that they can read the messages there first. Repeat the call while they are looking, at intervals shorter than `serverInfo.limits.pushAttentionTtlMs`. Nobody else can see it.',
  input: (t) => ({
    active: t.boolean({ required: true, description: 'Whether the viewer is looking at this device.' }),
  }),
  payload: viewerPayload,
  async run(deps, viewer, { active }, context) {
    setAttention(deps, viewer, active);
    return { viewer: (await loadUser(context, viewer.userId)) ?? gone('User') };
  },
});
