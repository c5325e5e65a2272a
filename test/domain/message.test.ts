import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sessionWatch } from '../../src/domain/session/session.authentication.js';
import type { RunningNode } from '../../src/server/start.js';
import { connect, eventually, type Listening, listen, type Person, register } from '../support/client.js';
import { inOneMode, modes, sharedNode } from '../support/place.js';
import { createGroup, EDIT, edit, MESSAGES, openDirect, REMOVE, remove, SEND, send, trySend } from '../support/talk.js';

const HISTORY = `query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String, $aroundSeq: Int) {
  conversation(id: $id) {
    latestSeq
    messages(first: $first, after: $after, last: $last, before: $before, aroundSeq: $aroundSeq) {
      edges { cursor node { seq } }
      nodes { seq text sender { username } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}`;

const absent = (type: string) => `${type}_AaH9b5HNcECpvBfEbG_tgA`;

describe.each(modes)('messages in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let url: string;
  let alice: Person;
  let bob: Person;
  let carol: Person;
  let direct: string;

  beforeAll(async () => {
    node = await sharedNode(mode);
    ({ url } = node);
    [alice, bob, carol] = await Promise.all([register(url, 'alice'), register(url, 'bob'), register(url, 'carol')]);
    direct = await openDirect(alice, bob);
  });

  const stored = () => node.deps.database.db.message.count();

  describe('sendMessage', () => {
    it('stores the trimmed text with the next seq', async () => {
      const group = await createGroup(alice, [bob]);
      expect(await send(alice, group, '  first\n')).toMatchObject({ seq: 1, text: 'first', sender: { id: alice.id } });
      expect(await send(bob, group, 'second')).toMatchObject({ seq: 2, text: 'second', sender: { id: bob.id } });
    });

    it('assigns consecutive numbers to concurrent sends, without gaps for rejected ones', async () => {
      const group = await createGroup(alice, [bob]);
      const answers = await Promise.all(
        Array.from({ length: 60 }, (_, index) =>
          trySend([alice, bob, carol][index % 3] as Person, group, `message ${index}`, `key ${index % 30}`),
        ),
      );
      const seqs = new Set(answers.flatMap(({ data }) => data.sendMessage?.message.seq ?? []));
      expect([...seqs].sort((a, b) => a - b)).toEqual(Array.from({ length: seqs.size }, (_, index) => index + 1));
      const data = await alice.ask(HISTORY, { id: group, first: 100 });
      expect(data.conversation.latestSeq).toBe(seqs.size);
      expect(data.conversation.messages.nodes).toHaveLength(seqs.size);
    });

    itOnce('returns the first message for the same key and input, edited or not', async () => {
      const first = await send(alice, direct, 'once', 'the key');
      const before = await stored();
      expect(await send(alice, direct, ' once ', 'the key')).toEqual(first);
      await edit(alice, first.id, 'once, edited');
      expect(await send(alice, direct, 'once', 'the key')).toMatchObject({ id: first.id, text: 'once, edited' });
      await remove(alice, first.id);
      expect(await send(alice, direct, 'once', 'the key')).toMatchObject({ id: first.id, text: null });
      expect(await stored()).toBe(before);
    });

    it('stores one message for concurrent sends with the same key', async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => send(alice, direct, 'at once', 'same key')));
      expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    });

    itOnce('returns CONFLICT for a key that was used with another input', async () => {
      const other = await openDirect(alice, carol);
      await send(alice, direct, 'mine', 'taken');
      const before = await stored();
      for (const answer of [
        await trySend(alice, direct, 'not mine', 'taken'),
        await trySend(alice, other, 'mine', 'taken'),
      ]) {
        expect(answer.errors?.[0]?.extensions).toMatchObject({ code: 'CONFLICT', field: 'input.clientMessageId' });
      }
      expect(await stored()).toBe(before);
    });

    itOnce('returns the first message to a sender who can no longer send', async () => {
      const dave = await register(url, 'dave');
      const conversation = await openDirect(alice, dave);
      const first = await send(alice, conversation, 'in time', 'dave');
      await node.deps.database.db.user.updateMany({
        where: { username: dave.username },
        data: { deletedAt: new Date() },
      });
      expect(await send(alice, conversation, 'in time', 'dave')).toEqual(first);
      expect((await trySend(alice, conversation, 'too late')).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    });

    itOnce('accepts a key that another sender has used', async () => {
      const [mine, theirs] = [await send(alice, direct, 'hi', 'shared'), await send(bob, direct, 'hi', 'shared')];
      expect(mine.id).not.toBe(theirs.id);
    });

    itOnce.each([
      ['an empty text', { text: '' }, 'input.text'],
      ['only white space', { text: ' \n\t ' }, 'input.text'],
      ['no text', { text: null }, 'input.text'],
      ['8,001 characters', { text: 'x'.repeat(8_001) }, 'input.text'],
      ['a NUL', { text: 'a\0b' }, 'input.text'],
      ['half a character', { text: 'a\ud83d' }, 'input.text'],
      ['an empty key', { clientMessageId: '' }, 'input.clientMessageId'],
      ['a key of 129 characters', { clientMessageId: 'k'.repeat(129) }, 'input.clientMessageId'],
      ['a malformed conversation', { conversationId: 'nonsense' }, 'input.conversationId'],
      ['an id of something else', { conversationId: absent('User') }, 'input.conversationId'],
    ])('refuses %s and stores nothing', async (_what, wrong, field) => {
      const before = await stored();
      const { errors } = await alice.request(SEND, { input: { conversationId: direct, text: 'fine', ...wrong } });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field });
      expect(await stored()).toBe(before);
    });

    itOnce('accepts exactly 8,000 characters', async () => {
      expect((await send(alice, direct, 'x'.repeat(8_000))).text).toHaveLength(8_000);
    });

    itOnce('returns NOT_FOUND for a private conversation of others and for one that does not exist', async () => {
      const outside = await trySend(carol, direct, 'let me in');
      const nowhere = await trySend(carol, absent('Conversation'), 'hello?');
      expect(outside.errors?.[0]?.extensions).toEqual({ code: 'NOT_FOUND', field: 'input.conversationId' });
      expect(nowhere.errors).toEqual(outside.errors);
    });

    itOnce('returns FORBIDDEN for a public group that the sender has not joined', async () => {
      const room = await createGroup(alice, [], { visibility: 'PUBLIC' });
      const { errors } = await trySend(carol, room, 'hello');
      expect(errors?.[0]?.message).toContain('Join the group first');
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'FORBIDDEN', reason: 'NOT_A_MEMBER' });
    });
  });

  describe('editMessage', () => {
    it('changes the text of a message and nothing else', async () => {
      const sent = await send(alice, direct, 'befor');
      const edited = await edit(alice, sent.id, ' before ');
      expect(edited).toMatchObject({ id: sent.id, seq: sent.seq, text: 'before' });
      expect(Date.parse(edited.editedAt)).toBeGreaterThanOrEqual(Date.parse(sent.createdAt));
    });

    itOnce('has no effect with the same text', async () => {
      const sent = await send(alice, direct, 'as it is');
      expect(await edit(alice, sent.id, 'as it is')).toMatchObject({ editedAt: null });
    });

    itOnce.each([
      ['an empty text', (id: string) => ({ messageId: id, text: ' ' }), 'BAD_USER_INPUT', 'input.text'],
      ['a malformed id', () => ({ messageId: 'x', text: 'y' }), 'BAD_USER_INPUT', 'input.messageId'],
      ['an id of nothing', () => ({ messageId: absent('Message'), text: 'y' }), 'NOT_FOUND', 'input.messageId'],
    ])('rejects %s', async (_what, input, code, field) => {
      const sent = await send(alice, direct, 'stays');
      const { errors } = await alice.request(EDIT, { input: input(sent.id) });
      expect(errors?.[0]?.extensions).toMatchObject({ code, field });
      expect((await node.deps.database.db.message.findFirst({ where: { text: 'stays' } }))?.editedAt).toBeNull();
    });

    itOnce(
      'returns FORBIDDEN for a deleted message and for that of another user, and NOT_FOUND for an outsider',
      async () => {
        const sent = await send(alice, direct, 'mine');
        const input = { messageId: sent.id, text: 'yours' };
        expect((await bob.request(EDIT, { input })).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
        expect((await carol.request(EDIT, { input })).errors?.[0]?.extensions.code).toBe('NOT_FOUND');
        await remove(alice, sent.id);
        expect((await alice.request(EDIT, { input })).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
      },
    );
  });

  describe('deleteMessage', () => {
    it('leaves a tombstone without content, and has no effect when repeated', async () => {
      const sent = await send(alice, direct, 'a secret');
      const gone = await remove(alice, sent.id);
      expect(gone).toMatchObject({ id: sent.id, seq: sent.seq, text: null });
      expect(await remove(alice, sent.id)).toEqual(gone);
      expect(await node.deps.database.db.message.count({ where: { text: { contains: 'a secret' } } })).toBe(0);
    });

    itOnce("is allowed for one's own messages, and in a group also for its owner", async () => {
      const group = await createGroup(alice, [bob, carol]);
      const [first, second] = [await send(bob, group, 'one'), await send(bob, group, 'two')];
      const by = (person: Person, messageId: string) => person.request(REMOVE, { input: { messageId } });
      expect((await by(carol, first.id)).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
      expect((await by(alice, first.id)).errors).toBeUndefined();
      expect((await by(bob, second.id)).errors).toBeUndefined();
      const other = await send(bob, direct, 'in a direct conversation');
      expect((await by(alice, other.id)).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
      expect((await by(carol, other.id)).errors?.[0]?.extensions.code).toBe('NOT_FOUND');
      expect((await by(alice, 'x')).errors?.[0]?.extensions).toMatchObject({ field: 'input.messageId' });
    });

    itOnce('is allowed exactly when viewerCanEdit and viewerCanDelete are true', async () => {
      const group = await createGroup(alice, [bob, carol]);
      const { id } = await send(bob, group, 'whose?');
      const rights = async (person: Person) =>
        (
          await person.ask('query ($id: ID!) { node(id: $id) { ... on Message { viewerCanEdit viewerCanDelete } } }', {
            id,
          })
        ).node;
      expect(await rights(alice)).toEqual({ viewerCanEdit: false, viewerCanDelete: true });
      expect(await rights(bob)).toEqual({ viewerCanEdit: true, viewerCanDelete: true });
      expect(await rights(carol)).toEqual({ viewerCanEdit: false, viewerCanDelete: false });
      await remove(bob, id);
      expect(await rights(bob)).toEqual({ viewerCanEdit: false, viewerCanDelete: false });
    });
  });

  describe('history', () => {
    let group: string;
    // Created for each test, because one of them sends more.
    beforeEach(async () => {
      group = await createGroup(alice, [bob]);
      for (let index = 1; index <= 12; index += 1) await send(index % 2 ? alice : bob, group, `no ${index}`);
    });
    const page = async (args: object, person = alice) => {
      const { messages } = (await person.ask(HISTORY, { id: group, ...args })).conversation;
      return {
        seqs: messages.nodes.map(({ seq }: { seq: number }) => seq),
        ...messages.pageInfo,
        edges: messages.edges,
      };
    };

    it('is the newest page in ascending order without arguments', async () => {
      const { seqs, hasNextPage, hasPreviousPage } = await page({});
      expect(seqs).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
      expect([hasPreviousPage, hasNextPage]).toEqual([false, false]);
    });

    it('is paginated backward from the end', async () => {
      const all: number[] = [];
      let before: string | null = null;
      for (let more = true; more; ) {
        const { seqs, hasPreviousPage, startCursor, hasNextPage } = await page({ last: 5, before });
        expect(hasNextPage).toBe(before !== null);
        all.unshift(...seqs);
        before = startCursor;
        more = hasPreviousPage;
      }
      expect(all).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    });

    itOnce('is paginated forward from the beginning, including messages that are sent meanwhile', async () => {
      const first = await page({ first: 8 });
      expect(first).toMatchObject({ seqs: [1, 2, 3, 4, 5, 6, 7, 8], hasNextPage: true, hasPreviousPage: false });
      const second = await page({ first: 4, after: first.endCursor });
      expect(second).toMatchObject({ seqs: [9, 10, 11, 12], hasNextPage: false, hasPreviousPage: true });
      const later = await send(bob, group, 'no 13');
      expect((await page({ first: 4, after: second.endCursor })).seqs).toEqual([later.seq]);
      await remove(bob, later.id);
      expect(second.edges[0].cursor).toBe(second.startCursor);
    });

    itOnce('is the page around a message with aroundSeq', async () => {
      expect(await page({ aroundSeq: 6, first: 5 })).toMatchObject({
        seqs: [4, 5, 6, 7, 8],
        hasPreviousPage: true,
        hasNextPage: true,
      });
      expect(await page({ aroundSeq: 1, first: 4 })).toMatchObject({ seqs: [1, 2], hasPreviousPage: false });
      const around = await page({ aroundSeq: 6, first: 5 });
      expect((await page({ last: 2, before: around.startCursor })).seqs).toEqual([2, 3]);
    });

    itOnce.each([
      ['first', { first: 0 }],
      ['first', { first: 101 }],
      ['last', { last: -1 }],
      ['last', { first: 1, last: 1 }],
      ['after', { after: 'nonsense' }],
      ['after', { after: Buffer.from('["x",1]').toString('base64url') }],
      ['before', { first: 1, before: 'x' }],
      ['after', { last: 1, after: 'x' }],
      ['aroundSeq', { aroundSeq: 3, last: 2 }],
      ['aroundSeq', { aroundSeq: -2_147_483_648 }],
    ])('refuses a wrong %s: %j', async (field, args) => {
      const { errors, data } = await alice.request(HISTORY, { id: group, ...args });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field });
      expect(data.conversation.messages).toBeNull();
    });

    itOnce('rejects a cursor of another conversation', async () => {
      const other = await createGroup(alice, []);
      const { endCursor } = await page({ first: 1 });
      const { errors } = await alice.request(HISTORY, { id: other, first: 1, after: endCursor });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'after' });
    });

    itOnce('accepts the largest page size', async () => {
      expect((await page({ first: 100 })).seqs.length).toBeGreaterThanOrEqual(12);
    });

    itOnce('is readable only by members, also in a public group', async () => {
      const room = await createGroup(alice, [], { visibility: 'PUBLIC' });
      await send(alice, room, 'among us');
      const { errors, data } = await carol.request(HISTORY, { id: room });
      expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
      expect(data.conversation.messages).toBeNull();
      const seen = await carol.ask('query ($id: ID!) { conversation(id: $id) { lastMessage { text } } }', { id: room });
      expect(seen.conversation.lastMessage).toBeNull();
    });
  });

  describe('the messages subscription', () => {
    const clients: { dispose(): unknown }[] = [];
    afterEach(async () => {
      await Promise.all(clients.splice(0).map((client) => client.dispose()));
    });
    const follow = async (person: Person, variables: object = {}): Promise<Listening> => {
      const client = connect(url, person.token);
      clients.push(client);
      const stream = listen(client, MESSAGES, variables);
      await stream.until(({ type }) => type === 'CAUGHT_UP');
      return stream;
    };

    it('begins with CAUGHT_UP and then delivers every change in order', async () => {
      const group = await createGroup(alice, [bob]);
      const stream = await follow(bob, { conversationId: group });
      expect(stream.events[0]).toMatchObject({ type: 'CAUGHT_UP', changeSeq: null, message: null, messageId: null });
      const sent = await send(alice, group, 'one', 'key');
      await edit(alice, sent.id, 'two');
      await remove(alice, sent.id);
      await stream.until(({ type }) => type === 'DELETED');
      const sender = { id: alice.id, username: alice.username };
      const conversation = { id: group, latestSeq: 1 };
      const common = { messageId: sent.id, replayed: false, actor: sender, cursor: expect.any(String) };
      const message = { id: sent.id, seq: 1, clientMessageId: 'key', sender, conversation };
      const at = expect.any(String);
      expect(stream.events.slice(1)).toEqual([
        {
          ...common,
          type: 'SENT',
          changeSeq: 2,
          message: { ...message, text: 'one', editedAt: null, deletedAt: null },
        },
        {
          ...common,
          type: 'EDITED',
          changeSeq: 3,
          message: { ...message, text: 'two', editedAt: at, deletedAt: null },
        },
        { ...common, type: 'DELETED', changeSeq: 4, message: { ...message, text: null, editedAt: at, deletedAt: at } },
      ]);
    });

    itOnce(
      "delivers changes of all of the viewer's conversations, including later ones, and of no others",
      async () => {
        const [dave, erin] = [await register(url, 'dave'), await register(url, 'erin')];
        const mine = await createGroup(alice, [dave]);
        const stream = await follow(dave);
        await send(alice, mine, 'in an old group');
        const later = await openDirect(erin, dave);
        await send(erin, later, 'in a new conversation');
        const foreign = await createGroup(alice, [erin]);
        await send(alice, foreign, 'not for Dave');
        await send(alice, mine, 'the last');
        await stream.until(({ message }) => message?.text === 'the last');
        expect(stream.events.flatMap(({ message }) => message?.text ?? [])).toEqual([
          'in an old group',
          'in a new conversation',
          'the last',
        ]);
      },
    );

    itOnce('delivers only changes of the given conversation', async () => {
      const [one, two] = [await createGroup(alice, [bob]), await createGroup(alice, [bob])];
      const stream = await follow(bob, { conversationId: one });
      await send(alice, two, 'elsewhere');
      await send(alice, one, 'here');
      await stream.until(({ message }) => message?.text === 'here');
      expect(stream.events).toHaveLength(2);
    });

    it('with `after` delivers missed changes in their current state, then CAUGHT_UP', async () => {
      const group = await createGroup(alice, [bob]);
      const before = await follow(bob, { conversationId: group });
      const seen = await send(alice, group, 'seen');
      await before.until(({ messageId }) => messageId === seen.id);
      // A cursor is taken once a second: one that has seen the message is there after a sweep.
      await node.deps.feed.sweep();
      const { cursor } = (await follow(bob, { conversationId: group })).events[0];
      const [edited, deleted] = [await send(alice, group, 'wrnog'), await send(alice, group, 'deleted')];
      await edit(alice, edited.id, 'right');
      await remove(alice, deleted.id);
      for (const variables of [{ conversationId: group }, {}]) {
        const after = await follow(bob, { ...variables, after: cursor });
        const missed = after.events.filter(({ message }) => message?.text !== 'live');
        expect(missed).toMatchObject([
          { type: 'EDITED', replayed: true, messageId: edited.id, message: { text: 'right' } },
          { type: 'DELETED', replayed: true, messageId: deleted.id, message: { text: null } },
          { type: 'CAUGHT_UP', replayed: false },
        ]);
        const live = await send(bob, group, 'live');
        expect(await after.until(({ messageId }) => messageId === live.id)).toMatchObject({ replayed: false });
      }
    });

    const refused: [string, object, object][] = [
      ['a malformed cursor', { after: 'nonsense' }, { code: 'BAD_USER_INPUT', field: 'after' }],
      ...['9:3:', '0:0:', '3:9:9', '3:9:5,4', '3:99999999999999999999:'].map(
        (snapshot) =>
          [
            `the snapshot ${snapshot}`,
            { after: Buffer.from(`0123456789ab/01234567/${snapshot}`).toString('base64url') },
            { code: 'BAD_USER_INPUT', field: 'after' },
          ] as [string, object, object],
      ),
      [
        'a cursor of another database',
        { after: Buffer.from('0123456789ab/01234567/3:3:').toString('base64url') },
        { code: 'CURSOR_EXPIRED', field: 'after' },
      ],
      ['a malformed id', { conversationId: 'x' }, { code: 'BAD_USER_INPUT', field: 'conversationId' }],
      ['an unknown id', { conversationId: absent('Conversation') }, { code: 'NOT_FOUND', field: 'conversationId' }],
    ];
    itOnce.each(refused)('rejects %s', async (_what, variables, extensions) => {
      const client = connect(url, alice.token);
      clients.push(client);
      const errors = (await listen(client, MESSAGES, variables).ended) as { extensions: object }[];
      expect(errors[0]?.extensions).toMatchObject(extensions);
    });

    itOnce('is rejected for outsiders and without a viewer', async () => {
      for (const [token, code] of [
        [carol.token, 'NOT_FOUND'],
        [undefined, 'UNAUTHENTICATED'],
      ] as const) {
        const client = connect(url, token);
        clients.push(client);
        const errors = (await listen(client, MESSAGES, { conversationId: direct }).ended) as { extensions: object }[];
        expect(errors[0]?.extensions).toMatchObject({ code });
      }
    });

    itOnce('leaves no listener behind, however a client disconnects', async () => {
      const { feed } = node.deps;
      const sessions = sessionWatch.of(node.deps);
      const idle = () => feed.listeners === 0 && feed.conversations === 0 && sessions.size === 0;
      await eventually('those of other tests are gone', idle);
      const sockets: { terminate?: () => void; close?: () => void }[] = [];
      const open = async (variables: object) => {
        const client = connect(url, bob.token, { on: { connected: (socket) => sockets.push(socket as never) } });
        const stream = listen(client, MESSAGES, variables);
        await stream.until(({ type }) => type === 'CAUGHT_UP');
        return { client, stream };
      };
      for (const variables of [{}, { conversationId: direct }]) {
        const graceful = await open(variables);
        const cancelled = await open(variables);
        const terminated = await open(variables);
        clients.push(cancelled.client);
        await eventually('three listen', () => feed.listeners === 3);
        await graceful.client.dispose();
        cancelled.stream.cancel();
        sockets[2]?.terminate?.();
        terminated.client.terminate();
        sockets.length = 0;
        await eventually('nobody listens', () => feed.listeners === 0);
        await cancelled.client.dispose();
        await eventually('nothing is kept for them', idle);
      }
    });
  });
});
