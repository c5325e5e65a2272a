import { gone } from '../../core/errors.js';
import type { Membership as MembershipRow } from '../../generated/prisma/client.js';
import { builder } from '../../graphql/builder.js';
import { type Context, viewerOf } from '../../graphql/context.js';
import { defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { keyedBy } from '../../graphql/sharing.js';
import { Membership } from '../conversation/conversation.schema.js';
import { loadUser, Viewer } from '../user/user.schema.js';
import { ahead, isQuiet, quietHoursOf } from './notification.policy.js';
import {
  muteConversation,
  setNotificationLevel,
  unchangedSettings,
  updateNotificationSettings,
} from './notification.service.js';
import {
  findMemberSettings,
  findSettings,
  type MemberNotificationSettings,
  type NotificationSettings as NotificationSettingsRow,
} from './notification.store.js';
import type { QuietHours as QuietHoursShape } from './quiet-hours.js';

export const NotificationLevel = builder.enumType('NotificationLevel', {
  description: 'What a user is notified of.',
  values: {
    ALL: { description: 'Every message.' },
    MENTIONS: { description: "Mentions, replies to the user's messages and reactions to them." },
    NONE: { description: 'Nothing.' },
  },
});

const PushPreview = builder.enumType('PushPreview', {
  description: 'How much a push notification shows.',
  values: {
    FULL: { description: 'The text of the message, its sender and its conversation.' },
    SENDER: { description: 'The sender and the conversation, without the text.' },
    NOTHING: { description: 'Only that there is something new.' },
  },
});

// ── one conversation ──

const loadMemberSettings = defineLoader((context, ids) => findMemberSettings(context.deps.database.sql, ids));

/** A setting of the viewer's own membership; null for memberships of others, and if it was not changed. */
const ownSetting = <Value>(read: (settings: MemberNotificationSettings) => Value) => ({
  extensions: keyedBy<MembershipRow | null>((membership, viewerId) =>
    membership?.userId === viewerId ? viewerId : '',
  ),
  async resolve({ id, userId }: MembershipRow, _args: object, context: Context): Promise<Value | null> {
    const settings = userId === viewerOf(context).userId ? await loadMemberSettings(context, id) : null;
    return settings && read(settings);
  },
});

builder.prismaObjectFields(Membership, (t) => ({
  notificationLevel: t.field({
    type: NotificationLevel,
    description:
      'What the viewer is notified of in this conversation. It is null if the viewer has not chosen a level, so that `viewer.notificationSettings.defaultLevel` applies, and for memberships of other users.',
    ...ownSetting(({ level }) => level),
  }),
  mutedUntil: t.field({
    type: 'DateTime',
    description:
      'The time until which the viewer has muted this conversation: until then, they are not notified of anything in it, whatever the level is. It is null if the conversation is not muted, and for memberships of other users.',
    ...ownSetting(({ mutedUntil }) => ahead(mutedUntil, new Date())),
  }),
}));

// ── the viewer ──

const QuietHours = builder.objectRef<QuietHoursShape>('QuietHours').implement({
  description: 'A part of each day in which the user does not want to be interrupted. It can span midnight.',
  fields: (t) => ({
    from: t.exposeString('from', { nullable: false, description: 'When the quiet hours begin, in local time: HH:MM.' }),
    to: t.exposeString('to', { nullable: false, description: 'When the quiet hours end, in local time: HH:MM.' }),
    timeZone: t.exposeString('timeZone', {
      nullable: false,
      description: 'The IANA time zone of both times. Its daylight saving time is taken into account.',
    }),
  }),
});

const NotificationSettings = builder.objectRef<NotificationSettingsRow>('NotificationSettings').implement({
  description: 'The settings that decide when the viewer is notified, and about which events.',
  fields: (t) => ({
    defaultLevel: t.field({
      type: NotificationLevel,
      nullable: false,
      description: 'What the viewer is notified of in conversations for which they have not chosen a level.',
      resolve: ({ defaultLevel }, _args, { deps }) => defaultLevel ?? deps.config.notificationLevel,
    }),
    doNotDisturbUntil: t.field({
      type: 'DateTime',
      description:
        'The time until which no pushes are sent ("do not disturb"). It is null if the viewer has not set it, or if it has passed.',
      resolve: ({ doNotDisturbUntil }) => ahead(doNotDisturbUntil, new Date()),
    }),
    quietHours: t.field({
      type: QuietHours,
      description: 'The hours of each day in which no pushes are sent, or null if there are none.',
      resolve: quietHoursOf,
    }),
    isQuiet: t.boolean({
      nullable: false,
      description:
        'Whether no pushes are sent now, because of `doNotDisturbUntil` or `quietHours`. Clients that are open should play no sounds then.',
      resolve: (settings) => isQuiet(settings, new Date()),
    }),
    pushPreview: t.field({
      type: PushPreview,
      nullable: false,
      description: 'How much a push shows.',
      resolve: ({ pushPreview }, _args, { deps }) => pushPreview ?? deps.config.notificationPreview,
    }),
    locale: t.exposeString('locale', {
      description: 'The language of emails and pushes, as a BCP 47 tag, or null if the user has not chosen one.',
    }),
    emailDigest: t.boolean({
      nullable: false,
      description: 'Whether the viewer wants emails about what they have not read for a while.',
      resolve: ({ emailDigest }, _args, { deps }) => emailDigest ?? deps.config.notificationEmailDigest,
    }),
  }),
});

const loadSettings = defineLoader((context, ids) => findSettings(context.deps.database.db, ids));

builder.prismaObjectField(Viewer, 'notificationSettings', (t) =>
  t.field({
    type: NotificationSettings,
    nullable: false,
    description:
      'The settings that decide when the viewer is notified, and about which events. The event SETTINGS of the `viewerChanges` stream reports changes made on any device.',
    async resolve(_viewer, _args, context) {
      const { userId } = viewerOf(context);
      return (await loadSettings(context, userId)) ?? unchangedSettings(userId);
    },
  }),
);

// ── mutations ──

const QuietHoursInput = builder.inputType('QuietHoursInput', {
  description: 'The quiet hours to set.',
  fields: (t) => ({
    from: t.string({
      required: true,
      description: 'When the quiet hours begin, in local time: HH:MM from 00:00 to 23:59.',
    }),
    to: t.string({
      required: true,
      description: 'When the quiet hours end, in local time: HH:MM. If it is earlier than `from`, they span midnight.',
    }),
    timeZone: t.string({
      required: true,
      description:
        'The name of an IANA time zone, such as `Europe/Berlin`, or `UTC`. Offsets such as `+02:00` are not accepted.',
    }),
  }),
});
const membershipPayload = payloadOf((t) => ({
  membership: t.field({
    type: Membership,
    nullable: false,
    description: "The viewer's membership with the new settings.",
  }),
}));

addViewerMutation('setNotificationLevel', {
  description:
    'Sets what the viewer is notified of in one conversation, on all of their devices. Nobody else can see the setting. Leaving the conversation deletes it.',
  input: (t) => ({
    conversationId: t.id({ required: true, description: 'The conversation, of which the viewer must be a member.' }),
    level: t.field({
      type: NotificationLevel,
      description: "The level. Null, or omitting it, restores the viewer's default.",
    }),
  }),
  ids: { conversationId: 'Conversation' },
  payload: membershipPayload,
  run: async (deps, viewer, { conversationId, level }) => ({
    membership: await setNotificationLevel(deps, viewer, { conversationId, level: level ?? null }),
  }),
});

addViewerMutation('muteConversation', {
  description:
    'Mutes a conversation for a time, on all devices of the viewer: they are not notified of anything in it. Messages still arrive and count as unread. Without `until`, it unmutes the conversation. Nobody else can see the setting, and leaving the conversation deletes it.',
  input: (t) => ({
    conversationId: t.id({ required: true, description: 'The conversation, of which the viewer must be a member.' }),
    until: t.field({
      type: 'DateTime',
      description: 'When the mute ends, which must be in the future. Null, or omitting it, unmutes the conversation.',
    }),
  }),
  ids: { conversationId: 'Conversation' },
  payload: membershipPayload,
  run: async (deps, viewer, { conversationId, until }) => ({
    membership: await muteConversation(deps, viewer, { conversationId, until: until ?? null }),
  }),
});

addViewerMutation('updateNotificationSettings', {
  description:
    'Changes the notification settings of the viewer, on all of their devices. Omitted fields remain unchanged; an explicit null resets a field.',
  input: (t) => ({
    defaultLevel: t.field({
      type: NotificationLevel,
      description:
        'The level for conversations for which the viewer has not chosen one. Null restores the default of the service.',
    }),
    doNotDisturbUntil: t.field({
      type: 'DateTime',
      description: 'The time until which no pushes are sent, which must be in the future. Null removes it.',
    }),
    quietHours: t.field({
      type: QuietHoursInput,
      description: 'The hours of each day in which no pushes are sent. Null removes them.',
    }),
    pushPreview: t.field({
      type: PushPreview,
      description: 'How much a push shows. Null restores the default of the service.',
    }),
    locale: t.string({
      description:
        'The language of emails and pushes, as a BCP 47 tag such as `de-AT`. Without texts in this language, they are in English.',
    }),
    emailDigest: t.boolean({
      description:
        'Whether the viewer wants emails about what they have not read. Null restores the default of the service.',
    }),
  }),
  payload: payloadOf((t) => ({
    viewer: t.field({ type: Viewer, nullable: false, description: 'The viewer with the new settings.' }),
  })),
  async run(deps, viewer, input, context) {
    await updateNotificationSettings(deps, viewer, { ...input });
    return { viewer: (await loadUser(context, viewer.userId)) ?? gone('User') };
  },
});
