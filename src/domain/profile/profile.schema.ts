import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { Viewer } from '../user/user.schema.js';
import { updateProfile } from './profile.service.js';

const UpdateProfileInput = builder.inputType('UpdateProfileInput', {
  fields: (t) => ({
    displayName: t.string({
      description: 'The name to show to others: 1 to 80 characters. Null resets it to the username.',
    }),
    bio: t.string({ description: 'A text about the user: up to 1000 characters.' }),
    avatarUrl: t.string({ description: "An http or https URL of the user's picture, up to 2000 characters." }),
  }),
});
const UpdateProfilePayload = builder.simpleObject('UpdateProfilePayload', {
  fields: (t) => ({
    viewer: t.field({ type: Viewer, description: 'The viewer with the new profile.', nullable: false }),
  }),
});

builder.mutationField('updateProfile', (t) =>
  t.field({
    type: UpdateProfilePayload,
    description:
      "Changes the viewer's profile. Omitted fields remain unchanged; an explicit null removes the value. Other users receive the change as MEMBER_UPDATED in each common conversation, and on the `presence` stream.",
    args: { input: t.arg({ type: UpdateProfileInput, required: true }) },
    resolve: async (_root, { input: { displayName, bio, avatarUrl } }, context) => ({
      viewer: await updateProfile(context.deps, viewerOf(context), { displayName, bio, avatarUrl }),
    }),
  }),
);
