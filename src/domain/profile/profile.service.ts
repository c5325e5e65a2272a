import { z } from 'zod';
import { gone } from '../../core/errors.js';
import type { User } from '../../generated/prisma/client.js';
import { changePerson } from '../conversation/person-change.js';
import type { Deps, Viewer } from '../deps.js';
import { checkInput } from '../input.js';
import { holdPerson } from '../moderation/moderation.store.js';
import { displayName, longText, webAddress } from '../user/user.input.js';
import { namesOf } from '../user/user.store.js';

const profile = z.object({
  displayName: displayName.nullish(),
  bio: longText('A bio', 1_000),
  avatarUrl: webAddress,
});

/**
 * Changes how others see the viewer; they hear of it in every conversation with them. What is absent stays; null clears,
 * of the display name it makes the username. What it is already changes nothing.
 * @throws {ChatError} BAD_USER_INPUT.
 */
export async function updateProfile(deps: Deps, { userId }: Viewer, input: z.input<typeof profile>): Promise<User> {
  const given = checkInput(profile, input);
  let unchanged: User | undefined;
  const changed = await changePerson(deps, userId, userId, async (tx) => {
    const user = (await holdPerson(tx, userId)) ?? gone('User');
    const wanted = {
      displayName: given.displayName === undefined ? user.displayName : (given.displayName ?? user.username),
      bio: given.bio === undefined ? user.bio : given.bio,
      avatarUrl: given.avatarUrl === undefined ? user.avatarUrl : given.avatarUrl,
    };
    if (Object.entries(wanted).every(([field, value]) => user[field as keyof User] === value)) {
      unchanged = user;
      return null;
    }
    const names = namesOf({ username: user.username, displayName: wanted.displayName });
    return tx.user.update({ where: { id: userId }, data: { ...wanted, ...names } });
  });
  return changed ?? unchanged ?? gone('User');
}
