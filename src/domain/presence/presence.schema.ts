import { idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { asksDatabase } from '../../graphql/costs.js';
import { defineLoader } from '../../graphql/loader.js';
import { givesSource, keyedBy, shared } from '../../graphql/sharing.js';
import { User, Viewer } from '../user/user.schema.js';
import type { PresenceState } from './presence.js';
import {
  type PresenceEvent as PresenceEventShape,
  readPresences,
  setAvailability,
  streamPresence,
} from './presence.service.js';
import { findAvailabilities } from './presence.store.js';

const Availability = builder.enumType('Availability', {
  values: {
    ONLINE: {},
    AWAY: {},
    BUSY: {},
    INVISIBLE: { description: 'Connected, but OFFLINE to everyone else, and never typing.' },
  },
});

const PresenceStatus = builder.enumType('PresenceStatus', {
  values: ['ONLINE', 'AWAY', 'BUSY', 'OFFLINE'] as const,
});

const Presence = builder.objectRef<PresenceState>('Presence').implement({
  description:
    'A person is there while any of their connections is, and for a grace (PRESENCE_GRACE) after the last has gone.',
  extensions: shared('status', 'lastSeenAt'),
  fields: (t) => ({
    status: t.expose('status', { type: PresenceStatus, nullable: false }),
    lastSeenAt: t.expose('lastSeenAt', {
      type: 'DateTime',
      description: 'When the last connection went, of who is OFFLINE; null of who is there, and who never was.',
    }),
  }),
});

/** An event brings it along. */
type WithPresence = { id: string; presence?: PresenceState | null };

const loadPresence = defineLoader((context, ids) => readPresences(context.deps, viewerOf(context), ids));

builder.prismaObjectField(User, 'presence', (t) =>
  t.field({
    type: Presence,
    description:
      "Null when it can't be known at the moment or is not for the viewer: they see it of members of their groups, of contacts who have them as a contact as well, and in direct conversations of who opened it, has written in it, or has them as a contact.",
    extensions: keyedBy<WithPresence | null>((user, viewerId) => (user?.presence === undefined ? viewerId : '')),
    resolve: (user: WithPresence, _args, context) =>
      user.presence === undefined ? loadPresence(context, user.id) : user.presence,
  }),
);

builder.prismaObjectField(Viewer, 'availability', (t) =>
  t.field({
    type: Availability,
    nullable: false,
    description: 'What the viewer wants others to see while connected.',
    extensions: asksDatabase,
    resolve: async (_viewer, _args, context) => {
      const [availability] = await findAvailabilities(context.deps.database.sql, [viewerOf(context).userId]);
      return availability ?? 'ONLINE';
    },
  }),
);

const SetAvailabilityInput = builder.inputType('SetAvailabilityInput', {
  fields: (t) => ({ availability: t.field({ type: Availability, required: true }) }),
});
const SetAvailabilityPayload = builder.simpleObject('SetAvailabilityPayload', {
  fields: (t) => ({ viewer: t.field({ type: Viewer, nullable: false }) }),
});

builder.mutationField('setAvailability', (t) =>
  t.field({
    type: SetAvailabilityPayload,
    description: 'What the viewer wants others to see while connected: kept, and for all their devices.',
    args: { input: t.arg({ type: SetAvailabilityInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      await setAvailability(context.deps, viewer, input.availability);
      return { viewer: await context.deps.database.db.user.findUniqueOrThrow({ where: { id: viewer.userId } }) };
    },
  }),
);

const PresenceEvent = builder.objectRef<PresenceEventShape>('PresenceEvent').implement({
  extensions: shared('user'),
  fields: (t) => ({
    user: t.field({
      type: User,
      nullable: false,
      description: 'With its new presence.',
      extensions: givesSource<PresenceEventShape>(({ user }) => user),
      resolve: ({ user }) => user,
    }),
  }),
});

builder.subscriptionField('presence', (t) =>
  t.field({
    type: PresenceEvent,
    nullable: false,
    description:
      "Of these people (at most PRESENCE_MAX_WATCHED); by default of the viewer, their direct conversations and their contacts, latest first. Begins with how each of them is now, as soon as that is known; of who is not for the viewer to see with null. The viewer's own availability on other devices shows in their own presence.",
    args: { userIds: t.arg.idList() },
    subscribe: (_root, { userIds }, context) =>
      streamPresence(
        context.deps,
        viewerOf(context),
        context,
        userIds?.map((id, index) => idOf('User', id, `userIds.${index}`)) ?? null,
      ),
    resolve: (event) => event,
  }),
);
