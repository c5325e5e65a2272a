import { beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, type Json, type Listening, listen, type Person, registerAll } from '../support/client.js';
import { inOneMode, modes, sharedTwo, smallLimits, waitingFor } from '../support/place.js';
import { PRESENCE, untilStatus } from '../support/presence.js';
import { attempt, createGroup, edit, MESSAGES, openDirect, send, trySend } from '../support/talk.js';

describe.each(modes)('blocks in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    [node, other] = await sharedTwo(mode, smallLimits);
  });

  const people = <Names extends string[]>(...names: Names) => registerAll(node.url, ...names);
  const block = (person: Person, { id }: Person) =>
    attempt(person, 'blockUser', { userId: id }, 'user { id viewerHasBlocked viewerIsContact }');
  const unblock = (person: Person, { id }: Person) =>
    attempt(person, 'unblockUser', { userId: id }, 'user { id viewerHasBlocked }');
  const follow = async (person: Person, query: string, field: string, variables: Json = {}): Promise<Listening> => {
    const client = connectInTest(other.url, person.token);
    const stream = listen(client, query, variables, field);
    if (field !== 'presence') await stream.until(({ type }) => type === 'CAUGHT_UP');
    return stream;
  };
  const canSend = async (person: Person, id: string) =>
    (await person.ask('query ($id: ID!) { conversation(id: $id) { viewerCanSend } }', { id })).conversation
      .viewerCanSend;
  const codeOf = async (answer: ReturnType<typeof trySend>) => (await answer).errors?.[0]?.extensions.code;

  it('prevent sends in a direct conversation in both directions until they are removed', async () => {
    const [ana, bob] = await people('ana', 'bob');
    const direct = await openDirect(ana, bob);
    await send(bob, direct, 'before');
    expect(await block(ana, bob)).toEqual({ user: { id: bob.id, viewerHasBlocked: true, viewerIsContact: false } });
    for (const person of [ana, bob, bob.at(other.url)]) {
      expect(await codeOf(trySend(person, direct, 'no'))).toBe('FORBIDDEN');
      expect(await attempt(person, 'setTyping', { conversationId: direct, isTyping: true })).toMatch(/^FORBIDDEN/);
      expect(await canSend(person, direct)).toBe(false);
    }
    // Earlier messages remain readable, and there is still one conversation.
    expect(await openDirect(bob, ana)).toBe(direct);
    expect(await block(ana, bob)).toMatchObject({ user: { viewerHasBlocked: true } });
    expect(await unblock(ana, bob)).toEqual({ user: { id: bob.id, viewerHasBlocked: false } });
    expect(await unblock(ana, bob)).toMatchObject({ user: { viewerHasBlocked: false } });
    expect(await send(bob, direct, 'again')).toMatchObject({ seq: 2 });
    expect(await canSend(bob, direct)).toBe(true);
  });

  itOnce('allow deleting earlier messages but not editing them', async () => {
    const [ana, bob] = await people('ana', 'bob');
    const direct = await openDirect(ana, bob);
    const message = await send(bob, direct, 'hello');
    const query = 'subscription { messages { type message { text viewerCanEdit } } }';
    const [hers, his] = [await follow(ana, query, 'messages'), await follow(bob, query, 'messages')];
    await edit(bob, message.id, 'hello again');
    for (const [stream, viewerCanEdit] of [
      [hers, false],
      [his, true],
    ] as const) {
      const { message } = await stream.until(({ type }) => type === 'EDITED');
      expect(message).toEqual({ text: 'hello again', viewerCanEdit });
    }
    const canEdit = async () =>
      (await bob.ask('query ($id: ID!) { node(id: $id) { ... on Message { viewerCanEdit } } }', { id: message.id }))
        .node.viewerCanEdit;
    expect(await canEdit()).toBe(true);
    await block(ana, bob);
    expect(await canEdit()).toBe(false);
    for (const text of ['you cannot get rid of me', 'hello again']) {
      expect(await attempt(bob.at(other.url), 'editMessage', { messageId: message.id, text })).toBe('FORBIDDEN');
    }
    await unblock(ana, bob);
    await edit(bob, message.id, 'hello once more');
    await block(ana, bob);
    expect(await attempt(bob, 'deleteMessage', { messageId: message.id }, 'message { text }')).toEqual({
      message: { text: null },
    });
    await hers.until(({ type }) => type === 'DELETED');
    expect(hers.events.map(({ message }) => message?.text)).not.toContain('you cannot get rid of me');
  });

  itOnce('cause the same error for both users and for every reason', async () => {
    const [ana, bob, carol] = await people('ana', 'bob', 'carol');
    const direct = await openDirect(bob, ana);
    const withCarol = await openDirect(bob, carol);
    await block(ana, bob);
    await carol.ask('mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { __typename } }', {
      input: { password: carol.password },
    });
    const refusals = await Promise.all([
      trySend(bob, direct, 'hello?'),
      trySend(ana, direct, 'hello?'),
      trySend(bob, withCarol, 'hello?'),
    ]);
    for (const { errors } of refusals) {
      expect(errors).toEqual(refusals[0]?.errors);
      expect(errors?.[0]?.message).toContain('unblock them');
      expect(errors?.[0]?.extensions).toEqual({
        code: 'FORBIDDEN',
        field: 'input.conversationId',
        reason: 'RECIPIENT_UNREACHABLE',
      });
    }
  });

  itOnce('prevent opening a direct conversation, with the same error as for a deleted account', async () => {
    const [ana, bob] = await people('ana', 'bob');
    await block(ana, bob);
    expect(await attempt(bob, 'openDirectConversation', { userId: ana.id })).toBe('FORBIDDEN input.userId');
    expect(await attempt(ana, 'openDirectConversation', { userId: bob.id })).toBe('FORBIDDEN input.userId');
  });

  itOnce('silently prevent the blocked user from adding the blocker to groups', async () => {
    const [ana, bob, carol] = await people('ana', 'bob', 'carol');
    await block(ana, bob);
    const group = await createGroup(bob, [ana, carol]);
    const members = async () =>
      (
        await bob.ask('query ($id: ID!) { conversation(id: $id) { members { nodes { user { id } } } } }', { id: group })
      ).conversation.members.nodes
        .map(({ user }: Json) => user.id)
        .sort();
    expect(await members()).toEqual([bob.id, carol.id].sort());
    const added = await attempt(bob, 'addMembers', { conversationId: group, userIds: [ana.id] }, 'skippedUserIds');
    expect(added).toEqual({ skippedUserIds: [ana.id] });
    expect(await members()).toEqual([bob.id, carol.id].sort());
  });

  itOnce('do not affect messages in common groups', async () => {
    const [ana, bob, carol] = await people('ana', 'bob', 'carol');
    const group = await createGroup(carol, [ana, bob]);
    const stream = await follow(ana, MESSAGES, 'messages', { conversationId: group });
    await block(ana, bob);
    const { id } = await send(bob, group, 'to all');
    await stream.until(({ messageId }) => messageId === id);
    expect(await canSend(bob, group)).toBe(true);
    // An existing member is not skipped when they are added again.
    await attempt(carol, 'setMemberRole', { conversationId: group, userId: bob.id, role: 'ADMIN' });
    expect(await attempt(bob, 'addMembers', { conversationId: group, userIds: [ana.id] }, 'skippedUserIds')).toEqual({
      skippedUserIds: [],
    });
  });

  it('hide presence immediately on every node, and removing them shows it again', async () => {
    const [ana, bob, carol] = await people('ana', 'bob', 'carol');
    // The users only share a group, so that no event of a direct conversation reveals the block.
    await createGroup(carol, [ana, bob]);
    connectInTest(node.url, ana.token, { lazy: false });
    const asked = await follow(bob, PRESENCE, 'presence', { userIds: [ana.id, carol.id] });
    await untilStatus(asked, ana, 'ONLINE');
    await block(ana, bob);
    await asked.until(() => asked.events.at(-1)?.user.presence === null);
    const status = async (person: Person, { id }: Person) =>
      (await person.ask('query ($id: ID!) { user(id: $id) { presence { status } } }', { id })).user.presence;
    expect([await status(bob, ana), await status(ana, bob)]).toEqual([null, null]);
    expect(await status(carol, ana)).toEqual({ status: 'ONLINE' });
    await unblock(ana, bob);
    await untilStatus(asked, ana, 'ONLINE');
  });

  it('are delivered to both as a change of their conversation, without an actor', async () => {
    const [ana, bob] = await people('ana', 'bob');
    const direct = await openDirect(ana, bob);
    const query = `subscription { conversations { type conversationId actor { id } conversation { id viewerCanSend } } }`;
    const streams = await Promise.all([ana, bob].map((person) => follow(person, query, 'conversations')));
    await block(ana, bob);
    for (const stream of streams) {
      expect(await stream.until(({ type }) => type === 'UPDATED')).toEqual({
        type: 'UPDATED',
        conversationId: direct,
        actor: null,
        conversation: { id: direct, viewerCanSend: false },
      });
    }
    await unblock(ana, bob);
    for (const stream of streams) await stream.until(({ conversation }) => conversation?.viewerCanSend === true);
  });

  itOnce('reject sends in progress, so that none is stored after the block', async () => {
    const [ana, bob] = await people('ana', 'bob');
    const direct = await openDirect(ana, bob);
    const answers: Promise<Json>[] = [];
    for (let index = 0; index < 60; index += 1) {
      answers.push(trySend(index % 2 ? bob : bob.at(other.url), direct, `message ${index}`));
      if (index === 30) await block(ana, bob);
    }
    const blockedAt = await node.deps.database.db.block.findFirstOrThrow({ orderBy: { blockedAt: 'desc' } });
    const sent = (await Promise.all(answers)).flatMap(({ data }) => data.sendMessage?.message.seq ?? []);
    const stored = await node.deps.database.db.message.findMany({ orderBy: { createdAt: 'desc' }, take: sent.length });
    // Sends that were stored had the lock before the block.
    for (const { createdAt } of stored) expect(createdAt.getTime()).toBeLessThanOrEqual(blockedAt.blockedAt.getTime());
    expect(sent.length).toBeGreaterThan(0);
    expect(sent.length).toBeLessThan(60);
  });

  it('are listed latest first, and remove the user from the contacts', async () => {
    const [ana, bob, carol, dave, eve] = await people('ana', 'bob', 'carol', 'dave', 'eve');
    await attempt(ana, 'addContact', { userId: bob.id });
    for (const person of [bob, carol, dave]) await block(ana, person);
    const page = async (after?: string) =>
      (
        await ana.ask(
          `query ($after: String) { viewer {
            blockedUsers(first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } }
            contacts { totalCount }
          } }`,
          { after },
        )
      ).viewer;
    const first = await page();
    expect(first).toMatchObject({
      blockedUsers: { nodes: [{ id: dave.id }, { id: carol.id }], pageInfo: { hasNextPage: true } },
      contacts: { totalCount: 0 },
    });
    expect((await page(first.blockedUsers.pageInfo.endCursor)).blockedUsers).toMatchObject({
      nodes: [{ id: bob.id }],
      pageInfo: { hasNextPage: false },
    });
    expect(await block(ana, eve)).toBe('FORBIDDEN input.userId');
    const { user } = await bob.ask('query ($id: ID!) { user(id: $id) { viewerHasBlocked } }', { id: ana.id });
    expect(user.viewerHasBlocked).toBe(false);
  });

  itOnce('are rejected for oneself and for users who do not exist', async () => {
    const [ana] = await people('ana');
    expect(await block(ana, ana)).toBe('BAD_USER_INPUT input.userId');
    const nobody = { ...ana, id: 'User_AaH9b5HNcECpvBfEbG_tgA' };
    expect(await block(ana, nobody)).toBe('NOT_FOUND input.userId');
    expect(await unblock(ana, nobody)).toBe('NOT_FOUND input.userId');
  });

  itOnce('by both users cause no further event, and neither does removing one of them', async () => {
    const [ana, bob] = await people('ana', 'bob');
    const direct = await openDirect(ana, bob);
    const query = 'subscription { conversations { type conversation { viewerCanSend } } }';
    const stream = await follow(bob, query, 'conversations');
    await block(ana, bob);
    await stream.until(({ type }) => type === 'UPDATED');
    await block(bob, ana);
    await unblock(ana, bob);
    expect(await canSend(ana, direct)).toBe(false);
    await unblock(bob, ana);
    await stream.until(({ conversation }) => conversation?.viewerCanSend === true);
    expect(stream.events.filter(({ type }) => type === 'UPDATED')).toHaveLength(2);
  });

  it('can be made twice concurrently', async () => {
    const [ana, bob] = await people('ana', 'bob');
    const answers: Json[] = await Promise.all(Array.from({ length: 4 }, () => block(ana, bob)));
    for (const answer of answers) expect(answer).toMatchObject({ user: { viewerHasBlocked: true } });
  });

  // Requires an open transaction while others run.
  it.skipIf(mode === 'embedded')(
    'and a conversation that is opened in the same moment wait for each other',
    async () => {
      const [ana, bob] = await people('ana', 'bob');
      await attempt(ana, 'addContact', { userId: bob.id });
      const query = 'subscription { conversations { type conversation { id viewerCanSend } } }';
      const stream = await follow(bob, query, 'conversations');
      const { database } = node.deps;
      let blocking: Promise<Json> = Promise.resolve();
      let opening: Promise<Json> = Promise.resolve();
      await database.transaction(async (tx) => {
        // The last step of the block waits for this lock.
        const ownerId = decodeGlobalId(ana.id, 'id').id;
        await tx.$queryRaw`SELECT FROM contacts WHERE owner_id = ${ownerId}::uuid FOR UPDATE`;
        blocking = block(ana, bob);
        await waitingFor(node, 1);
        opening = attempt(bob, 'openDirectConversation', { userId: ana.id });
        await waitingFor(node, 2);
      });
      await blocking;
      expect(await opening).toBe('FORBIDDEN input.userId');
      expect(stream.events.map(({ type }) => type)).not.toContain('JOINED');
    },
  );
});
