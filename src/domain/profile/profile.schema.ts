import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { Viewer } from '../user/user.schema.js';
import { updateProfile } from './profile.service.js';

addViewerMutation('updateProfile', {
  description:
    "Changes the viewer's profile. Omitted fields remain unchanged; an explicit null removes the value. Other users receive the change as MEMBER_UPDATED in each common conversation, and on the `presence` stream.",
  input: (t) => ({
    displayName: t.string({
      description: 'The name to show to others: 1 to 80 characters. Null resets it to the username.',
    }),
    bio: t.string({ description: 'A text about the user: up to 1000 characters.' }),
    avatarUrl: t.string({
      description:
        "An http or https URL of the user's picture, up to 2000 characters. Null also removes an uploaded picture.",
    }),
    avatarAttachmentId: t.id({
      description:
        "An upload of the viewer of kind IMAGE that becomes the user's picture, in place of `avatarUrl`. While it is PROCESSING, the previous picture stays. The upload cannot be used elsewhere, and is deleted when the picture is replaced. Null removes the picture.",
    }),
  }),
  ids: { avatarAttachmentId: 'Attachment' },
  payload: payloadOf((t) => ({
    viewer: t.field({ type: Viewer, description: 'The viewer with the new profile.', nullable: false }),
  })),
  run: async (deps, viewer, { displayName, bio, avatarUrl, avatarAttachmentId }) => ({
    viewer: await updateProfile(deps, viewer, { displayName, bio, avatarUrl, avatarAttachmentId }),
  }),
});
