import { beforeAll, describe, expect, it } from 'vitest';
import { type Json, type Person, register } from '../support/client.js';
import { isExhaustive } from '../support/exhaustive.js';
import { detailModes, sharedNode } from '../support/place.js';
import { attempt, createGroup, send } from '../support/talk.js';

/** A group of `ana` with `bob`, in which she repeats each mutation. */
interface Scene {
  ana: Person;
  bob: Person;
  group: string;
  messageId: string;
}

const input = {
  addContact: ({ bob }) => ({ userId: bob.id }),
  removeContact: ({ bob }) => ({ userId: bob.id }),
  blockUser: ({ bob }) => ({ userId: bob.id }),
  unblockUser: ({ bob }) => ({ userId: bob.id }),
  joinConversation: ({ group }) => ({ conversationId: group }),
  leaveConversation: ({ group }) => ({ conversationId: group }),
  setMemberRole: ({ group, bob }) => ({ conversationId: group, userId: bob.id, role: 'ADMIN' }),
  deleteMessage: ({ messageId }) => ({ messageId }),
  markRead: ({ group }) => ({ conversationId: group, seq: 1 }),
} satisfies Record<string, (scene: Scene) => Json>;

/** The mutation that must precede it. */
const before: Partial<Record<keyof typeof input, keyof typeof input>> = {
  removeContact: 'addContact',
  unblockUser: 'blockUser',
  joinConversation: 'leaveConversation',
};

describe.each(detailModes)('four concurrent calls in %s mode', (mode) => {
  let url: string;
  beforeAll(async () => {
    ({ url } = await sharedNode(mode));
  });

  const rounds = isExhaustive ? 50 : 3;

  it.each(Object.keys(input) as (keyof typeof input)[])('of %s have the effect of one', async (mutation) => {
    for (let round = 0; round < rounds; round += 1) {
      const [ana, bob] = [await register(url, 'ana'), await register(url, 'bob')];
      const group = await createGroup(ana, [bob], { visibility: 'PUBLIC' });
      const scene = { ana, bob, group, messageId: (await send(ana, group, 'once')).id };
      const earlier = before[mutation];
      if (earlier) await attempt(ana, earlier, input[earlier](scene));
      const answers = await Promise.all(
        Array.from({ length: 4 }, () => attempt(ana, mutation, input[mutation](scene))),
      );
      // A user who has left is no longer a member, and cannot leave again.
      const refused = mutation === 'leaveConversation' ? 3 : 0;
      expect(answers.filter((answer) => typeof answer !== 'string')).toHaveLength(4 - refused);
      expect(answers.filter((answer) => answer === 'FORBIDDEN input.conversationId')).toHaveLength(refused);
    }
  });
});
