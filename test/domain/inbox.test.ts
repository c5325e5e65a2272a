import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../src/core/ids.js';
import { notifier } from '../../src/domain/notifier/notifier.js';
import { trimChangeLog } from '../../src/realtime/change-log.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually, type Json, type Person, registerAll } from '../support/client.js';
import { changesOf, follower, rowId, syncCursorOf, untilDelivered } from '../support/durable-streams.js';
import { untilNotified } from '../support/notifier.js';
import { inOneMode, makePlace, modes, startTwo } from '../support/place.js';
import { statementsOf } from '../support/statements.js';
import { attempt, createGroup, edit, openDirect, react, remove, reply, send, unreact } from '../support/talk.js';

const NOTIFICATION = 'id kind count createdAt readAt actors { id } conversation { id } message { id text }';
const INBOX = `query ($unreadOnly: Boolean, $first: Int, $after: String) {
  viewer {
    unreadNotificationCount
    notifications(unreadOnly: $unreadOnly, first: $first, after: $after) {
      nodes { ${NOTIFICATION} } pageInfo { hasNextPage endCursor }
    }
  }
}`;
const STREAM = `subscription ($after: String) {
  notifications(after: $after) {
    type cursor replayed changeSeq notificationId unreadCount notification { ${NOTIFICATION} }
  }
}`;
const follow = follower('notifications', STREAM);
const markRead = (person: Person, conversationId: string, seq: number) =>
  attempt(person, 'markRead', { conversationId, seq });
const markNotificationsRead = (person: Person, upToId: string, more: object = {}) =>
  attempt(person, 'markNotificationsRead', { upToId, ...more }, 'viewer { unreadNotificationCount }');

describe.each(modes)('the inbox in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    // With this interval, events are delivered by wake-ups and not by the sweep.
    [node, other] = await startTwo(await makePlace(mode), {
      SWEEP_INTERVAL: '1h',
      NOTIFICATIONS_MAX: '10',
      NOTIFICATION_EVERYONE_MAX_MEMBERS: '3',
      DELETED_ACCOUNT_MESSAGES: 'delete',
    });
  });

  const inbox = async (person: Person, variables: Json = {}): Promise<Json> => {
    await untilNotified(node, other);
    return (await person.ask(INBOX, variables)).viewer;
  };
  const listOf = async (person: Person): Promise<Json[]> => (await inbox(person)).notifications.nodes;
  const kindsOf = async (person: Person) => (await listOf(person)).map(({ kind }) => kind);

  it('contains mentions, replies and reactions to the user’s messages, and groups that others added them to', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    const stream = await follow(ana, other.url);
    const group = await createGroup(bob, [ana, carol]);
    const own = await send(ana, group, 'mine');
    const mention = await send(bob, group, `hello @${ana.username}`);
    await reply(carol, group, own.id, 'first answer');
    const newest = await reply(bob, group, own.id, 'second answer');
    for (const emoji of ['👍', '🎉']) await react(bob, own.id, emoji);
    await react(carol, own.id, '👍');
    // What she does herself does not notify her.
    await send(ana, group, `note to @${ana.username}`);
    await reply(ana, group, own.id, 'to myself');
    await react(ana, own.id, '👍');
    const { notifications, unreadNotificationCount } = await inbox(ana);
    expect(notifications.nodes).toMatchObject([
      { kind: 'REACTION', count: 2, actors: [{ id: carol.id }, { id: bob.id }], message: { id: own.id }, readAt: null },
      { kind: 'REPLY', count: 2, actors: [{ id: bob.id }, { id: carol.id }], message: { id: newest.id } },
      { kind: 'MENTION', count: 1, actors: [{ id: bob.id }], message: { id: mention.id, text: mention.text } },
      { kind: 'ADDED_TO_GROUP', count: 1, actors: [{ id: bob.id }], conversation: { id: group }, message: null },
    ]);
    expect(unreadNotificationCount).toBe(4);
    expect(await kindsOf(carol)).toEqual(['ADDED_TO_GROUP']);
    expect(await kindsOf(bob)).toEqual([]);
    // The stream carries the same, whichever changes were processed together.
    await eventually('the stream has everything', () => stream.events.at(-1)?.unreadCount === 4);
    const known = new Map<string, Json>();
    for (const { type, notificationId, notification } of changesOf(stream)) {
      expect(type).toBe(known.has(notificationId) ? 'UPDATED' : 'ADDED');
      known.set(notificationId, notification);
    }
    await eventually('the last state was delivered', () => {
      for (const { notificationId, notification } of changesOf(stream)) known.set(notificationId, notification);
      return [...known.values()].reduce((sum, { count }) => sum + count, 0) === 6;
    });
    for (const each of notifications.nodes) expect(known.get(each.id)).toEqual(each);
  });

  it('follows edits, deletions and removed reactions', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    const direct = await createGroup(ana, [bob, carol]);
    const own = await send(ana, direct, 'mine');
    const text = await send(bob, direct, 'nobody is mentioned');
    expect(await kindsOf(ana)).toEqual([]);
    await edit(bob, text.id, `now @${ana.username} is mentioned`);
    const [first] = await listOf(ana);
    expect(first).toMatchObject({ kind: 'MENTION', message: { id: text.id } });
    // Another edit does not notify again.
    await markNotificationsRead(ana, first.id);
    await edit(bob, text.id, `still @${ana.username}`);
    expect(await listOf(ana)).toMatchObject([{ id: first.id, readAt: expect.any(String) }]);
    await edit(bob, text.id, 'not any more');
    expect(await listOf(ana)).toEqual([]);
    const answers = [await reply(bob, direct, own.id, 'one'), await reply(carol, direct, own.id, 'two')];
    expect(await listOf(ana)).toMatchObject([{ kind: 'REPLY', count: 2, message: { id: answers[1]?.id } }]);
    const stream = await follow(ana, other.url);
    await remove(carol, answers[1]?.id ?? '');
    expect(await listOf(ana)).toMatchObject([
      { kind: 'REPLY', count: 1, actors: [{ id: bob.id }], message: { id: answers[0]?.id } },
    ]);
    await remove(bob, answers[0]?.id ?? '');
    expect(await listOf(ana)).toEqual([]);
    await untilDelivered(stream, 2);
    expect(changesOf(stream).map(({ type, unreadCount }) => [type, unreadCount])).toEqual([
      ['UPDATED', 1],
      ['REMOVED', 0],
    ]);
    expect(changesOf(stream).at(-1)).toMatchObject({ notification: null, notificationId: expect.any(String) });
    for (const [person, emoji] of [
      [bob, '👍'],
      [bob, '🎉'],
      [carol, '👍'],
    ] as const)
      await react(person, own.id, emoji);
    await unreact(bob, own.id, '👍');
    expect(await listOf(ana)).toMatchObject([{ kind: 'REACTION', count: 2 }]);
    await unreact(bob, own.id, '🎉');
    expect(await listOf(ana)).toMatchObject([{ kind: 'REACTION', count: 1, actors: [{ id: carol.id }] }]);
    await remove(ana, own.id);
    expect(await listOf(ana)).toEqual([]);
    const { db } = node.deps.database;
    expect(await db.notificationOccurrence.count({ where: { userId: rowId(ana.id), kind: 'REACTION' } })).toBe(0);
  });

  itOnce('contains a reply that mentions the user once', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const own = await send(ana, direct, 'mine');
    const answer = await reply(bob, direct, own.id, `@${ana.username} yes`);
    expect(await kindsOf(ana)).toEqual(['MENTION']);
    await edit(bob, answer.id, 'yes');
    expect(await kindsOf(ana)).toEqual(['REPLY']);
  });

  it('is read with the conversation and by markNotificationsRead, on all devices', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const mention = (text: string) => send(bob, direct, `@${ana.username} ${text}`);
    const [one, two] = [await mention('one'), await mention('two')];
    await untilNotified(node, other);
    const streams = [await follow(ana, node.url), await follow(ana, other.url)];
    await markRead(ana.at(other.url), direct, one.seq);
    await untilNotified(node, other);
    for (const stream of streams) {
      await untilDelivered(stream, 1);
      expect(changesOf(stream)[0]).toMatchObject({
        type: 'UPDATED',
        unreadCount: 1,
        notification: { message: { id: one.id }, readAt: expect.any(String) },
      });
    }
    const [three] = [await mention('three'), await untilNotified(node, other)];
    const unread = (await inbox(ana, { unreadOnly: true })).notifications.nodes;
    expect(unread.map(({ message }: Json) => message.id)).toEqual([three.id, two.id]);
    expect(await markNotificationsRead(ana, unread[1].id)).toMatchObject({ viewer: { unreadNotificationCount: 1 } });
    expect(await markNotificationsRead(ana, unread[0].id)).toMatchObject({ viewer: { unreadNotificationCount: 0 } });
    for (const stream of streams) await eventually('all is read', () => stream.events.at(-1)?.unreadCount === 0);
    expect((await inbox(ana, { unreadOnly: true })).notifications.nodes).toEqual([]);
    // What was read before the notifier processes it is in the inbox, but not unread.
    const four = await mention('four');
    await markRead(ana, direct, four.seq);
    const latest = await inbox(ana);
    expect(latest.notifications.nodes[0]).toMatchObject({ message: { id: four.id }, readAt: expect.any(String) });
    expect(latest.unreadNotificationCount).toBe(0);
    // A new occurrence makes a notification unread again.
    const own = await send(ana, direct, 'mine');
    await react(bob, own.id, '👍');
    const [reaction] = await listOf(ana);
    await markNotificationsRead(ana, reaction.id);
    await reply(bob, direct, own.id, 'a reply');
    expect((await inbox(ana)).unreadNotificationCount).toBe(1);
    expect(await markNotificationsRead(bob, reaction.id)).toBe('NOT_FOUND input.upToId');
    // One can be marked without those before it.
    await mention('five');
    const [five] = await listOf(ana);
    expect(await markNotificationsRead(bob, five.id, { onlyThis: true })).toBe('NOT_FOUND input.upToId');
    expect(await markNotificationsRead(ana, five.id, { onlyThis: true })).toMatchObject({
      viewer: { unreadNotificationCount: 1 },
    });
    const rest = (await inbox(ana, { unreadOnly: true })).notifications.nodes;
    expect(rest.map(({ kind }: Json) => kind)).toEqual(['REPLY']);
    for (const stream of streams) await eventually('one is unread', () => stream.events.at(-1)?.unreadCount === 1);
  });

  // The level of the conversation, the default, whether it is muted, and whether a mention notifies.
  const levels = ['ALL', 'MENTIONS', 'NONE', null] as const;
  itOnce('follows the level of the conversation, the default and mutes', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const future = new Date(Date.now() + 3_600_000).toISOString();
    for (const defaultLevel of levels) {
      await attempt(ana, 'updateNotificationSettings', { defaultLevel });
      for (const level of levels) {
        await attempt(ana, 'setNotificationLevel', { conversationId: direct, level });
        for (const until of [null, future]) {
          await attempt(ana, 'muteConversation', { conversationId: direct, until });
          const { id } = await send(bob, direct, `@${ana.username}`);
          const isIn = (await listOf(ana)).some(({ message }) => message.id === id);
          const effective = level ?? defaultLevel ?? 'ALL';
          expect([defaultLevel, level, until, isIn]).toEqual([
            defaultLevel,
            level,
            until,
            effective !== 'NONE' && until === null,
          ]);
        }
      }
    }
    // "Do not disturb" only holds back pushes.
    await attempt(ana, 'updateNotificationSettings', { defaultLevel: null, doNotDisturbUntil: future });
    await attempt(ana, 'muteConversation', { conversationId: direct, until: null });
    const { id } = await send(bob, direct, `@${ana.username}`);
    expect((await listOf(ana))[0].message.id).toBe(id);
  });

  itOnce(
    'contains nothing of blocked users, of conversations that the user has left, and of a hidden history',
    async () => {
      const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
      const group = await createGroup(carol, [bob], { historyVisibility: 'SINCE_JOINED' });
      await attempt(carol, 'addMembers', { conversationId: group, userIds: [ana.id] });
      const elsewhere = await createGroup(carol, [ana, bob]);
      await markNotificationsRead(ana, (await listOf(ana))[0].id);
      const own = await send(ana, group, 'mine');
      for (const person of [bob, carol]) {
        await send(person, group, `@${ana.username}`);
        await react(person, own.id, '👍');
      }
      expect((await inbox(ana)).unreadNotificationCount).toBe(3);
      // A block removes what was there, and keeps the rest.
      await attempt(ana, 'blockUser', { userId: bob.id });
      await send(bob, group, `again @${ana.username}`);
      const left = (await inbox(ana, { unreadOnly: true })).notifications.nodes;
      expect(left.map(({ kind, count, actors }: Json) => [kind, count, actors[0].id])).toEqual([
        ['REACTION', 1, carol.id],
        ['MENTION', 1, carol.id],
      ]);
      await attempt(ana, 'leaveConversation', { conversationId: group });
      expect((await listOf(ana)).map(({ conversation }) => conversation.id)).toEqual([elsewhere]);
      // An edit of a message that she can no longer see.
      const before = await send(carol, group, 'before');
      await attempt(carol, 'addMembers', { conversationId: group, userIds: [ana.id] });
      await edit(carol, before.id, `@${ana.username}`);
      expect((await listOf(ana)).map(({ kind }) => kind)).toEqual(['ADDED_TO_GROUP', 'ADDED_TO_GROUP']);
      // A suspended user receives nothing.
      const { db } = node.deps.database;
      await db.user.update({ where: { id: rowId(ana.id) }, data: { suspendedAt: new Date() } });
      await send(carol, group, `while @${ana.username} is suspended`);
      await untilNotified(node, other);
      await db.user.update({ where: { id: rowId(ana.id) }, data: { suspendedAt: null } });
      expect(await kindsOf(ana)).toEqual(['ADDED_TO_GROUP', 'ADDED_TO_GROUP']);
    },
  );

  itOnce('contains @everyone of small groups, and only counts it in larger ones', async () => {
    const [ana, bob, carol, dave] = await registerAll(node.url, 'ana', 'bob', 'carol', 'dave');
    const group = await createGroup(ana, [bob, carol]);
    await send(ana, group, 'hello @everyone');
    expect(await kindsOf(bob)).toEqual(['MENTION', 'ADDED_TO_GROUP']);
    expect(await kindsOf(ana)).toEqual([]);
    await attempt(ana, 'addMembers', { conversationId: group, userIds: [dave.id] });
    await send(ana, group, 'again @everyone');
    expect(await kindsOf(bob)).toEqual(['MENTION', 'ADDED_TO_GROUP']);
    // Users who joined later were not mentioned.
    expect(await kindsOf(dave)).toEqual(['ADDED_TO_GROUP']);
    const { conversation } = await bob.ask(
      'query ($id: ID!) { conversation(id: $id) { viewerMembership { unreadMentionCount } } }',
      { id: group },
    );
    expect(conversation.viewerMembership.unreadMentionCount).toBe(2);
  });

  itOnce('costs as many statements in a group of 10,000 members as in a small one', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const { db } = node.deps.database;
    const [small, large] = [await createGroup(ana, [bob]), await createGroup(ana, [bob])];
    const users = Array.from({ length: 9_998 }, newId);
    await db.$executeRaw`
      INSERT INTO users (id, username, username_key, display_name, search_words)
      SELECT id, id::text, id::text, 'Member', '{}' FROM unnest(${users}::uuid[]) AS id`;
    await db.$executeRaw`
      INSERT INTO memberships (id, conversation_id, user_id)
      SELECT gen_random_uuid(), ${rowId(large)}::uuid, id FROM unnest(${users}::uuid[]) AS id`;
    await db.$executeRaw`
      INSERT INTO marks (conversation_id, user_id) SELECT ${rowId(large)}::uuid, id FROM unnest(${users}::uuid[]) AS id`;
    await db.conversation.update({ where: { id: rowId(large) }, data: { memberCount: 10_000 } });
    await untilNotified(node, other);
    const costOf = async (conversationId: string) => {
      const { id } = await send(ana, conversationId, `@everyone and @${bob.username}`);
      const found = async () => db.notification.count({ where: { collapseId: rowId(id) } });
      const statements = await statementsOf(node, () => untilNotified(node, other));
      return {
        notifications: await found(),
        written: statements.filter((statement) => /notification_occurrences/.test(statement)).length,
      };
    };
    const [few, many] = [await costOf(small), await costOf(large)];
    expect(few.notifications).toBe(1);
    expect(many.notifications).toBe(1);
    expect(many.written).toBeLessThanOrEqual(Math.max(few.written, 8));
  });

  itOnce('keeps at most NOTIFICATIONS_MAX, and removes old ones', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const stream = await follow(ana, other.url);
    const sent = [];
    for (let index = 1; index <= 12; index += 1) sent.push(await send(bob, direct, `@${ana.username} ${index}`));
    const kept = await listOf(ana);
    expect(kept.map(({ message }) => message.id)).toEqual(
      sent
        .slice(2)
        .map(({ id }) => id)
        .reverse(),
    );
    await untilDelivered(stream, 14);
    expect(changesOf(stream).filter(({ type }) => type === 'REMOVED')).toHaveLength(2);
    const { db } = node.deps.database;
    expect(await db.notificationOccurrence.count({ where: { userId: rowId(ana.id) } })).toBe(10);
    const page = await inbox(ana, { first: 4 });
    expect(page.notifications.nodes).toEqual(kept.slice(0, 4));
    const { endCursor } = page.notifications.pageInfo;
    expect((await inbox(ana, { first: 100, after: endCursor })).notifications.nodes).toEqual(kept.slice(4));
    const [old] = kept.slice(-1);
    await db.notification.update({ where: { id: rowId(old.id) }, data: { createdAt: new Date('2020-01-01') } });
    const retention = node.deps.features.flatMap((feature) => feature.retention ?? []);
    await retention.find(({ table }) => table === 'notifications')?.trim(node.deps);
    expect(await listOf(ana)).toEqual(kept.slice(0, -1));
    await untilDelivered(stream, 15);
    expect(changesOf(stream).at(-1)).toMatchObject({ type: 'REMOVED', notificationId: old.id, unreadCount: 9 });
  });

  it('resumes on any node with the latest change of each notification', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const own = await send(ana, direct, 'mine');
    const gone = await send(bob, direct, `@${ana.username}`);
    await untilNotified(node, other);
    await node.deps.feed.sweep();
    const after = await syncCursorOf(ana);
    // Changes that are processed together have no order.
    await remove(bob, gone.id);
    await untilNotified(node, other);
    await react(bob, own.id, '👍');
    await untilNotified(node, other);
    await reply(bob, direct, own.id, 'an answer');
    await untilNotified(node, other);
    const resumed = await follow(ana, other.url, after);
    expect(
      changesOf(resumed).map(({ type, replayed, unreadCount, notification }) => [
        type,
        replayed,
        unreadCount,
        notification?.kind,
      ]),
    ).toEqual([
      ['REMOVED', true, 2, undefined],
      ['ADDED', true, 2, 'REACTION'],
      ['ADDED', true, 2, 'REPLY'],
    ]);
    expect(resumed.events.at(-1)).toMatchObject({ type: 'CAUGHT_UP', unreadCount: 2, notification: null });
  });

  itOnce('belongs to its user alone, and ends with the account', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const his = await follow(bob, other.url);
    await send(bob, direct, `@${ana.username}`);
    const [notification] = await listOf(ana);
    const query = 'query ($id: ID!) { node(id: $id) { ... on Notification { kind } } }';
    expect((await ana.ask(query, { id: notification.id })).node).toEqual({ kind: 'MENTION' });
    expect((await bob.ask(query, { id: notification.id })).node).toBeNull();
    expect(await markNotificationsRead(bob, notification.id)).toBe('NOT_FOUND input.upToId');
    expect(changesOf(his)).toEqual([]);
    await send(ana, direct, `@${bob.username}`);
    expect(await kindsOf(bob)).toEqual(['MENTION']);
    const { db } = node.deps.database;
    const where = { userId: { in: [ana, bob].map(({ id }) => rowId(id)) } };
    await attempt(ana, 'deleteAccount', { password: ana.password });
    // As a node of version 0.1.0 deletes an account.
    await db.user.update({ where: { id: rowId(bob.id) }, data: { deletedAt: new Date() } });
    expect([await db.notification.count({ where }), await db.notificationOccurrence.count({ where })]).toEqual([0, 0]);
  });

  itOnce('contains nothing that a deleted account has written', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    const group = await createGroup(bob, [ana, carol]);
    const own = await send(ana, group, 'mine');
    await send(bob, group, `a secret for @${ana.username}`);
    await react(bob, own.id, '👍');
    for (const person of [bob, carol]) await reply(person, group, own.id, 'an answer');
    expect(await kindsOf(ana)).toEqual(['REPLY', 'REACTION', 'MENTION', 'ADDED_TO_GROUP']);
    await attempt(bob, 'deleteAccount', { password: bob.password });
    const { db } = node.deps.database;
    await eventually('the account is erased', async () => (await db.erasure.count()) === 0);
    const left = await listOf(ana);
    expect(left).toMatchObject([
      { kind: 'REPLY', count: 1, actors: [{ id: carol.id }], message: { text: 'an answer' } },
      { kind: 'ADDED_TO_GROUP', count: 1, actors: [{ id: bob.id }] },
    ]);
    // The user who added her is shown as a deleted account only.
    const { viewer } = await ana.ask('{ viewer { notifications { nodes { actors { username displayName } } } } }');
    expect(JSON.stringify(viewer)).not.toContain(bob.username);
    expect(
      await db.notificationOccurrence.count({ where: { actorId: rowId(bob.id), kind: { not: 'ADDED_TO_GROUP' } } }),
    ).toBe(0);
  });

  itOnce(
    'continues from its position when the notifier was stopped, and at present with the position of another database',
    async () => {
      const place = await makePlace(mode);
      const first = await place.start();
      const [ana, bob] = await registerAll(first.url, 'ana', 'bob');
      const direct = await openDirect(ana, bob);
      await untilNotified(first);
      await notifier.of(first.deps).close();
      const missed = await send(bob, direct, `@${ana.username}`);
      await first.stop();
      const second = await place.start();
      await untilNotified(second);
      const read = async () => (await ana.at(second.url).ask(INBOX)).viewer.notifications.nodes;
      expect((await read()).map(({ message }: Json) => message.id)).toEqual([missed.id]);
      await notifier.of(second.deps).close();
      await send(bob.at(second.url), direct, `@${ana.username}`);
      await second.deps.database.db.notifierState.updateMany({ data: { generation: 'another database' } });
      await second.stop();
      const third = await place.start();
      await untilNotified(third);
      const last = await send(bob.at(third.url), direct, `@${ana.username}`);
      await untilNotified(third);
      const { notifications } = (await ana.at(third.url).ask(INBOX)).viewer;
      expect(notifications.nodes.map(({ message }: Json) => message.id)).toEqual([last.id, missed.id]);
    },
  );

  itOnce('rejects a cursor that is too old', async () => {
    const place = await makePlace(mode);
    const own = await place.start({ SWEEP_INTERVAL: '1h' });
    const [ana, bob] = await registerAll(own.url, 'ana', 'bob');
    const after = await syncCursorOf(ana);
    await send(bob, await openDirect(bob, ana), `@${ana.username}`);
    await untilNotified(own);
    await eventually('the log is trimmed', async () => (await trimChangeLog(own.deps.database.db, 0)) > 0);
    const { errors } = await new Promise<Json>((resolve) => {
      void follow(ana, own.url, after).then(resolve, (error: unknown) => resolve({ errors: String(error) }));
    });
    expect(String(errors)).toContain('CURSOR_EXPIRED');
  });
});
