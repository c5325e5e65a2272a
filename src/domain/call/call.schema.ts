import { gone } from '../../core/errors.js';
import { encodeGlobalId, idOf, NOBODYS_ID } from '../../core/ids.js';
import type { Call as CallRow, CallSignal as CallSignalRow } from '../../generated/prisma/client.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { atMost } from '../../graphql/costs.js';
import { defineListLoader, defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { selectsOnly } from '../../graphql/selection.js';
import { shared } from '../../graphql/sharing.js';
import { Conversation, loadConversation } from '../conversation/conversation.schema.js';
import { SystemEventObject } from '../message/message.schema.js';
import { loadUser, User, Viewer } from '../user/user.schema.js';
import {
  acceptCall,
  declineCall,
  leaveCall,
  pageOfCalls,
  pageOfConversation,
  startCall,
  updateCallMedia,
} from './call.service.js';
import { PARTIES_SHOWN_MAX } from './call.settings.js';
import {
  type CallsPage,
  type FullCall,
  findActive,
  findOfConversations,
  findVisible,
  type Party,
} from './call.store.js';
import { type CallEvent as CallEventShape, streamCalls } from './call.stream.js';
import { type IceServer as IceServerShape, iceServersOf } from './ice-servers.js';
import { findSfuAccess, type SfuAccess, sfu } from './sfu.js';
import { sendCallSignals } from './signal.service.js';

const CallKind = builder.enumType('CallKind', {
  description: 'The kind of a call. Every device can turn its microphone and camera on and off in both.',
  values: {
    VOICE: { description: 'Cameras are off at the beginning.' },
    VIDEO: { description: 'Cameras are on at the beginning.' },
  },
});

const CallState = builder.enumType('CallState', {
  description: 'The state of a call. Treat an unknown value like ACTIVE.',
  values: {
    RINGING: { description: 'Nobody has answered yet.' },
    ACTIVE: { description: 'The call was answered.' },
    ENDED: { description: 'The call is over. It does not change any more.' },
  },
});

const CallEndReason = builder.enumType('CallEndReason', {
  description: 'Why a call ended. Treat an unknown value like FAILED.',
  values: {
    HUNG_UP: { description: 'A participant hung up.' },
    DECLINED: { description: 'The call was declined.' },
    CANCELLED: { description: 'The caller hung up before anybody answered.' },
    MISSED: { description: 'Nobody answered in time.' },
    BUSY: { description: 'The other user was in another call.' },
    LOST: { description: 'All participants were disconnected from the server for too long.' },
    FAILED: {
      description:
        'A participant could no longer take part, for example because they were signed out or removed from the conversation.',
    },
  },
});

const CallPartyState = builder.enumType('CallPartyState', {
  description: 'Whether a device is in a call. Treat an unknown value like CONNECTED.',
  values: {
    CONNECTED: { description: 'The device is in the call.' },
    RECONNECTING: {
      description:
        'The device is in the call, but has not been connected to the server for some seconds. Its audio and video may still arrive.',
    },
    LEFT: { description: 'The device has left the call.' },
  },
});

const CallParty = builder.objectRef<Party>('CallParty').implement({
  description: 'A device that has joined a call.',
  extensions: shared('id', 'user', 'state', 'microphoneOn', 'cameraOn', 'screenOn'),
  fields: (t) => ({
    id: t.globalID({ nullable: false, resolve: ({ id }) => ({ type: 'CallParty', id }) }),
    user: t.field({ type: User, nullable: false, description: 'The user of the device.', resolve: ({ user }) => user }),
    state: t.expose('state', {
      type: CallPartyState,
      nullable: false,
      description: 'Whether the device is in the call.',
    }),
    microphoneOn: t.exposeBoolean('microphoneOn', {
      nullable: false,
      description: 'Whether the device sends audio from its microphone.',
    }),
    cameraOn: t.exposeBoolean('cameraOn', {
      nullable: false,
      description: 'Whether the device sends video from its camera.',
    }),
    screenOn: t.exposeBoolean('screenOn', { nullable: false, description: 'Whether the device shares its screen.' }),
  }),
});

const loadSfuAccess = defineLoader((context, ids) => findSfuAccess(context.deps, viewerOf(context), ids));

const CallSfuAccess = builder.objectRef<SfuAccess>('CallSfuAccess').implement({
  description: 'The credentials with which a device connects to the SFU of a call.',
  fields: (t) => ({
    token: t.exposeString('token', { nullable: false, description: 'The token for the room.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: false,
      description: 'The time until which the token can be used to connect. Fetch it immediately before you connect.',
    }),
  }),
});

const CallSfu = builder.objectRef<{ callId: string; url: string; room: string }>('CallSfu').implement({
  description:
    'The LiveKit server (an SFU) through which the audio and video of a call go. Each device sends its own to the server once, and receives those of the others from it.',
  extensions: shared('url', 'room'),
  fields: (t) => ({
    url: t.exposeString('url', {
      nullable: false,
      description: 'The URL of the server, which begins with `wss://` or `ws://`.',
    }),
    room: t.exposeString('room', { nullable: false, description: 'The name of the room.' }),
    access: t.field({
      type: CallSfuAccess,
      description:
        'The credentials with which this device connects. In the room, the `identity` of a participant is the id of its party. It is null if no device of this session is in the call.',
      resolve: ({ callId }, _args, context) => loadSfuAccess(context, callId),
    }),
  }),
});

const loadCall = defineLoader((context, ids) => findVisible(context.deps.database.db, viewerOf(context).userId, ids));

/** A call with what an event or a list has already loaded. */
type Preloaded = CallRow & Partial<Pick<FullCall, 'startedBy' | 'conversation' | 'parties'>>;

const Call = builder.prismaNode('Call', {
  id: { field: 'id' },
  nullable: true,
  // An id that the viewer must not see is replaced by one that does not exist.
  findUnique: async (id, context) => ({ id: (await loadCall(context, id)) ? id : NOBODYS_ID }),
  description: 'A voice or video call in a conversation. Only members can see it.',
  extensions: shared(
    'id',
    'conversation',
    'kind',
    'state',
    'startedBy',
    'startedAt',
    'ringUntil',
    'answeredAt',
    'endedAt',
    'endReason',
    'durationMs',
    'parties',
    'relayOnly',
    'sfu',
  ),
  fields: (t) => ({
    conversation: t.field({
      type: Conversation,
      nullable: false,
      description: 'The conversation.',
      resolve: (call: Preloaded, _args, context) =>
        call.conversation ??
        loadConversation(context, call.conversationId).then((conversation) => conversation ?? gone('Conversation')),
    }),
    kind: t.expose('kind', { type: CallKind, nullable: false, description: 'The kind of the call.' }),
    state: t.expose('state', { type: CallState, nullable: false, description: 'The state of the call.' }),
    startedBy: t.field({
      type: User,
      nullable: false,
      description: 'The caller.',
      resolve: (call: Preloaded, _args, context) =>
        call.startedBy ?? loadUser(context, call.startedById).then((user) => user ?? gone('User')),
    }),
    startedAt: t.expose('startedAt', { type: 'DateTime', nullable: false, description: 'When the call was started.' }),
    ringUntil: t.expose('ringUntil', {
      type: 'DateTime',
      nullable: false,
      description:
        'The time until which the call rings. In a group, members who have not joined stop ringing then, even if others have answered.',
    }),
    answeredAt: t.expose('answeredAt', {
      type: 'DateTime',
      description: 'When the call was answered, or null if nobody has answered.',
    }),
    endedAt: t.expose('endedAt', { type: 'DateTime', description: 'When the call ended, or null if it has not.' }),
    endReason: t.expose('endReason', {
      type: CallEndReason,
      description: 'Why the call ended. It is null if it has not.',
    }),
    durationMs: t.int({
      description:
        'How long the participants could talk, from the answer to the end, in milliseconds. It is null if nobody answered or the call has not ended.',
      resolve: ({ answeredAt, endedAt }) => (answeredAt && endedAt ? endedAt.getTime() - answeredAt.getTime() : null),
    }),
    parties: t.field({
      type: [CallParty],
      extensions: atMost(PARTIES_SHOWN_MAX),
      nullable: { list: false, items: false },
      description: `The devices that have joined, in the order in which they joined. If there are more than ${PARTIES_SHOWN_MAX}, those that left first are omitted.`,
      resolve: async (call: Preloaded, _args, context) =>
        call.parties ?? (await loadCall(context, call.id))?.parties ?? gone('Call'),
    }),
    relayOnly: t.exposeBoolean('relayOnly', {
      nullable: false,
      description:
        'Whether participants connect through TURN servers only (`iceTransportPolicy: "relay"`), so that they do not learn the network addresses of each other. In a group, it can become true when a further member joins.',
    }),
    sfu: t.field({
      type: CallSfu,
      description:
        'The SFU through which audio and video go. It is null if devices connect to each other, and never changes during a call.',
      resolve: ({ id, sfuRoom }, _args, { deps }) => {
        const { server } = sfu.of(deps);
        return server && sfuRoom !== null ? { callId: id, url: server.url, room: sfuRoom } : null;
      },
    }),
  }),
});

const CallConnection = builder.connectionObject({ type: Call, name: 'CallConnection' }, { name: 'CallEdge' });

/** Reads the same page of all conversations of a list together. */
const loadOfConversation = defineListLoader((context, ids, page: CallsPage) =>
  findOfConversations(context.deps.database.db, viewerOf(context).userId, ids, page),
);
const loadActive = defineLoader((context, ids) => findActive(context.deps.database.db, viewerOf(context).userId, ids));

builder.prismaObjectFields(Conversation, (t) => ({
  activeCall: t.field({
    type: Call,
    description:
      'The call that rings or is in progress. It is null if there is none, and if the viewer is not a member.',
    resolve: ({ id }, _args, context) => loadActive(context, id),
  }),
  calls: t.field({
    type: CallConnection,
    description:
      'The calls of the conversation that the viewer can see, newest first. The error is FORBIDDEN if the viewer is not a member.',
    args: forwardArgs,
    resolve: (conversation, args, context) =>
      pageOfConversation(context.deps, conversation, args, (id, page) => loadOfConversation(context, id, page)),
  }),
}));

const IceServer = builder.objectRef<IceServerShape>('IceServer').implement({
  description: 'A server with which devices find a connection to each other, for `RTCConfiguration.iceServers`.',
  fields: (t) => ({
    urls: t.exposeStringList('urls', {
      nullable: { list: false, items: false },
      description: 'The URLs of the server, which begin with `stun:`, `stuns:`, `turn:` or `turns:`.',
    }),
    username: t.exposeString('username', { description: 'The username for TURN. It is null for STUN.' }),
    credential: t.exposeString('credential', { description: 'The password for TURN. It is null for STUN.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'The time until which the credentials can be used to connect. It is null for STUN.',
    }),
  }),
});

builder.prismaObjectFields(Viewer, (t) => ({
  calls: t.field({
    type: CallConnection,
    description: "The calls in the viewer's conversations that the viewer can see, newest first.",
    args: forwardArgs,
    resolve: (_viewer, args, context) => pageOfCalls(context.deps, viewerOf(context), args),
  }),
  iceServers: t.field({
    type: [IceServer],
    extensions: atMost(2),
    nullable: { list: false, items: false },
    description:
      'The STUN and TURN servers for calls, with credentials that are valid for some hours. Fetch them for each call, and again before an ICE restart.',
    resolve: (_viewer, _args, context) => iceServersOf(context.deps, viewerOf(context)),
  }),
}));

builder.objectField(SystemEventObject, 'call', (t) =>
  t.field({
    type: Call,
    description: 'The call, for CALL_ENDED. It is null for all other events.',
    resolve: ({ callId }, _args, context) => (callId === undefined ? null : loadCall(context, callId)),
  }),
);

// ── mutations ──

const joined = payloadOf((t) => ({
  call: t.field({ type: Call, nullable: false, description: 'The call.' }),
  partyId: t.id({
    nullable: false,
    description:
      'The id of this device in the call. Subscribe to `calls` with it as long as the device is in the call.',
  }),
}));

const toJoined = ({ call, partyId }: { call: FullCall; partyId: string }) => ({
  call,
  partyId: encodeGlobalId('CallParty', partyId),
});

const changed = payloadOf((t) => ({
  call: t.field({ type: Call, nullable: false, description: 'The call after the change.' }),
}));

addViewerMutation('startCall', {
  description:
    'Calls the other members of a conversation. If another member is already calling the viewer in it, this answers that call; in a group, it joins a call that is in progress. A call to a user who is in another call ends immediately with the reason BUSY. Repeating the same input with the same `clientCallId` returns the first call, and a different input with the same key is a CONFLICT. If the viewer is in another call, the error is CONFLICT with the reason IN_ANOTHER_CALL.',
  input: (t) => ({
    conversationId: t.id({ required: true, description: 'The conversation.' }),
    kind: t.field({ type: CallKind, required: true, description: 'The kind of the call.' }),
    clientCallId: t.string({
      required: true,
      description: 'An idempotency key chosen by the client, up to 128 characters.',
    }),
  }),
  ids: { conversationId: 'Conversation' },
  payload: joined,
  hasOwnRate: true,
  run: async (deps, viewer, input) => toJoined(await startCall(deps, viewer, input)),
});

addViewerMutation('acceptCall', {
  description:
    'Answers a call with this device, or joins the call of a group that is in progress. Only the first device of a user succeeds; for all others, the error is CONFLICT with the reason ANSWERED_ELSEWHERE. If the call is over, the reason is CALL_ENDED.',
  input: (t) => ({
    callId: t.id({ required: true, description: 'The call.' }),
    clientPartyId: t.string({
      description:
        'An idempotency key chosen by the client, up to 128 characters. Retrying with the same key returns the same `partyId`.',
    }),
  }),
  ids: { callId: 'Call' },
  payload: joined,
  run: async (deps, viewer, input) => toJoined(await acceptCall(deps, viewer, input)),
});

addViewerMutation('declineCall', {
  description:
    "Declines a call that rings. In a direct conversation, the call ends. In a group, the viewer's other devices stop ringing, and the call ends when all other members have declined it. It has no effect if the call does not ring for the viewer.",
  input: (t) => ({ callId: t.id({ required: true, description: 'The call.' }) }),
  ids: { callId: 'Call' },
  payload: changed,
  run: async (deps, viewer, { callId }) => ({ call: await declineCall(deps, viewer, callId) }),
});

addViewerMutation('leaveCall', {
  description:
    "Removes one of the viewer's devices from a call. The call ends if it is in a direct conversation, if it was still ringing, or if no device remains. It has no effect if the device has left.",
  input: (t) => ({
    callId: t.id({ required: true, description: 'The call.' }),
    partyId: t.id({ required: true, description: "One of the viewer's devices in the call." }),
  }),
  ids: { callId: 'Call', partyId: 'CallParty' },
  payload: changed,
  run: async (deps, viewer, input) => ({ call: await leaveCall(deps, viewer, input) }),
});

addViewerMutation('sendCallSignals', {
  description:
    'Sends signals, such as session descriptions and ICE candidates, to another device in a call. They are stored until that device acknowledges them or the call has been over for a minute. Signals to a device that has left are dropped. Send the candidates of about 150 ms together.',
  input: (t) => ({
    callId: t.id({ required: true, description: 'The call.' }),
    fromPartyId: t.id({ required: true, description: 'This device in the call.' }),
    toPartyId: t.id({ required: true, description: 'The device that receives the signals.' }),
    payloads: t.stringList({
      required: true,
      description:
        'The signals in their order, in the format of the client: each at most `serverInfo.limits.callSignalMaxBytes` bytes. The list can be empty to only acknowledge signals.',
    }),
    acknowledgedSeq: t.int({
      description: 'All signals to `fromPartyId` up to this `seq` have been handled, and can be deleted.',
    }),
  }),
  ids: { callId: 'Call', fromPartyId: 'CallParty', toPartyId: 'CallParty' },
  // The call is only read if more than its id is selected, because signals are sent often.
  payload: (name) =>
    builder.objectRef<{ callId: string }>(name).implement({
      fields: (t) => ({
        call: t.field({
          type: Call,
          nullable: false,
          description: 'The call.',
          resolve: async ({ callId }, _args, context, info) =>
            selectsOnly(info, ['__typename', 'id'])
              ? ({ id: callId } as CallRow)
              : ((await loadCall(context, callId)) ?? gone('Call')),
        }),
      }),
    }),
  hasOwnRate: true,
  run: async (deps, viewer, input) => {
    await sendCallSignals(deps, viewer, input);
    return { callId: input.callId };
  },
});

addViewerMutation('updateCallMedia', {
  description: 'Reports what a device sends, for the other participants to show. It does not turn anything on or off.',
  input: (t) => ({
    callId: t.id({ required: true, description: 'The call.' }),
    partyId: t.id({ required: true, description: 'This device in the call.' }),
    microphoneOn: t.boolean({ description: 'Whether the device sends audio from its microphone.' }),
    cameraOn: t.boolean({ description: 'Whether the device sends video from its camera.' }),
    screenOn: t.boolean({ description: 'Whether the device shares its screen.' }),
  }),
  ids: { callId: 'Call', partyId: 'CallParty' },
  payload: changed,
  run: async (deps, viewer, input) => ({ call: await updateCallMedia(deps, viewer, input) }),
});

// ── the stream ──

const CallSignal = builder.objectRef<CallSignalRow>('CallSignal').implement({
  description: 'A signal from one device in a call to another one.',
  extensions: shared('callId', 'seq', 'fromPartyId', 'toPartyId', 'payload'),
  fields: (t) => ({
    callId: t.globalID({
      nullable: false,
      description: 'The id of the call.',
      resolve: ({ callId }) => ({ type: 'Call', id: callId }),
    }),
    seq: t.exposeInt('seq', {
      nullable: false,
      description:
        'The number of the signal among all signals to this device, in ascending order. Acknowledge it with `acknowledgedSeq` of `sendCallSignals`.',
    }),
    fromPartyId: t.globalID({
      nullable: false,
      description: 'The id of the device that sent the signal.',
      resolve: ({ fromPartyId }) => ({ type: 'CallParty', id: fromPartyId }),
    }),
    toPartyId: t.globalID({
      nullable: false,
      description: 'The id of the device that receives the signal.',
      resolve: ({ toPartyId }) => ({ type: 'CallParty', id: toPartyId }),
    }),
    payload: t.exposeString('payload', { nullable: false, description: 'The signal, as it was sent.' }),
  }),
});

const CallEventType = builder.enumType('CallEventType', {
  description: 'The kind of an event of the stream `calls`. Treat an unknown value as a hint that `call` has changed.',
  values: {
    CHANGED: { description: 'A call was started, or changed.' },
    DECLINED: {
      description: 'The viewer has declined the call of a group on one of their devices: the others stop ringing.',
    },
    SIGNAL: { description: 'A signal arrived for this device.' },
    CAUGHT_UP: {
      description:
        'The live calls and the waiting signals have been delivered. Begin to ring now, and not before. Calls that the client knew and that were not delivered have ended.',
    },
  },
});

const CallEvent = builder.objectRef<CallEventShape>('CallEvent').implement({
  description: 'A change of a call, or a signal. Apply it as an upsert of the call that it carries.',
  extensions: shared('type', 'call', 'signal'),
  fields: (t) => ({
    type: t.expose('type', { type: CallEventType, nullable: false, description: 'What happened.' }),
    call: t.field({
      type: Call,
      description: 'The call after the change. It is null for SIGNAL and CAUGHT_UP.',
      resolve: ({ call }) => call,
    }),
    signal: t.field({
      type: CallSignal,
      description: 'The signal. It is null for all other types.',
      resolve: ({ signal }) => signal,
    }),
  }),
});

builder.subscriptionField('calls', (t) =>
  t.field({
    type: CallEvent,
    nullable: false,
    description:
      "The calls in the viewer's conversations. The stream begins with the live calls and, with `partyId`, the signals that this device has not acknowledged; then it delivers CAUGHT_UP and live events. It has no cursor: a new stream begins in the same way.",
    args: {
      partyId: t.arg.id({
        description:
          'This device in a call, as `startCall` or `acceptCall` returned it. The stream delivers its signals, and the device counts as connected while the stream lasts.',
      }),
    },
    subscribe: (_root, { partyId }, context) =>
      streamCalls(
        context.deps,
        viewerOf(context),
        context,
        partyId == null ? null : idOf('CallParty', partyId, 'partyId'),
      ),
    resolve: (event) => event,
  }),
);
