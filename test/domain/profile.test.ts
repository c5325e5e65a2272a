import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import { createPersonUpdates } from '../../src/domain/conversation/person-updates.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  connectInTest,
  eventually,
  type Json,
  type Listening,
  listen,
  type Person,
  register,
  registerAll,
} from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { inOneMode, modes, sharedTwo, waitingFor } from '../support/place.js';
import { PRESENCE } from '../support/presence.js';
import { attempt, createGroup, insertGroups, openDirect } from '../support/talk.js';

const PROFILE = 'viewer { user { username displayName bio avatarUrl } }';
const CONVERSATIONS = `subscription {
  conversations { type conversationId actor { id } membership { user { id displayName avatarUrl } } }
}`;

describe.each(modes)('profiles in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    [node, other] = await sharedTwo(mode);
  });

  const follow = async (person: Person, query: string, field: string, variables: Json = {}): Promise<Listening> => {
    const client = connectInTest(other.url, person.token);
    const stream = listen(client, query, variables, field);
    if (field === 'conversations') await stream.until(({ type }) => type === 'CAUGHT_UP');
    return stream;
  };
  const update = (person: Person, input: Json) => attempt(person, 'updateProfile', input, PROFILE);
  const people = <Names extends string[]>(...names: Names) => registerAll(node.url, ...names);

  it('keep omitted fields, and clear fields that are null', async () => {
    const [ana] = await people('ana');
    const full = { displayName: 'Ana María', bio: 'Climbs.\nBakes.', avatarUrl: 'https://example.com/ana.png' };
    expect(await update(ana, full)).toEqual({ viewer: { user: { username: ana.username, ...full } } });
    expect((await update(ana, { bio: '  ' })).viewer.user).toEqual({ username: ana.username, ...full, bio: null });
    const cleared = await update(ana, { displayName: null, avatarUrl: null });
    expect(cleared.viewer.user).toEqual({
      username: ana.username,
      displayName: ana.username,
      bio: null,
      avatarUrl: null,
    });
    expect((await update(ana, {})).viewer.user).toEqual(cleared.viewer.user);
  });

  itOnce.each([
    [{ displayName: ' ' }, 'BAD_USER_INPUT input.displayName'],
    [{ displayName: 'x'.repeat(81) }, 'BAD_USER_INPUT input.displayName'],
    [{ displayName: 'a\nb' }, 'BAD_USER_INPUT input.displayName'],
    [{ bio: 'x'.repeat(1_001) }, 'BAD_USER_INPUT input.bio'],
    [{ bio: 'nul \0' }, 'BAD_USER_INPUT input.bio'],
    [{ avatarUrl: 'javascript:alert(1)' }, 'BAD_USER_INPUT input.avatarUrl'],
    [{ avatarUrl: `https://example.com/${'x'.repeat(2_000)}` }, 'BAD_USER_INPUT input.avatarUrl'],
  ])('reject %j', async (input, answer) => {
    const [ana] = await people('ana');
    expect(await update(ana, input)).toBe(answer);
  });

  itOnce('keep all fields that are changed concurrently', async () => {
    const crowd = await Promise.all(Array.from({ length: 10 }, () => register(node.url)));
    const full = { displayName: 'Ana María', bio: 'Climbs.', avatarUrl: 'https://example.com/ana.png' };
    await Promise.all(
      crowd.flatMap((person) => Object.entries(full).map(([field, value]) => update(person, { [field]: value }))),
    );
    for (const person of crowd) {
      expect((await update(person, {})).viewer.user).toEqual({ username: person.username, ...full });
    }
  });

  it('are found by the new display name, and not by the old one', async () => {
    const [ana] = await people('ana');
    const found = async (search: string) =>
      (await ana.ask('query ($s: String!) { users(search: $s) { nodes { id } } }', { s: search })).users.nodes.some(
        ({ id }: Json) => id === ana.id,
      );
    await update(ana, { displayName: 'Zsófia Ébert' });
    expect(await found('ebe')).toBe(true);
    await update(ana, { displayName: 'Nobody' });
    expect(await found('ebe')).toBe(false);
    expect(await found(ana.username)).toBe(true);
  });

  it('are delivered after a change to all members of common conversations, including the own devices, and to nobody else', async () => {
    const [ana, bob, carol] = await people('ana', 'bob', 'carol');
    const direct = await openDirect(ana, bob);
    const group = await createGroup(bob, [ana]);
    const [own, theirs, strangers] = (await Promise.all(
      [ana, bob, carol].map((person) => follow(person, CONVERSATIONS, 'conversations')),
    )) as [Listening, Listening, Listening];
    await update(ana, { displayName: 'New Name' });
    for (const stream of [own, theirs]) {
      for (const conversationId of [direct, group]) {
        expect(await stream.until((event) => event.conversationId === conversationId)).toEqual({
          type: 'MEMBER_UPDATED',
          conversationId,
          actor: { id: ana.id },
          membership: { user: { id: ana.id, displayName: 'New Name', avatarUrl: null } },
        });
      }
    }
    await update(ana, { displayName: 'New Name' });
    await createGroup(bob, [ana, carol]);
    await strangers.until(({ type }) => type === 'JOINED');
    expect(strangers.events.map(({ type }) => type)).toEqual(['CAUGHT_UP', 'JOINED']);
    expect(theirs.events.filter(({ type }) => type === 'MEMBER_UPDATED')).toHaveLength(2);
  });

  itOnce('are delivered in presence events to a contact without a common conversation', async () => {
    const [ana, bob] = await people('ana', 'bob');
    await attempt(ana, 'addContact', { userId: bob.id });
    await attempt(bob, 'addContact', { userId: ana.id });
    const stream = await follow(
      bob,
      'subscription { presence { user { id displayName presence { status } } } }',
      'presence',
    );
    await stream.until(({ user }) => user.id === ana.id);
    await update(ana, { displayName: 'Newly Named' });
    expect(await stream.until(({ user }) => user.displayName === 'Newly Named')).toEqual({
      user: { id: ana.id, displayName: 'Newly Named', presence: { status: 'OFFLINE' } },
    });
    const late = await follow(bob, PRESENCE.replace('username', 'displayName'), 'presence', { userIds: [ana.id] });
    expect((await late.until(({ user }) => user.id === ana.id)).user.displayName).toBe('Newly Named');
  });

  // Requires an open transaction while others run.
  it.skipIf(mode === 'embedded')('keep a username that another transaction changes at the same time', async () => {
    const [ana] = await people('ana');
    const username = `renamed.${ana.username}`.slice(0, 32);
    let updating: Promise<unknown> = Promise.resolve();
    await node.deps.database.transaction(async (tx) => {
      const where = { id: decodeGlobalId(ana.id, 'id').id };
      await tx.user.update({ where, data: { username, usernameKey: username } });
      updating = update(ana.at(other.url), { displayName: 'Ana' });
      await waitingFor(node, 1);
    });
    await updating;
    const { viewer } = await ana.ask('{ viewer { user { username displayName } } }');
    expect(viewer.user).toEqual({ username, displayName: 'Ana' });
  });

  // Requires an open transaction while others run.
  it.skipIf(mode === 'embedded')(
    'are current for members added before the change is announced everywhere',
    async () => {
      const [ana, bob] = await people('ana', 'bob');
      const first = await createGroup(bob, [ana]);
      const stream = await follow(bob, CONVERSATIONS, 'conversations');
      const locked = { id: decodeGlobalId(first, 'id').id };
      await node.deps.database.transaction(async (tx) => {
        await tx.conversation.update({ where: locked, data: { description: 'held' } });
        await update(ana.at(other.url), { displayName: 'The Last' });
        await waitingFor(node, 1);
        const second = await createGroup(bob, [ana]);
        await stream.until(({ type, conversationId }) => type === 'JOINED' && conversationId === second);
        const query = 'query ($id: ID!) { conversation(id: $id) { members { nodes { user { displayName } } } } }';
        const { conversation } = await bob.ask(query, { id: second });
        expect(conversation.members.nodes).toContainEqual({ user: { displayName: 'The Last' } });
      });
      const event = await stream.until((each) => each.type === 'MEMBER_UPDATED' && each.conversationId === first);
      expect(event.membership.user.displayName).toBe('The Last');
    },
  );

  inOneMode(mode, describe)('of a user in many conversations', () => {
    const MANY = 130;
    let ana: Person;
    let bob: Person;
    let ids: string[];
    let stream: Listening;
    const rowOf = (person: Person) => decodeGlobalId(person.id, 'id').id;
    const nothingLeft = () =>
      eventually('the update is complete', async () => (await node.deps.database.db.personUpdate.count()) === 0);
    const updatedIn = () =>
      stream.events
        .filter(({ type }) => type === 'MEMBER_UPDATED')
        .map(({ conversationId }) => decodeGlobalId(conversationId, 'id').id);

    beforeEach(async () => {
      [ana, bob] = await people('ana', 'bob');
      ids = await insertGroups(node.deps.database.db, MANY, [rowOf(ana), rowOf(bob)]);
      stream = await follow(bob, CONVERSATIONS, 'conversations');
    });

    it('are delivered once in each of them', async () => {
      await update(ana, { displayName: 'New Name' });
      await nothingLeft();
      await eventually('all are delivered', () => updatedIn().length >= MANY);
      expect(updatedIn().sort()).toEqual([...ids].sort());
    });

    itOnce(
      'are delivered by another node if the node that changed them has crashed, from where that one had stopped',
      async () => {
        const [afterId, lastId] = [ids[70] as string, ids[30] as string];
        await node.deps.database.db.personUpdate.create({
          data: { userId: rowOf(ana), type: 'MEMBER_UPDATED', afterId, lastId },
        });
        let announced = 0;
        const another = createPersonUpdates(other.deps, {
          pollIntervalMs: 50,
          onAnnounced: () => {
            announced += 1;
          },
        });
        atEnd(() => another.close());
        await eventually('the update is announced', () => announced === 1);
        await nothingLeft();
        const expected = [...ids.slice(71), ...ids.slice(0, 31)];
        await eventually('all are delivered', () => updatedIn().length >= expected.length);
        expect(updatedIn()).toEqual(expected);
      },
    );

    // Requires an open transaction while others run.
    it.skipIf(mode === 'embedded')(
      'are delivered in the other conversations while one is locked, which are not locked meanwhile',
      async () => {
        const [locked, ...free] = ids;
        await node.deps.database.transaction(async (tx) => {
          await tx.$queryRaw`SELECT FROM conversations WHERE id = ${locked}::uuid FOR UPDATE`;
          await update(ana.at(other.url), { displayName: 'New Name' });
          await eventually('the first ones are delivered', () => updatedIn().length === 49);
          await waitingFor(node, 1);
          // The other conversations are not locked meanwhile.
          await tx.$queryRaw`SELECT FROM conversations WHERE id = ANY (${free}::uuid[]) FOR UPDATE NOWAIT`;
        });
        await nothingLeft();
        await eventually('all are delivered', () => updatedIn().length >= MANY);
        expect(new Set(updatedIn())).toEqual(new Set(ids));
      },
    );
  });
});
