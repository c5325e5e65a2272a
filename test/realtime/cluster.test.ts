import { RedisPubSub } from 'graphql-redis-subscriptions';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import {
  connect,
  durationOf,
  eventually,
  type Listening,
  listen,
  type Person,
  register,
  smallest,
} from '../support/client.js';
import { makePlace, type Place, servicesFound } from '../support/place.js';
import { createGroup, edit, MESSAGES, openDirect, REMOVE_MEMBER, send } from '../support/talk.js';

const clients: { dispose(): unknown }[] = [];
afterAll(async () => {
  await Promise.all(clients.map((client) => client.dispose()));
});

async function follow(node: RunningNode, person: Person, variables: object = {}): Promise<Listening> {
  const client = connect(node.url, person.token);
  clients.push(client);
  const stream = listen(client, MESSAGES, variables);
  await stream.until(({ type }) => type === 'CAUGHT_UP');
  return stream;
}

const changes = (stream: Listening) => stream.events.flatMap(({ changeSeq }) => changeSeq ?? []);
const from = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

describe.skipIf(!servicesFound)('two nodes on PostgreSQL and Redis', () => {
  let place: Place;
  let a: RunningNode;
  let b: RunningNode;
  let alice: Person;
  let bob: Person;

  beforeAll(async () => {
    place = await makePlace('postgresql');
    // Both start at the same time on the same database, whose migrations run under a lock.
    [a, b] = await Promise.all([place.start(), place.start()]);
    await eventually('Redis is connected', () => a.deps.bus.connected && b.deps.bus.connected);
    [alice, bob] = [await register(a.url, 'alice'), await register(b.url, 'bob')];
  });

  it('deliver messages to subscribers on the other node, also of new conversations', async () => {
    const stream = await follow(b, bob);
    const group = await createGroup(alice, [bob]);
    const sent = await send(alice, group, 'from A to B');
    await edit(alice, sent.id, 'edited');
    const event = await stream.until(({ type, messageId }) => type === 'EDITED' && messageId === sent.id);
    expect(event.message).toMatchObject({ text: 'edited', sender: { id: alice.id }, conversation: { id: group } });
    expect(event.message.editedAt).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  });

  it('keep the order and lose nothing when both write to one conversation', async () => {
    const group = await createGroup(alice, [bob]);
    const streams = await Promise.all([follow(a, alice, { conversationId: group }), follow(b, bob)]);
    await Promise.all(
      from(1, 80).map((index) => (index % 2 ? send(alice, group, `A ${index}`) : send(bob, group, `B ${index}`))),
    );
    for (const stream of streams) {
      await stream.until(({ changeSeq }) => changeSeq === 81);
      expect(changes(stream)).toEqual(from(2, 81));
    }
  });

  it('reject a session that was ended on the other node, and close its sockets', async () => {
    const carol = await register(a.url, 'carol');
    const closed = new Promise<number>((resolve) => {
      const client = connect(b.url, carol.token, {
        on: { closed: (event) => resolve((event as { code: number }).code) },
      });
      void listen(client, MESSAGES)
        .until(({ type }) => type === 'CAUGHT_UP')
        .then(() => carol.ask('mutation { logout { sessionId } }'));
    });
    expect(await closed).toBe(4403);
    const { errors } = await carol.at(b.url).request('{ viewer { id } }');
    expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
  });

  it('share no messages with nodes of another database on the same Redis', async () => {
    const other = await makePlace('postgresql');
    const c = await other.start({ REDIS_PREFIX: place.env['REDIS_PREFIX'] ?? '' });
    expect(c.deps.database.generation).not.toBe(a.deps.database.generation);
    const redis = new Redis(place.env['REDIS_URL'] ?? '');
    const expected = [a, c].flatMap(({ deps }) =>
      ['attention', 'availability', 'changes', 'people', 'roster', 'sessions', 'typing'].map(
        (name) => `${place.env['REDIS_PREFIX']}:${deps.database.generation}:${name}`,
      ),
    );
    await eventually('both subscribe to their own channels', async () => {
      const channels = (await redis.pubsub('CHANNELS', `${place.env['REDIS_PREFIX']}:*`)) as string[];
      return channels.sort().join() === expected.sort().join();
    });
    redis.disconnect();
  });

  it('read the state from the database if a payload has an unknown version', async () => {
    const group = await createGroup(alice, [bob]);
    const stream = await follow(b, bob, { conversationId: group });
    const redis = new Redis(place.env['REDIS_URL'] ?? '');
    const channel = `${place.env['REDIS_PREFIX']}:${a.deps.database.generation}:changes`;
    const conversation = await a.deps.database.db.conversation.findFirstOrThrow({ orderBy: { createdAt: 'desc' } });
    const change = { changeSeq: 2, type: 'MESSAGE_SENT', messageId: null, actorId: null };
    for (const data of [{ v: 999 }, { v: 1, message: {} }]) {
      await redis.publish(channel, `another-node ${conversation.id} ${JSON.stringify({ ...change, data })}`);
    }
    await redis.publish(channel, 'another-node and nonsense');
    redis.disconnect();
    await send(alice, group, 'as ever');
    await stream.until(({ changeSeq }) => changeSeq === 2);
    expect(stream.events.at(-1).message.text).toBe('as ever');
  });
});

describe.skipIf(!servicesFound)('two nodes between which wake-ups are lost', () => {
  afterEach(() => void vi.restoreAllMocks());

  /** Drops published messages that `lose` selects. */
  function losing(lose: (channel: string, text: string) => boolean) {
    const { publish } = RedisPubSub.prototype;
    vi.spyOn(RedisPubSub.prototype, 'publish').mockImplementation(function (this: RedisPubSub, channel, text) {
      return lose(channel, String(text)) ? Promise.resolve() : publish.call(this, channel, text);
    });
  }
  const pair = async (env: Record<string, string> = {}) => {
    const place = await makePlace('postgresql');
    const [a, b] = (await Promise.all([place.start(env), place.start(env)])) as [RunningNode, RunningNode];
    await eventually('Redis is connected', () => a.deps.bus.connected && b.deps.bus.connected);
    const [alice, bob, carol] = await Promise.all(['alice', 'bob', 'carol'].map((name) => register(a.url, name)));
    return { a, b, alice, bob, carol } as { a: RunningNode; b: RunningNode; alice: Person; bob: Person; carol: Person };
  };

  it('fill a gap as soon as a later change reveals it', async () => {
    const { b, alice, bob } = await pair({ SWEEP_INTERVAL: '1h' });
    const group = await createGroup(alice, [bob]);
    const streams = [await follow(b, bob, { conversationId: group }), await follow(b, bob)];
    losing((_channel, text) => text.includes('lost'));
    for (const text of ['one', 'lost', 'lost too', 'four']) await send(alice, group, text);
    for (const stream of streams) {
      await stream.until(({ changeSeq }) => changeSeq === 5);
      expect(changes(stream)).toEqual(from(2, 5));
    }
  });

  it('deliver the last change of a burst within two seconds', async () => {
    const { b, alice, bob } = await pair();
    const group = await createGroup(alice, [bob]);
    const stream = await follow(b, bob);
    let last = 1;
    // Only the last one, because reading what an earlier one would have announced can find it as well.
    losing((_channel, text) => text.includes(`"changeSeq":${last}`));
    const found = async () => {
      last += 5;
      for (const text of ['one', 'two', 'three', 'four', 'five']) await send(alice, group, text);
      return durationOf(() => stream.until(({ changeSeq }) => changeSeq === last));
    };
    // Afterwards, a sweep has just taken place, so that the next one is awaited for the whole interval: a second.
    await found();
    expect(await smallest(2_000, found)).toBeLessThan(2_000);
    expect(changes(stream)).toEqual(from(2, last));
  });

  it('deliver to a user who joins a conversation that the node has followed for others', async () => {
    const { a, b, alice, bob, carol } = await pair({ SWEEP_INTERVAL: '1h' });
    const bobs = await follow(b, bob);
    losing(() => true);
    const group = await createGroup(alice, [bob, carol]);
    await send(alice, group, 'two');
    await send(alice, group, 'three');
    // Carol's stream makes node B follow the conversation from a position after the changes that Bob has not received.
    const carols = await follow(b, carol);
    vi.restoreAllMocks();
    await Promise.all([a.deps.feed.sweep(), b.deps.feed.sweep()]);
    await send(alice, group, 'four');
    for (const [stream, first] of [
      [bobs, 2],
      [carols, 4],
    ] as const) {
      await stream.until(({ changeSeq }) => changeSeq === 4);
      expect(changes(stream)).toEqual(from(first, 4));
    }
  });

  it('end sessions, and the streams of removed members', async () => {
    const { b, alice, bob, carol } = await pair();
    const group = await createGroup(alice, [bob]);
    const removed = await follow(b, bob, { conversationId: group });
    const signedOut = new Promise<number>((resolve) => {
      const client = connect(b.url, carol.token, {
        on: { closed: (event) => resolve((event as { code: number }).code) },
      });
      void listen(client, MESSAGES);
    });
    await eventually('both streams are open', () => b.deps.feed.listeners === 2);
    losing(() => true);
    await carol.ask('mutation { logout { sessionId } }');
    await alice.ask(REMOVE_MEMBER, { input: { conversationId: group, userId: bob.id } });
    expect(await removed.ended).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
    expect(await signedOut).toBe(4403);
  });
});

describe.skipIf(!servicesFound)('four nodes that start at the same time on an empty database', () => {
  it('migrate it once', async () => {
    const place = await makePlace('postgresql', { migrated: false });
    const nodes = await Promise.all(Array.from({ length: 4 }, () => place.start()));
    const [alice, bob] = [await register(nodes[0]?.url ?? ''), await register(nodes[1]?.url ?? '')];
    const sent = await send(alice, await openDirect(alice, bob), 'hello');
    expect(sent.seq).toBe(1);
    expect(new Set(nodes.map(({ deps }) => deps.database.generation)).size).toBe(1);
  });
});

describe.skipIf(!servicesFound)('two nodes that receive nothing from each other', () => {
  it('deliver everything in order from the change log', async () => {
    const place = await makePlace('postgresql');
    const { REDIS_URL: _, ...env } = place.env;
    place.env = env;
    const [a, b] = await Promise.all([place.start(), place.start({ SWEEP_INTERVAL: '100ms' })]);
    const [alice, bob] = [await register(a.url, 'alice'), await register(b.url, 'bob')];
    const group = await createGroup(alice, [bob]);
    const [all, one] = [await follow(b, bob), await follow(b, bob, { conversationId: group })];
    for (const index of from(1, 20))
      await (index % 2 ? send(alice, group, `A ${index}`) : send(bob, group, `B ${index}`));
    for (const stream of [all, one]) {
      await stream.until(({ changeSeq }) => changeSeq === 21);
      expect(changes(stream)).toEqual(from(2, 21));
    }
    const later = await openDirect(alice, bob);
    const sent = await send(alice, later, 'in a conversation of which B received no wake-up');
    expect(await all.until(({ messageId }) => messageId === sent.id)).toMatchObject({ changeSeq: 2 });
  });
});

describe.skipIf(!servicesFound)('a node without Redis', () => {
  it('starts, serves requests, and reports the state in /ready', async () => {
    const place = await makePlace('postgresql');
    const node = await place.start({ REDIS_URL: 'redis://127.0.0.1:1' });
    const [alice, bob] = [await register(node.url, 'alice'), await register(node.url, 'bob')];
    const stream = await follow(node, bob);
    const sent = await send(alice, await openDirect(alice, bob), 'hello');
    await stream.until(({ messageId }) => messageId === sent.id);
    const ready = await fetch(node.url.replace('/graphql', '/ready'));
    expect([ready.status, await ready.json()]).toEqual([
      200,
      { status: 'ready', database: 'ok', events: 'unreachable', sweep: 'ok', sweepAgeMs: expect.any(Number) },
    ]);
  });
});
