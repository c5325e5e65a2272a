import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { Viewer } from '../user/user.schema.js';
import { updateProfile } from './profile.service.js';

const UpdateProfileInput = builder.inputType('UpdateProfileInput', {
  fields: (t) => ({
    displayName: t.string({ description: '1 to 80 characters; null makes it the username.' }),
    bio: t.string({ description: 'Up to 1000 characters.' }),
    avatarUrl: t.string({ description: 'Of http or https, up to 2000 characters.' }),
  }),
});
const UpdateProfilePayload = builder.simpleObject('UpdateProfilePayload', {
  fields: (t) => ({ viewer: t.field({ type: Viewer, nullable: false }) }),
});

builder.mutationField('updateProfile', (t) =>
  t.field({
    type: UpdateProfilePayload,
    description:
      'An absent field keeps, an explicit null clears. Others hear of it as MEMBER_UPDATED in every conversation with the viewer, and on the `presence` stream.',
    args: { input: t.arg({ type: UpdateProfileInput, required: true }) },
    resolve: async (_root, { input: { displayName, bio, avatarUrl } }, context) => ({
      viewer: await updateProfile(context.deps, viewerOf(context), { displayName, bio, avatarUrl }),
    }),
  }),
);
