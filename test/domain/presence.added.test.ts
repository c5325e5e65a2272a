import { beforeAll, describe, expect, it } from 'vitest';
import { idOf } from '../../src/core/ids.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, eventually, listen, type Person, registerAll } from '../support/client.js';
import { inOneMode, makePlace, modes, sharedNode } from '../support/place.js';
import { PRESENCE, statusesOf, untilStatus } from '../support/presence.js';
import { attempt, createGroup, send } from '../support/talk.js';

const presenceOf = async (viewer: Person, person: Person) =>
  (await viewer.ask('query ($id: ID!) { user(id: $id) { presence { status } } }', { id: person.id })).user.presence;

describe.each(modes)('the presence of members whom others added to a group in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let ana: Person;
  let ben: Person;
  let stranger: Person;
  let group: string;

  const begin = async () => {
    [ana, ben, stranger] = await registerAll(node.url, 'ana', 'ben', 'stranger');
    group = await createGroup(ana, [ben, stranger]);
    // A node that has just started does not know yet who is connected to others.
    await eventually('presence is known', async () => (await presenceOf(ana, ana)) !== null);
  };

  describe('with PRESENCE_HIDES_ADDED_MEMBERS', () => {
    beforeAll(async () => {
      node = await (await makePlace(mode)).start({ PRESENCE_HIDES_ADDED_MEMBERS: 'on' });
    });
    const watch = (viewer: Person, ...people: Person[]) =>
      listen(connectInTest(node.url, viewer.token), PRESENCE, { userIds: people.map(({ id }) => id) }, 'presence');

    it('is hidden from the user who added them and from other members until they write', async () => {
      await begin();
      const [byAna, byBen] = [watch(ana, stranger), watch(ben, stranger, ana)];
      for (const { until } of [byAna, byBen]) await until(({ user }) => user.id === stranger.id);
      expect([await presenceOf(ana, stranger), await presenceOf(ben, stranger)]).toEqual([null, null]);
      // Ana created the group.
      await untilStatus(byBen, ana, 'ONLINE');
      expect(await presenceOf(stranger, ana)).toEqual({ status: 'ONLINE' });
      await send(stranger, group, 'hello');
      for (const stream of [byAna, byBen]) await untilStatus(stream, stranger, 'OFFLINE');
      for (const stream of [byAna, byBen]) expect(statusesOf(stream, stranger)).toEqual([null, 'OFFLINE']);
      expect(await presenceOf(ben, stranger)).toEqual({ status: 'OFFLINE' });
    });

    itOnce('is shown to users whom they have added as contacts', async () => {
      await begin();
      const stream = watch(ana, stranger);
      await stream.until(({ user }) => user.id === stranger.id);
      await attempt(stranger, 'addContact', { userId: ana.id });
      await untilStatus(stream, stranger, 'OFFLINE');
      expect(await presenceOf(ben, stranger)).toBeNull();
    });

    itOnce('is shown after they have joined the group themselves', async () => {
      await begin();
      await attempt(ana, 'updateGroup', { conversationId: group, visibility: 'PUBLIC' });
      await attempt(stranger, 'leaveConversation', { conversationId: group });
      const stream = watch(ana, stranger);
      await stream.until(({ user }) => user.id === stranger.id);
      await attempt(stranger, 'joinConversation', { conversationId: group });
      await untilStatus(stream, stranger, 'OFFLINE');
    });

    itOnce('depends on the group for older memberships, which do not store who added them', async () => {
      await begin();
      const { db } = node.deps.database;
      await db.$executeRaw`UPDATE memberships SET added_by_id = NULL
        WHERE conversation_id = ${idOf('Conversation', group, 'id')}::uuid`;
      expect(await presenceOf(ben, stranger)).toBeNull();
      expect(await presenceOf(stranger, ana)).not.toBeNull();
      await attempt(ana, 'updateGroup', { conversationId: group, visibility: 'PUBLIC' });
      await eventually('he is shown', async () => (await presenceOf(ben, stranger)) !== null);
    });
  });

  itOnce('is shown by default', async () => {
    node = await sharedNode(mode);
    await begin();
    expect([await presenceOf(ana, stranger), await presenceOf(ben, stranger)]).toEqual([
      { status: 'OFFLINE' },
      { status: 'OFFLINE' },
    ]);
  });
});
