import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { decodeGlobalId, idOf } from '../../src/core/ids.js';
import { createAccountErasureJob, erasures } from '../../src/domain/account/erasures.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  connectInTest,
  eventually,
  type Json,
  type Listening,
  listen,
  type Person,
  registerAll,
  request,
} from '../support/client.js';
import { inOneMode, makePlace, modes, type Place, startTwo, waitingFor } from '../support/place.js';
import { attempt, createGroup, edit, MESSAGES, openDirect, pin, react, reply, send, trySend } from '../support/talk.js';

const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { viewer { user { id } } } }';
const WHO = 'query ($id: ID!) { user(id: $id) { username displayName bio avatarUrl deletedAt } }';

describe.each(modes)('deletion of an account in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let place: Place;
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    place = await makePlace(mode);
    [node, other] = await startTwo(place);
  });

  const people = <Names extends string[]>(...names: Names) => registerAll(node.url, ...names);
  const deleteAccount = (person: Person, password: string | null = person.password) =>
    attempt(person, 'deleteAccount', { password }, 'userId');
  const cleared = (at: RunningNode = node) =>
    eventually('the erasure is complete', async () => (await at.deps.database.db.erasure.count()) === 0);
  const rowId = ({ id }: Person) => decodeGlobalId(id, 'id').id;

  itOnce('requires the password', async () => {
    const [ana] = await people('ana');
    for (const wrong of [null, '', 'not this one']) {
      expect(await deleteAccount(ana, wrong)).toBe('BAD_USER_INPUT input.password');
    }
    expect((await ana.ask('{ viewer { id } }')).viewer).not.toBeNull();
    expect(await deleteAccount(ana)).toEqual({ userId: ana.id });
  });

  it('ends all sessions with their sockets on every node, and prevents signing in', async () => {
    const [ana] = await people('ana');
    const { data } = await request(
      node.url,
      'mutation ($i: LoginInput!) { login(input: $i) { tokens { accessToken } } }',
      {
        i: { usernameOrEmail: ana.email, password: ana.password },
      },
    );
    const closed: number[] = [];
    for (const [url, token] of [
      [node.url, ana.token],
      [other.url, data.login.tokens.accessToken],
    ] as const) {
      const client = connectInTest(url, token, {
        on: { closed: (event) => void closed.push((event as { code: number }).code) },
      });
      await listen(client, MESSAGES).until(({ type }) => type === 'CAUGHT_UP');
    }
    await deleteAccount(ana);
    await eventually('the sockets are closed', () => closed.length === 2);
    expect(closed).toEqual([4403, 4403]);
    expect((await ana.request('{ viewer { id } }')).errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    for (const usernameOrEmail of [ana.username, ana.email]) {
      const answer = await request(node.url, LOGIN, { input: { usernameOrEmail, password: ana.password } });
      expect(answer.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    }
    const refresh = 'mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { viewer { id } } }';
    const again = await request(node.url, refresh, { input: { refreshToken: ana.refreshToken } });
    expect(again.errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
  });

  it('replaces the name by a placeholder, and makes it available to others', async () => {
    const [ana, bob] = await people('ana', 'bob');
    await attempt(ana, 'updateProfile', { displayName: 'Ana María', bio: 'me', avatarUrl: 'https://example.com/a' });
    await deleteAccount(ana);
    const { user } = await bob.ask(WHO, { id: ana.id });
    expect(user).toMatchObject({ displayName: 'Deleted account', bio: null, avatarUrl: null });
    expect(user.username).toMatch(/^deleted_[0-9a-f]{20}$/);
    expect(Date.parse(user.deletedAt)).toBeGreaterThan(Date.now() - 60_000);
    const found = await bob.ask(
      'query ($n: String!) { userByUsername(username: $n) { id } users(search: $n) { nodes { id } } }',
      {
        n: ana.username,
      },
    );
    expect(found).toEqual({ userByUsername: null, users: { nodes: [] } });
    const input = { username: ana.username, email: ana.email, password: 'somebody else’s' };
    const taken = await request(
      node.url,
      'mutation ($input: RegisterInput!) { register(input: $input) { viewer { id } } }',
      {
        input,
      },
    );
    expect(taken.errors).toBeUndefined();
  });

  it('removes the user from groups, appoints a new owner if necessary, and keeps direct conversations for the counterpart', async () => {
    const [ana, bob, carol] = await people('ana', 'bob', 'carol');
    const group = await createGroup(ana, [bob, carol]);
    const direct = await openDirect(bob, ana);
    await send(ana, direct, 'goodbye');
    await attempt(bob, 'addContact', { userId: ana.id });
    await attempt(carol, 'blockUser', { userId: ana.id });
    const client = connectInTest(other.url, bob.token);
    const stream: Listening = listen(
      client,
      'subscription { conversations { type conversationId userId membership { role user { id displayName deletedAt } } } }',
      {},
      'conversations',
    );
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    await deleteAccount(ana);
    const updated = await stream.until(
      ({ type, conversationId }) => type === 'MEMBER_UPDATED' && conversationId === direct,
    );
    expect(updated.membership.user).toMatchObject({ displayName: 'Deleted account', deletedAt: expect.any(String) });
    await stream.until(({ type, userId }) => type === 'MEMBER_LEFT' && userId === ana.id);
    await stream.until(({ membership }) => membership?.role === 'OWNER' && membership.user.id !== ana.id);
    await cleared();
    const { conversation } = await bob.ask(
      `query ($id: ID!) { conversation(id: $id) { viewerCanSend counterpart { id deletedAt } messages(last: 5) { nodes { text } } } }`,
      { id: direct },
    );
    expect(conversation).toMatchObject({
      viewerCanSend: false,
      counterpart: { id: ana.id },
      messages: { nodes: [{ text: 'goodbye' }] },
    });
    expect((await trySend(bob, direct, 'still there?')).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    expect((await bob.ask('{ viewer { contacts { totalCount } } }')).viewer.contacts.totalCount).toBe(0);
    const { db } = node.deps.database;
    const left = await Promise.all([
      db.credential.count({ where: { userId: rowId(ana) } }),
      db.block.count({ where: { blockedId: rowId(ana) } }),
      db.membership.count({ where: { userId: rowId(ana), conversation: { kind: 'GROUP' } } }),
    ]);
    expect(left).toEqual([0, 0, 0]);
    expect(
      (await bob.ask('query ($id: ID!) { conversation(id: $id) { memberCount } }', { id: group })).conversation
        .memberCount,
    ).toBe(2);
  });

  // This test starts a separate node.
  itOnce('keeps all messages, or erases them if the service is configured to', { timeout: 90_000 }, async () => {
    const strict = await place.start({ DELETED_ACCOUNT_MESSAGES: 'delete' }).catch(() => undefined);
    // The embedded database supports one node.
    const there = strict ?? (await (await makePlace(mode)).start({ DELETED_ACCOUNT_MESSAGES: 'delete' }));
    const [ana, bob] = await registerAll(there.url, 'ana', 'bob');
    const group = await createGroup(bob, [ana]);
    const kept = await send(bob, group, `mine, for @${ana.username}`);
    const client = connectInTest(there.url, bob.token);
    const stream = listen(client, MESSAGES);
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    // Enough messages for several steps, in two conversations.
    const { db } = there.deps.database;
    const direct = await openDirect(bob, ana);
    const sent = await Promise.all(
      Array.from({ length: 20 }, (_, index) => send(ana, index % 2 ? group : direct, `${index} @${bob.username}`)),
    );
    await db.$executeRaw`
      INSERT INTO messages (id, conversation_id, seq, sender_id, text)
      SELECT gen_random_uuid(), id, latest_seq + n, ${rowId(ana)}::uuid, 'old'
      FROM conversations, generate_series(1, 700) n WHERE id = ${decodeGlobalId(direct, 'id').id}::uuid`;
    await db.conversation.update({
      where: { id: decodeGlobalId(direct, 'id').id },
      data: { latestSeq: { increment: 700 } },
    });
    const lost = 'what nobody is to read';
    const pinned = await send(ana, direct, lost);
    await edit(ana, pinned.id, 'edited');
    await react(bob, pinned.id, '👍');
    await pin(bob, pinned.id);
    const theirs = await send(bob, direct, 'not hers');
    for (const [person, emoji] of [
      [ana, '🎉'],
      [bob, '👍'],
      [ana, '👍'],
    ] as const)
      await react(person, theirs.id, emoji);
    const answer = await reply(bob, direct, pinned.id, 'an answer');
    expect(await deleteAccount(ana)).toEqual({ userId: ana.id });
    await cleared(there);
    const left = await bob.ask(
      `query ($ids: [ID!]!, $direct: ID!) {
        nodes(ids: $ids) { ... on Message { text reactions { emoji count } replyTo { text pinnedAt reactions { emoji } edits { nodes { text } } } } }
        conversation(id: $direct) { pinnedMessages { id } }
      }`,
      { ids: [theirs.id, answer.id], direct },
    );
    expect(left).toEqual({
      nodes: [
        { text: 'not hers', reactions: [{ emoji: '👍', count: 1 }], replyTo: null },
        {
          ...{ text: 'an answer', reactions: [] },
          replyTo: { text: null, pinnedAt: null, reactions: [], edits: { nodes: [] } },
        },
      ],
      conversation: { pinnedMessages: [] },
    });
    expect(await db.messageVersion.count({ where: { text: lost } })).toBe(0);
    await eventually('the removal of her reactions is delivered', () =>
      stream.events.some(
        ({ type, messageId, actor }) =>
          type === 'REACTED' && messageId === theirs.id && actor.id === ana.id && actor.username.startsWith('deleted_'),
      ),
    );
    for (const { id } of sent) {
      const event = await stream.until(({ type, messageId }) => type === 'DELETED' && messageId === id);
      expect(event).toMatchObject({ actor: { id: ana.id }, message: { text: null, deletedAt: expect.any(String) } });
    }
    const texts = await db.message.findMany({
      where: { senderId: rowId(ana), OR: [{ text: { not: null } }, { deletedAt: null }] },
    });
    expect(texts).toEqual([]);
    expect(await db.mention.count({ where: { userId: rowId(bob) } })).toBe(0);
    const { node: still } = await bob.ask('query ($id: ID!) { node(id: $id) { ... on Message { text } } }', {
      id: kept.id,
    });
    expect(still.text).toContain('mine');
    const { conversation } = await bob.ask(
      'query ($id: ID!) { conversation(id: $id) { viewerMembership { unreadCount unreadMentionCount } } }',
      { id: direct },
    );
    expect(conversation.viewerMembership).toEqual({ unreadCount: 0, unreadMentionCount: 0 });
  });

  it('is completed by another node if a node crashes, after its claim has expired', async () => {
    const [ana, bob, carol] = await people('ana', 'bob', 'carol');
    await createGroup(bob, [ana, carol]);
    const { db } = node.deps.database;
    // One erasure whose node has crashed after the commit, and one that another node has claimed.
    const begun = async (person: Person, restMs: number) => {
      await db.user.update({ where: { id: rowId(person) }, data: { deletedAt: new Date() } });
      const claimedUntil = new Date(Date.now() + restMs);
      await db.erasure.create({ data: { userId: rowId(person), claimedUntil } });
    };
    const groupsOf = (person: Person) => db.membership.count({ where: { userId: rowId(person) } });
    await begun(ana, 3_600_000);
    const another = createAccountErasureJob(node.deps, { pollIntervalMs: 500 });
    onTestFinished(() => another.close());
    await begun(carol, -1_000);
    await eventually('the unclaimed erasure is found', async () => (await db.erasure.count()) === 1);
    expect([await groupsOf(carol), await groupsOf(ana)]).toEqual([0, 1]);
    await db.erasure.update({ where: { userId: rowId(ana) }, data: { claimedUntil: new Date(Date.now() - 1_000) } });
    await cleared();
    expect(await groupsOf(ana)).toBe(0);
  });

  // Requires an open transaction while others run.
  it.skipIf(mode === 'embedded')('is performed by one node at a time', async () => {
    const [ana, bob] = await people('ana', 'bob');
    const group = await createGroup(bob, [ana]);
    const { db, transaction } = node.deps.database;
    await transaction(async (tx) => {
      await tx.conversation.update({ where: { id: idOf('Conversation', group, 'id') }, data: { description: 'held' } });
      await db.user.update({ where: { id: rowId(ana) }, data: { deletedAt: new Date() } });
      await db.erasure.create({ data: { userId: rowId(ana) } });
      const before = Date.now();
      erasures.of(node.deps).begin();
      await waitingFor(node, 1);
      const { claimedUntil } = await db.erasure.findUniqueOrThrow({ where: { userId: rowId(ana) } });
      expect(claimedUntil.getTime()).toBeGreaterThan(before + 30_000);
      erasures.of(other.deps).begin();
      await other.deps.database.ping();
    });
    await cleared();
  });

  itOnce('is performed once for two concurrent requests', async () => {
    const [ana] = await people('ana');
    const answers: Json[] = await Promise.all([deleteAccount(ana), deleteAccount(ana.at(other.url))]);
    expect(answers).toContainEqual({ userId: ana.id });
    await cleared();
  });

  itOnce('is rejected for the only admin of the service', async () => {
    const [ana, bob] = await people('ana', 'bob');
    const { db } = node.deps.database;
    await db.user.updateMany({ where: { serviceRole: 'ADMIN' }, data: { serviceRole: 'USER' } });
    await db.user.update({ where: { id: rowId(ana) }, data: { serviceRole: 'ADMIN' } });
    expect(await deleteAccount(ana)).toBe('CONFLICT');
    await attempt(ana, 'setServiceRole', { userId: bob.id, role: 'ADMIN' });
    expect(await deleteAccount(ana)).toEqual({ userId: ana.id });
  });
});
