import { idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { asksDatabase } from '../../graphql/costs.js';
import { defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { givesSource, keyedBy, shared } from '../../graphql/sharing.js';
import { User, Viewer } from '../user/user.schema.js';
import type { PresenceState } from './presence.js';
import {
  availabilityOf,
  type PresenceEvent as PresenceEventShape,
  readPresences,
  setAvailability,
  streamPresence,
} from './presence.service.js';

const Availability = builder.enumType('Availability', {
  description: 'How a user wants to appear to others while connected.',
  values: {
    ONLINE: { description: 'The user is available.' },
    AWAY: { description: 'The user is away from their devices.' },
    BUSY: { description: 'The user does not want to be disturbed.' },
    INVISIBLE: { description: 'The user appears as OFFLINE to everyone else, and their typing is not shown.' },
  },
});

const PresenceStatus = builder.enumType('PresenceStatus', {
  description: 'How a user appears to others.',
  values: {
    ONLINE: { description: 'The user is connected and available.' },
    AWAY: { description: 'The user is connected and away from their devices.' },
    BUSY: { description: 'The user is connected and does not want to be disturbed.' },
    OFFLINE: { description: 'The user is not connected, or does not want to appear as connected.' },
  },
});

const Presence = builder.objectRef<PresenceState>('Presence').implement({
  description:
    'Whether a user is connected. A user counts as connected while at least one of their connections exists, and for a short grace period after the last one closed.',
  extensions: shared('status', 'lastSeenAt'),
  fields: (t) => ({
    status: t.expose('status', {
      type: PresenceStatus,
      description: 'How the user appears to others.',
      nullable: false,
    }),
    lastSeenAt: t.expose('lastSeenAt', {
      type: 'DateTime',
      description:
        'When the last connection of an OFFLINE user closed. It is null for a connected user and for a user who never connected.',
    }),
  }),
});

/** A user as events contain them: with their presence already loaded. */
type WithPresence = { id: string; presence?: PresenceState | null };

const loadPresence = defineLoader((context, ids) => readPresences(context.deps, viewerOf(context), ids));

builder.prismaObjectField(User, 'presence', (t) =>
  t.field({
    type: Presence,
    description:
      'Whether the user is connected. It is null if it cannot be determined at the moment or the viewer is not allowed to see it. The viewer can see the presence of members of common groups, of contacts who have the viewer as a contact, and of the counterpart of a direct conversation who opened it, has written in it or has the viewer as a contact. A server can be configured to hide members whom others added to a group under the same conditions.',
    extensions: keyedBy<WithPresence | null>((user, viewerId) => (user?.presence === undefined ? viewerId : '')),
    resolve: (user: WithPresence, _args, context) =>
      user.presence === undefined ? loadPresence(context, user.id) : user.presence,
  }),
);

builder.prismaObjectField(Viewer, 'availability', (t) =>
  t.field({
    type: Availability,
    nullable: false,
    description: 'How the viewer wants to appear to others while connected.',
    extensions: asksDatabase,
    resolve: (_viewer, _args, context) => availabilityOf(context.deps, viewerOf(context)),
  }),
);

addViewerMutation('setAvailability', {
  description:
    "Sets how the viewer appears to others while connected. The setting is stored and applies to all of the viewer's devices.",
  input: (t) => ({
    availability: t.field({
      type: Availability,
      description: 'How the viewer wants to appear to others.',
      required: true,
    }),
  }),
  payload: payloadOf((t) => ({
    viewer: t.field({ type: Viewer, description: 'The viewer with the new availability.', nullable: false }),
  })),
  run: async (deps, viewer, input) => ({
    viewer: await setAvailability(deps, viewer, input.availability),
  }),
});

const PresenceEvent = builder.objectRef<PresenceEventShape>('PresenceEvent').implement({
  description: 'The presence of a user, or a change of it. Apply it as an upsert of the user.',
  extensions: shared('user'),
  fields: (t) => ({
    user: t.field({
      type: User,
      nullable: false,
      description: 'The user with their current presence.',
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
      "The presence of users and its changes. The stream begins with the current presence of each user, as soon as it is known. It is null for a user whose presence the viewer cannot see. The stream also delivers the viewer's own presence, for example after they changed their availability on another device.",
    args: {
      userIds: t.arg.idList({
        description:
          'The users, at most `serverInfo.limits.presenceMaxWatched`. By default, these are the viewer, the counterparts of their direct conversations and then their contacts, each latest first.',
      }),
    },
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
