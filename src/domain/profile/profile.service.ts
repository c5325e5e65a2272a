import { z } from 'zod';
import { gone } from '../../core/errors.js';
import type { User } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput } from '../../platform/input.js';
import { definePersonRate, take } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { changePerson } from '../conversation/person-change.js';
import { readPicture, takePicture } from '../media/media.pictures.js';
import { displayName, longText, webAddress } from '../user/user.input.js';
import { lockActiveViewer, namesOf } from '../user/user.store.js';

const profilePerPerson = definePersonRate(
  'You are changing your profile too often. Try again later.',
  ({ rateProfilePerPerson }) => rateProfilePerPerson,
);

const profile = z.object({
  displayName: displayName.nullish(),
  bio: longText('A bio', 1_000),
  avatarUrl: webAddress,
});

const pictureFields = { urlField: 'input.avatarUrl', attachmentField: 'input.avatarAttachmentId' };

/**
 * Changes the viewer's profile and notifies the members of their conversations. Absent fields are unchanged; null
 * clears a field, and resets the display name to the username. Values equal to the present ones have no effect.
 * @throws {ChatError} BAD_USER_INPUT, RATE_LIMITED; of `input.avatarAttachmentId` also NOT_FOUND, and CONFLICT: the upload is used
 *   already.
 */
export async function updateProfile(
  deps: Deps,
  viewer: Viewer,
  {
    avatarUrl,
    avatarAttachmentId,
    ...names
  }: z.input<typeof profile> & { avatarAttachmentId?: string | null | undefined },
): Promise<User> {
  take(deps, profilePerPerson, viewer);
  const picture = readPicture(deps, avatarUrl, avatarAttachmentId, pictureFields);
  const given = checkInput(profile, { ...names, avatarUrl: picture.url });
  const { userId } = viewer;
  let unchanged: User | undefined;
  const changed = await changePerson(deps, userId, async (tx) => {
    const user = await lockActiveViewer(tx, viewer);
    const { username } = user;
    const checked = { ...picture, url: given.avatarUrl };
    const avatarUrl = await takePicture(tx, viewer, { avatarOf: userId }, user.avatarUrl, checked, pictureFields);
    const data = {
      ...(given.displayName === undefined ? {} : namesOf({ username, displayName: given.displayName ?? username })),
      ...(given.bio === undefined ? {} : { bio: given.bio }),
      avatarUrl,
    };
    const { displayName, bio } = { ...user, ...data };
    if (displayName === user.displayName && bio === user.bio && avatarUrl === user.avatarUrl) {
      unchanged = user;
      return null;
    }
    return tx.user.update({ where: { id: userId }, data });
  });
  return changed ?? unchanged ?? gone('User');
}
