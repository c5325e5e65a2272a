import { type GraphQLObjectType, getNamedType, getOperationAST, isObjectType, parse, validate } from 'graphql';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { schema } from '../../src/app/schema.js';
import { decodeGlobalId } from '../../src/core/ids.js';
import { moderatorIdsOf } from '../../src/domain/conversation/conversation.store.js';
import { isShared, planSharing } from '../../src/graphql/sharing.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  connect,
  eventually,
  type Json,
  type Listening,
  listen,
  type Person,
  register,
  socketUrl,
} from '../support/client.js';
import { makePicture, sendWith, upload } from '../support/media.js';
import { detailModes, sharedNode } from '../support/place.js';
import { createGroup, edit, openDirect, pin, react, remove, reply, send, unpin } from '../support/talk.js';

describe('the sharing plan of a subscription', () => {
  function plan(query: string) {
    const document = parse(query);
    expect(validate(schema, document)).toEqual([]);
    return planSharing(schema, document, getOperationAST(document) as never);
  }
  const sentBy = (senderId: string) => ({
    type: 'SENT',
    change: { data: { message: { kind: 'USER', senderId, deletedAt: null } } },
  });
  const keys = (query: string, ...viewers: string[]) =>
    viewers.map((viewer) => plan(query).keyOf(sentBy('alice'), viewer));

  it('shares all responses if nothing depends on the viewer, also with fragments and aliases', () => {
    const query = `
      subscription ($id: ID!, $after: String) {
        changes: messages(conversationId: $id, after: $after) { __typename type cursor what: message { ...Fields } actor { id } }
      }
      fragment Fields on Message { id ... on Node { id } sender { ...Person } conversation { id title } }
      fragment Person on User { username displayName }`;
    const [alice, bob] = keys(query, 'alice', 'bob');
    expect(alice).toBe(bob);
    expect(plan(query).variables).toEqual([]);
  });

  it("distinguishes viewers by the conversation's kind and its moderators for abilities on messages", () => {
    const keysIn = (conversation: object, field: string) => {
      const { keyOf } = plan(`subscription { messages { message { ${field} } } }`);
      const event = { type: 'SENT', change: { data: { message: { kind: 'USER', deletedAt: null, conversation } } } };
      return ['alice', 'bob', 'carol'].map((viewer) => keyOf(event, viewer));
    };
    const group = { kind: 'GROUP', moderatorIds: ['alice'] };
    for (const field of ['viewerCanReact', 'viewerCanReply']) {
      expect(new Set(keysIn(group, field)).size).toBe(1);
      expect(new Set(keysIn({ kind: 'DIRECT', moderatorIds: [] }, field)).size).toBe(3);
    }
    const [alice, bob, carol] = keysIn(group, 'viewerCanPin');
    expect(bob).toBe(carol);
    expect(alice).not.toBe(bob);
    expect(new Set(keysIn({ kind: 'GROUP', moderatorIds: null }, 'viewerCanPin')).size).toBe(3);
    expect(new Set(keysIn({ kind: 'DIRECT', moderatorIds: [] }, 'viewerCanPin')).size).toBe(3);
    expect(plan('subscription { messages { message { editableUntil } } }').forAll).toBe(true);
  });

  it('shares the fields of a membership and its conversation that are the same for all', () => {
    const query = 'subscription { conversations { membership { role user { id } conversation { id title } } } }';
    expect(plan(query).forAll).toBe(true);
    const ofViewer =
      'subscription { conversations { membership { conversation { membership(userId: "x") { role } } } } }';
    expect(plan(ofViewer).forAll).toBe(false);
  });

  it('shares attachments, whose paths are the same for all', () => {
    const attachments = `attachments { id kind state filename contentType byteSize width height durationMs thumbHash waveform
      altText path variants { name contentType width height byteSize path } }`;
    expect(plan(`subscription { messages { type message { id ${attachments} } } }`).forAll).toBe(true);
  });

  it('distinguishes viewers by the key of a field', () => {
    const [alice, bob, carol] = keys(
      'subscription { messages { message { viewerCanEdit } } }',
      'alice',
      'bob',
      'carol',
    );
    expect(bob).toBe(carol);
    expect(alice).not.toBe(bob);
  });

  it('distinguishes moderators if a message contains them, and otherwise all viewers', () => {
    const { keyOf } = plan('subscription { messages { message { viewerCanDelete } } }');
    const moderators = (count: number) => Array.from({ length: count }, (_, index) => `moderator ${index}`);
    const key = (count: number, viewer: string) => {
      const conversation = { moderatorIds: moderatorIdsOf(moderators(count)) };
      const message = { kind: 'USER', senderId: 'alice', deletedAt: null, conversation };
      return keyOf({ type: 'SENT', change: { data: { message } } }, viewer);
    };
    expect(key(100, 'bob')).toBe(key(100, 'carol'));
    expect(key(100, 'moderator 99')).toBe(key(100, 'alice'));
    expect(key(100, 'bob')).not.toBe(key(100, 'alice'));
    expect(key(101, 'bob')).not.toBe(key(101, 'carol'));
  });

  it('distinguishes viewers by their reactions if a message contains these, and otherwise all viewers', () => {
    const { keyOf } = plan('subscription { messages { message { viewerReactions reactions { emoji count } } } }');
    const key = (viewer: string, byPerson: Record<string, string[]> | null) =>
      keyOf(
        { type: 'REACTED', change: { data: { message: { parts: { reactions: { groups: [], byPerson } } } } } },
        viewer,
      );
    expect(key('bob', {})).toBe(key('carol', {}));
    const reacted = { alice: ['👍'], bob: ['👍'], carol: ['👍', '❤️'] };
    expect(key('alice', reacted)).toBe(key('bob', reacted));
    expect(key('dave', reacted)).toBe(key('erin', reacted));
    expect(new Set(['alice', 'carol', 'dave'].map((viewer) => key(viewer, reacted))).size).toBe(3);
    expect(key('dave', null)).not.toBe(key('erin', null));
  });

  it('distinguishes viewers by whether they can see the quoted message, and by the keys of its fields', () => {
    const keyed = (query: string, hiddenFrom: string[] | null, viewer: string) => {
      const quote = { message: { kind: 'USER', senderId: 'alice', deletedAt: null, replyToSeq: null }, hiddenFrom };
      const message = { kind: 'USER', senderId: 'bob', deletedAt: null, replyToSeq: 1, parts: { quote } };
      return plan(query).keyOf({ type: 'SENT', change: { data: { message } } }, viewer);
    };
    const text = 'subscription { messages { message { replyTo { id text sender { id } replyCount } } } }';
    expect(keyed(text, [], 'carol')).toBe(keyed(text, [], 'dave'));
    expect(keyed(text, ['dave'], 'carol')).toBe(keyed(text, ['dave'], 'erin'));
    expect(keyed(text, ['dave'], 'carol')).not.toBe(keyed(text, ['dave'], 'dave'));
    expect(keyed(text, null, 'carol')).not.toBe(keyed(text, null, 'dave'));
    const own = 'subscription { messages { message { replyTo { viewerCanEdit } } } }';
    expect(keyed(own, [], 'carol')).toBe(keyed(own, [], 'bob'));
    expect(keyed(own, [], 'alice')).not.toBe(keyed(own, [], 'bob'));
    // The quoted message does not contain its reactions.
    const reactions = 'subscription { messages { message { replyTo { viewerReactions } } } }';
    expect(keyed(reactions, [], 'carol')).not.toBe(keyed(reactions, [], 'dave'));
  });

  it('shares nothing if a field is not declared as shared, or its key cannot be applied to its source', () => {
    for (const fields of [
      // This event does not contain the moderators.
      'message { viewerCanDelete }',
      'message { conversation { viewerCanSend } }',
      'message { conversation { lastMessage { id } } }',
      'message { ...{ conversation { members { nodes { id } } } } }'.replace('...{', '... on Message {'),
    ]) {
      const [alice, bob] = keys(`subscription { messages { ${fields} } }`, 'alice', 'bob');
      expect(alice, fields).not.toBe(bob);
    }
    // The message cannot be derived from an event of conversations.
    const nested = plan('subscription { conversations { conversation { lastMessage { viewerCanEdit } } } }');
    expect(nested.keyOf({}, 'alice')).not.toBe(nested.keyOf({}, 'bob'));
  });

  it('depends on the variables of the selection, not on those of the arguments', () => {
    const { variables } = plan(`
      subscription ($id: ID, $after: String, $a: Boolean!, $b: Boolean!) {
        messages(conversationId: $id, after: $after) { type @skip(if: $a) ...More }
      }
      fragment More on MessageEvent { message @include(if: $b) { id } }`);
    expect([...variables].sort()).toEqual(['a', 'b']);
  });

  const sharedFields = Object.values(schema.getTypeMap()).flatMap((type) => {
    const names = isObjectType(type) ? (type.extensions['parley.shared'] as string[] | undefined) : undefined;
    return names ? [[type as GraphQLObjectType, names] as const] : [];
  });

  it('refers only to existing fields that are not named after the viewer', () => {
    expect(sharedFields.length).toBeGreaterThan(4);
    for (const [type, names] of sharedFields) {
      for (const name of names) expect(type.getFields()[name], `${type.name}.${name}`).toBeDefined();
      // Fields with this prefix depend on the viewer.
      expect(names.filter((name) => name.startsWith('viewer'))).toEqual([]);
    }
  });
});

describe.each(detailModes)('shared subscriptions in %s mode', (mode) => {
  let node: RunningNode;
  let alice: Person;
  let bob: Person;
  let carol: Person;
  let group: string;
  beforeAll(async () => {
    node = await sharedNode(mode);
    alice = await register(node.url, 'alice');
    bob = await register(node.url, 'bob');
    carol = await register(node.url, 'carol');
    group = await createGroup(alice, [bob, carol]);
  });
  const clients: { dispose(): unknown }[] = [];
  const restore: (() => void)[] = [];
  /** Errors with which streams ended, and errors of events, which `listen` omits. */
  const failures: unknown[] = [];
  afterEach(async () => {
    expect(failures.splice(0)).toEqual([]);
    for (const undo of restore.splice(0)) undo();
    for (const client of clients.splice(0)) await client.dispose();
    await eventually('all subscriptions are closed', () => node.subscriptionGroups() === 0);
  });

  async function live(person: Person, query: string, variables: Json = {}, field = 'messages'): Promise<Listening> {
    const client = connect(node.url, person.token);
    clients.push(client);
    const stream = listen(client, query, variables, field);
    void stream.ended.then((failure) => {
      if (failure !== undefined) failures.push(failure);
    });
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    return stream;
  }

  /** Wraps the resolver of a field. */
  function intercept(typeName: string, fieldName: string, before: (source: Json) => unknown): void {
    const field = (schema.getType(typeName) as GraphQLObjectType).getFields()[fieldName];
    if (!field) throw new Error(`there is no ${typeName}.${fieldName}`);
    const { resolve } = field;
    field.resolve = (source, ...rest) => {
      const wait = before(source);
      const value = () => (resolve ? resolve(source, ...rest) : source[fieldName]);
      return wait instanceof Promise ? wait.then(value) : value();
    };
    restore.push(() => {
      // Undefined if the default resolver is used.
      field.resolve = resolve as typeof field.resolve & {};
    });
  }
  const EVENTS = `subscription ($conversationId: ID, $after: String) {
    messages(conversationId: $conversationId, after: $after) {
      type cursor changeSeq message { id seq text sender { username } conversation { id latestSeq } }
    }
  }`;
  const sent = (text: string) => (event: Json) => event.message?.text === text;

  it('execute an event once for all subscribers of a node', async () => {
    const other = await createGroup(alice, [bob, carol]);
    const executed: string[] = [];
    intercept('MessageEvent', 'cursor', ({ change }) => change && executed.push(change.data.message.text));
    const streams = await Promise.all([
      live(alice, EVENTS, { conversationId: group }),
      live(bob, EVENTS, { conversationId: group }),
      live(bob, EVENTS, { conversationId: group }),
      live(bob, EVENTS),
      live(carol, EVENTS, { conversationId: group, after: null }),
      live(carol, EVENTS),
    ]);
    expect(node.subscriptionGroups()).toBe(1);
    await send(alice, group, 'for six');
    const events = await Promise.all(streams.map((stream) => stream.until(sent('for six'))));
    for (const event of events) expect(event).toEqual(events[0]);
    expect(events[0]).toMatchObject({ type: 'SENT', message: { sender: { username: alice.username } } });
    await send(bob, other, 'for two');
    for (const index of [3, 5]) await streams[index]?.until(sent('for two'));
    expect(executed).toEqual(['for six', 'for two']);
  });

  it('execute an event with attachments once for all viewers, when it is sent and when it is processed', async () => {
    const executed: string[] = [];
    intercept('Message', 'attachments', (message) => executed.push(message.id));
    const query = `subscription { messages { type message { id attachments { id state path variants { path } } } } }`;
    const streams = await Promise.all([alice, bob, bob, carol].map((person) => live(person, query)));
    const { id: attachmentId } = await upload(node.url, alice, await makePicture('png'), { kind: 'IMAGE' });
    const { data } = await sendWith(alice, group, [attachmentId]);
    const { id } = data.sendMessage.message;
    const own = ({ message }: Json) => message?.id === id;
    const isReady = (event: Json) => own(event) && event.message.attachments[0].state === 'READY';
    const events = await Promise.all(streams.map((stream) => stream.until(isReady)));
    for (const event of events) expect(event).toEqual(events[0]);
    expect(events[0]?.message.attachments[0]).toMatchObject({
      id: attachmentId,
      path: expect.stringMatching(/^\/media\//),
      variants: [{ path: expect.any(String) }, { path: expect.any(String) }],
    });
    // Once for each event, of which there is one if it was processed before it was sent, and once for the mutation.
    const received = streams[0]?.events.filter(own).length ?? 0;
    expect(executed.filter((each) => each === decodeGlobalId(id, 'id').id)).toHaveLength(received + 1);
  });

  it('execute an event separately for viewers with another result', async () => {
    const executed: string[] = [];
    intercept('Message', 'viewerCanEdit', (message) => executed.push(message.text));
    const query = 'subscription { messages { type message { text viewerCanEdit } } }';
    const streams = await Promise.all([alice, alice, bob, carol].map((person) => live(person, query)));
    await send(alice, group, 'mine to edit');
    const events = await Promise.all(streams.map((stream) => stream.until(sent('mine to edit'))));
    expect(events.map(({ message }) => message.viewerCanEdit)).toEqual([true, true, false, false]);
    // Once for the sender, and once for everyone else.
    expect(executed.length).toBe(2);
  });

  it('execute an event once for viewers who may delete a message, and once for the others', async () => {
    const executed: unknown[] = [];
    intercept('Message', 'viewerCanDelete', (message) => executed.push(message));
    const query = 'subscription { messages { type message { text viewerCanDelete viewerCanEdit } } }';
    const people = [alice, bob, bob, carol];
    const streams = await Promise.all(people.map((person) => live(person, query)));
    const room = await createGroup(alice, [bob, carol]);
    const answered = async (type: string, ...expected: boolean[]) => {
      const events = await Promise.all(streams.map((stream) => stream.until((event) => event.type === type)));
      expect(events.map(({ message }) => message.viewerCanDelete)).toEqual(expected);
      return executed.splice(0).length;
    };
    const written = await send(bob, room, 'from bob');
    // Once each for the owner, the sender, and the others.
    expect(await answered('SENT', true, true, true, false)).toBe(3);
    await edit(bob, written.id, 'from bob, edited');
    expect(await answered('EDITED', true, true, true, false)).toBe(3);
    await remove(alice, written.id);
    expect(await answered('DELETED', false, false, false, false)).toBe(1);
  });

  it('execute an event once per set of own reactions', async () => {
    const executed: unknown[] = [];
    intercept('Message', 'viewerReactions', (message) => executed.push(message));
    const query = `subscription { messages { type message {
      text viewerReactions viewerCanDelete reactions { emoji count } replyTo { text replyCount }
    } } }`;
    const room = await createGroup(alice, [bob, carol]);
    const first = await send(carol, room, 'to be answered');
    const streams = await Promise.all([bob, bob, carol, carol].map((person) => live(person, query)));
    const answered = async (fits: (event: Json) => boolean, ...expected: string[][]) => {
      const events = await Promise.all(streams.map((stream) => stream.until(fits)));
      expect(events.map(({ message }) => message.viewerReactions)).toEqual(expected);
      return executed.splice(0).length;
    };
    const written = await reply(alice, room, first.id, 'an answer');
    expect(await answered(({ type }) => type === 'SENT', [], [], [], [])).toBe(1);
    await react(bob, written.id, '👍');
    expect(await answered(({ type }) => type === 'REACTED', ['👍'], ['👍'], [], [])).toBe(2);
    await react(carol, written.id, '👍');
    const both = ({ message }: Json) => message?.reactions[0]?.count === 2;
    expect(await answered(both, ['👍'], ['👍'], ['👍'], ['👍'])).toBe(1);
  });

  it('query the reactions of each viewer if a message has too many, and return the right ones', async () => {
    const query = 'subscription { messages { type message { viewerReactions reactions { emoji count } } } }';
    const room = await createGroup(alice, [bob, carol]);
    const { id } = await send(alice, room, 'loved by very many');
    await react(bob, id, '🎉');
    const messageId = decodeGlobalId(id, 'id').id;
    await node.deps.database.db.$executeRaw`
      WITH person AS (
        INSERT INTO users (id, username, username_key, display_name, search_words)
        SELECT gen_random_uuid(), 'crowd' || n, 'crowd' || n, 'x', '{}' FROM generate_series(1, 500) n RETURNING id
      ),
      counted AS (
        UPDATE reaction_groups SET count = count + 500 WHERE message_id = ${messageId}::uuid
      )
      INSERT INTO reactions (message_id, emoji, user_id, change_seq) SELECT ${messageId}::uuid, '🎉', id, 1 FROM person`;
    const streams = await Promise.all([alice, bob, carol].map((person) => live(person, query)));
    await react(carol, id, '👍');
    const events = await Promise.all(streams.map((stream) => stream.until(({ type }) => type === 'REACTED')));
    expect(events.map(({ message }) => message.viewerReactions)).toEqual([[], ['🎉'], ['👍']]);
    for (const { message } of events) expect(message.reactions[0]).toEqual({ emoji: '🎉', count: 501 });
  });

  it('return the right value to each viewer for a field that is not declared as shared', async () => {
    const direct = await openDirect(alice, bob);
    const query = `subscription ($conversationId: ID) { messages(conversationId: $conversationId) {
      type message { text viewerCanDelete conversation { counterpart { username } viewerMembership { role } } }
    } }`;
    const people = [alice, bob, bob];
    const streams = await Promise.all(people.map((person) => live(person, query, { conversationId: direct })));
    const inGroup = await Promise.all(
      [alice, bob, carol].map((person) => live(person, query, { conversationId: group })),
    );
    await send(bob, direct, 'to one');
    await send(bob, group, 'to all');
    const events = await Promise.all(streams.map((stream) => stream.until(sent('to one'))));
    expect(events.map(({ message }) => message.conversation.counterpart.username)).toEqual([
      bob.username,
      alice.username,
      alice.username,
    ]);
    expect(events.map(({ message }) => message.viewerCanDelete)).toEqual([false, true, true]);
    const all = await Promise.all(inGroup.map((stream) => stream.until(sent('to all'))));
    expect(all.map(({ message }) => [message.viewerCanDelete, message.conversation.viewerMembership.role])).toEqual([
      [true, 'OWNER'],
      [true, 'MEMBER'],
      [false, 'MEMBER'],
    ]);
  });

  it('share only fields whose values are the same for all viewers', async () => {
    /** The selection of all shared fields of a type, down to a depth. */
    const everything = (type: GraphQLObjectType, depth: number): string =>
      Object.values(type.getFields())
        .filter((field) => isShared(type, field))
        .flatMap(({ name, type: given }) => {
          const below = getNamedType(given);
          if (!isObjectType(below)) return [name];
          return depth > 0 ? [`${name} { ${everything(below, depth - 1)} }`] : [];
        })
        .join(' ');
    const eventType = (name: string) => schema.getType(name) as GraphQLObjectType;
    // Includes a field that depends on the viewer, so that each viewer gets a separate response.
    const ofMessages = `subscription { messages {
      ${everything(eventType('MessageEvent'), 3)} own: message { conversation { viewerCanSend } }
    } }`;
    const ofConversations = `subscription { conversations {
      ${everything(eventType('ConversationEvent'), 3)} own: conversation { viewerCanSend }
    } }`;
    let executed = 0;
    intercept('MessageEvent', 'cursor', ({ change }) => {
      executed += change ? 1 : 0;
    });
    const messages = await Promise.all([alice, bob, carol].map((person) => live(person, ofMessages)));
    const conversations = await Promise.all(
      [alice, bob].map((person) => live(person, ofConversations, {}, 'conversations')),
    );
    const room = await createGroup(alice, [bob], { description: 'Described' });
    await alice.ask('mutation ($input: AddMembersInput!) { addMembers(input: $input) { conversation { id } } }', {
      input: { conversationId: room, userIds: [carol.id] },
    });
    const written = await send(alice, room, 'the same for all', 'a key');
    await edit(alice, written.id, 'still');
    await reply(bob, room, written.id, 'answered');
    await react(carol, written.id, '👍');
    await pin(alice, written.id);
    await unpin(alice, written.id);
    await remove(alice, written.id);
    const withoutOwn = ({ events }: Listening) =>
      events.filter(({ type }) => !['CAUGHT_UP', 'CHECKPOINT'].includes(type)).map(({ own: _own, ...event }) => event);
    await Promise.all(messages.map((stream) => stream.until(({ type }) => type === 'DELETED')));
    await Promise.all(conversations.map((stream) => stream.until(({ type }) => type === 'MEMBER_JOINED')));
    const [ofAlice, ...ofOthers] = messages.map(withoutOwn);
    expect(ofAlice?.map(({ type }) => type)).toEqual([
      ...['SENT', 'EDITED', 'SENT', 'REACTED', 'PINNED', 'UNPINNED', 'DELETED'],
    ]);
    expect(ofAlice?.[3]?.message).toMatchObject({ replyCount: 1, reactions: [{ emoji: '👍', count: 1 }] });
    for (const events of ofOthers) expect(events).toEqual(ofAlice);
    expect(executed).toBe(3 * 7);
    const [aliceSaw, bobSaw] = conversations.map(withoutOwn);
    expect(aliceSaw?.map(({ type }) => type)).toEqual(['JOINED', 'MEMBER_JOINED']);
    expect(bobSaw).toEqual(aliceSaw);
  });

  it("distinguish changes of the viewer's own membership from those of others", async () => {
    const dave = await register(node.url, 'dave');
    const query = 'subscription { conversations { type conversation { id } userId membership { user { id } } } }';
    const [alices, bobs, daves] = await Promise.all(
      [alice, bob, dave].map((person) => live(person, query, {}, 'conversations')),
    );
    const room = await createGroup(alice, [bob]);
    await alice.ask('mutation ($input: AddMembersInput!) { addMembers(input: $input) { conversation { id } } }', {
      input: { conversationId: room, userIds: [dave.id] },
    });
    await dave.ask('mutation ($id: ID!) { leaveConversation(input: { conversationId: $id }) { conversationId } }', {
      id: room,
    });
    await daves?.until(({ type }) => type === 'LEFT');
    for (const stream of [alices, bobs]) await stream?.until(({ type }) => type === 'MEMBER_LEFT');
    const types = ({ events }: Listening) => events.map(({ type }) => type).filter((type) => type !== 'CHECKPOINT');
    expect(types(alices as Listening)).toEqual(['CAUGHT_UP', 'JOINED', 'MEMBER_JOINED', 'MEMBER_LEFT']);
    expect(types(bobs as Listening)).toEqual(['CAUGHT_UP', 'JOINED', 'MEMBER_JOINED', 'MEMBER_LEFT']);
    expect(types(daves as Listening)).toEqual(['CAUGHT_UP', 'JOINED', 'LEFT']);
  });

  it('respond in order, also if an earlier event takes longer', async () => {
    const room = await createGroup(alice, [bob]);
    const stream = await live(bob, EVENTS, { conversationId: room });
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    intercept('MessageEvent', 'changeSeq', ({ change }) => (change?.data.message.text === 'slow' ? held : undefined));
    await send(alice, room, 'slow');
    await send(alice, room, 'quick');
    await send(alice, room, 'also quick');
    expect(stream.events.filter(({ message }) => message)).toEqual([]);
    release();
    await stream.until(sent('also quick'));
    expect(stream.events.flatMap(({ message }) => message?.text ?? [])).toEqual(['slow', 'quick', 'also quick']);
  });

  it('return the error of a resolver to all subscribers, and continue', async () => {
    const query = 'subscription { messages { type messageId message { text } } }';
    const answers: Json[][] = [];
    for (const person of [alice, bob]) {
      const client = connect(node.url, person.token);
      clients.push(client);
      const own: Json[] = [];
      answers.push(own);
      client.subscribe({ query }, { next: (answer) => void own.push(answer), error() {}, complete() {} });
      await eventually('the stream is live', () => own.length > 0);
    }
    intercept('MessageEvent', 'messageId', ({ change }) => {
      if (change?.data.message.text === 'broken') throw new Error('a secret of the server');
    });
    await send(alice, group, 'broken');
    await send(alice, group, 'whole');
    for (const own of answers) {
      await eventually('both events are delivered', () =>
        own.some(({ data }) => data?.messages.message?.text === 'whole'),
      );
      const broken = own.find(({ data }) => data?.messages.message?.text === 'broken');
      expect(broken).toMatchObject({
        data: { messages: { type: 'SENT', messageId: null } },
        errors: [{ path: ['messages', 'messageId'], extensions: { code: 'INTERNAL_SERVER_ERROR' } }],
      });
      expect(JSON.stringify(broken)).not.toContain('a secret');
    }
  });

  it('write complete frames for any id and any length', async () => {
    const socket = new WebSocket(socketUrl(node.url), 'graphql-transport-ws');
    const received: Json[] = [];
    socket.on('message', (data) => received.push(JSON.parse(String(data))));
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: bob.token } }));
    await eventually('the connection is acknowledged', () => received.length === 1);
    const ids = ['1', 'ünïcode "quoted" \\ \n', 'x'.repeat(128)];
    const short = 'subscription { messages { type } }';
    for (const id of ids) socket.send(JSON.stringify({ id, type: 'subscribe', payload: { query: EVENTS } }));
    socket.send(JSON.stringify({ id: 'short', type: 'subscribe', payload: { query: short } }));
    const of = (id: string) =>
      received.filter((message) => message.id === id).map(({ payload }) => payload.data.messages);
    await eventually('all streams are live', () => [...ids, 'short'].every((id) => of(id).length > 0));
    const texts = ['a', 'ä'.repeat(200), '€'.repeat(8_000), 'x'.repeat(7_900)];
    for (const text of texts) await send(alice, group, text);
    await edit(alice, (await send(alice, group, 'first')).id, 'second');
    await remove(alice, (await send(alice, group, 'gone')).id);
    for (const id of ids) {
      await eventually('all events are delivered', () => of(id).some(({ type }) => type === 'DELETED'));
      const events = of(id).filter(({ message }) => message);
      expect(events.map(({ message }) => message.text)).toEqual([...texts, 'first', 'second', 'gone', null]);
    }
    await eventually('all events are delivered', () => of('short').some(({ type }) => type === 'DELETED'));
    socket.terminate();
  });

  it('are shared over SSE as well', async () => {
    const executed: string[] = [];
    intercept('MessageEvent', 'cursor', ({ change }) => change && executed.push(change.data.message.text));
    const abort = new AbortController();
    const bodies = await Promise.all(
      [bob, bob, carol].map(async (person) => {
        const response = await fetch(node.url, {
          method: 'POST',
          headers: {
            accept: 'text/event-stream',
            'content-type': 'application/json',
            authorization: `Bearer ${person.token}`,
          },
          body: JSON.stringify({ query: EVENTS, variables: { conversationId: group } }),
          signal: abort.signal,
        });
        const body = { text: '' };
        void (async () => {
          for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) body.text += chunk;
        })().catch(() => {});
        return body;
      }),
    );
    await eventually('all streams are live', () => bodies.every(({ text }) => text.includes('CAUGHT_UP')));
    await send(alice, group, 'over SSE');
    await eventually('the event is delivered to all', () => bodies.every(({ text }) => text.includes('over SSE')));
    expect(executed).toEqual(['over SSE']);
    abort.abort();
  });
});
