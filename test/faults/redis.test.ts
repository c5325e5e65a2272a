import { beforeAll, describe, expect, it } from 'vitest';
import { connect, listen, type Person, register } from '../support/client.js';
import {
  figure,
  form,
  hasAll,
  lacking,
  makeFleet,
  makeSender,
  type NodeProcess,
  ownServers,
  pause,
  range,
  type Sender,
  type Subscriber,
  subscribe,
  within,
} from '../support/fleet.js';
import { type LossyRedis, startLossyRedis } from '../support/lossy-redis.js';
import { PRESENCE, statusesOf, untilStatus } from '../support/presence.js';
import { type OwnServers, serversLacking } from '../support/servers.js';
import { createGroup, openAnswered, REMOVE_MEMBER } from '../support/talk.js';

/** The longest time from the response of a send until its delivery to a subscriber, in milliseconds. */
const longestWay = (subscribers: Subscriber[], { answered }: Sender) =>
  Math.max(...subscribers.flatMap(({ cameAt }) => answered.map(({ id, at }) => (cameAt.get(id) ?? at) - at)));
const longestSend = ({ answered }: Sender) => Math.max(...answered.map(({ ms }) => ms));

describe.skipIf(serversLacking !== undefined)('Redis that fails', () => {
  let servers: OwnServers;
  let a: NodeProcess;
  let b: NodeProcess;
  beforeAll(async () => {
    servers = await ownServers();
    const fleet = await makeFleet(servers);
    [a, b] = await Promise.all([fleet.add(), fleet.add()]);
  });

  const eventsOf = async (node: NodeProcess) =>
    ((await (await fetch(node.url.replace('/graphql', '/ready'))).json()) as { events: string }).events;

  /** A sender at both nodes, and subscribers at each node to one conversation and to all. */
  async function makeTalk() {
    const [alice, bob] = [await register(a.url, 'alice'), await register(b.url, 'bob')];
    const group = await createGroup(alice, [bob]);
    const subscribers = [
      subscribe(bob, () => a.url, { conversationId: group }),
      subscribe(bob, () => b.url),
      subscribe(alice, () => b.url, { conversationId: group }),
    ];
    await within(5_000, 'all are live', () => subscribers.every(({ caughtUp }) => caughtUp === 1));
    return { alice, bob, group, subscribers, sender: makeSender(alice, group, [a.url, b.url]) };
  }

  /** Sends steadily during a fault that `breakIt` starts and `mend` ends. */
  async function through(fault: string, breakIt: () => unknown, forMs: number, mend: () => unknown): Promise<void> {
    await within(
      15_000,
      'Redis is connected',
      async () => (await eventsOf(a)) === 'ok' && (await eventsOf(b)) === 'ok',
    );
    const { group, subscribers, sender } = await makeTalk();
    const stop = sender.steadily(form(25, 100));
    await within(5_000, 'it flows', () => sender.answered.length > 10);
    await breakIt();
    await pause(forMs);
    await mend();
    const sent = [...sender.answered];
    const times = await Promise.all(
      subscribers.map((subscriber) => within(5_000, lacking(subscriber, sent), () => hasAll(subscriber, sent))),
    );
    await within(
      15_000,
      'Redis is connected',
      async () => (await eventsOf(a)) === 'ok' && (await eventsOf(b)) === 'ok',
    );
    await stop();
    for (const subscriber of subscribers) {
      await within(5_000, lacking(subscriber, sender.answered), () => hasAll(subscriber, sender.answered));
      expect(subscriber.changes(group)).toEqual(range(2, sender.answered.length + 1));
      expect(subscriber.connections).toBe(1);
      expect(subscriber.repeats).toBe(0);
    }
    expect(sender.codes.size).toBe(0);
    // A send that waits for Redis takes its timeout of two seconds, and most were sent during the fault. Concurrent tests
    // can delay single ones.
    const waits = sender.answered.map(({ ms }) => ms).sort((one, other) => one - other);
    expect(waits[Math.floor(waits.length * form(0.5, 0.99))]).toBeLessThan(1_000);
    figure(fault, {
      messages: sender.answered.length,
      longestSendMs: longestSend(sender),
      longestWayMs: longestWay(subscribers, sender),
      completeAfterReturnMs: Math.max(...times),
    });
  }

  it(
    'is killed for two seconds and restarts empty: no event is lost, and no send is delayed',
    { timeout: 60_000 },
    () =>
      through(
        'Redis killed for 2 s, restarted empty',
        () => servers.redis.kill(),
        2_000,
        () => servers.redis.start(),
      ),
  );

  it('is frozen: no event is lost, and no send is delayed', { timeout: 60_000 }, () =>
    through(
      `Redis frozen for ${form(4, 10)} s`,
      () => servers.redis.freeze(),
      form(4_000, 10_000),
      () => servers.redis.thaw(),
    ),
  );

  it('makes presence unknown until it restarts, without changes of any status', { timeout: 60_000 }, async () => {
    const [alice, bob] = [await register(a.url, 'alice'), await register(b.url, 'bob')];
    await openAnswered(alice, bob);
    const clients = [connect(a.url, alice.token), connect(b.url, bob.token, { lazy: false, onNonLazyError: () => {} })];
    const [watching] = clients as [ReturnType<typeof connect>];
    const stream = listen(watching, PRESENCE, {}, 'presence');
    await untilStatus(stream, bob, 'ONLINE');
    const asked = async () =>
      (await alice.ask('query ($id: ID!) { user(id: $id) { presence { status } } }', { id: bob.id })).user.presence;
    await servers.redis.kill();
    await within(5_000, 'it is unknown', async () => (await asked()) === null);
    await pause(form(2_000, 20_000));
    await servers.redis.start();
    const ms = await within(15_000, 'it is known', async () => (await asked()) !== null);
    expect(await asked()).toEqual({ status: 'ONLINE' });
    const said = statusesOf(stream, bob);
    expect(said.slice(said.indexOf('ONLINE'))).toEqual(['ONLINE']);
    figure('Redis away: presence', { knownAgainAfterMs: ms });
    // Later changes are delivered again.
    const carol = await register(b.url, 'carol');
    await openAnswered(alice, carol);
    clients.push(connect(b.url, carol.token, { lazy: false, onNonLazyError: () => {} }));
    await untilStatus(stream, carol, 'ONLINE');
    await Promise.all(clients.map((client) => client.dispose()));
  });

  describe('during the outage', () => {
    const LOGOUT = 'mutation { logout { sessionId } }';
    const CONVERSATIONS = 'subscription { conversations { type cursor conversationId conversation { id } userId } }';

    /** When the stream of a user who logs out at the other node ended, and whether it delivered anything afterwards. */
    async function signOut(limit: number): Promise<number> {
      const { alice, bob, group, subscribers, sender } = await makeTalk();
      const [, one] = subscribers as [Subscriber, Subscriber, Subscriber];
      const closed = () => one.closeCodes.includes(4403);
      await bob.at(a.url).ask(LOGOUT);
      const ms = await within(limit, 'the socket is closed', closed);
      const events = one.events.length;
      await makeSender(alice, group, [a.url]).send('not for who is signed out');
      const [watching] = [subscribers[2] as Subscriber];
      await within(5_000, 'it came to others', () => watching.events.length > 0);
      expect(one.events.length).toBe(events);
      expect(sender.codes.size).toBe(0);
      return ms;
    }

    /** When the stream of a member who is removed at the other node ended, and whether it delivered anything afterwards. */
    async function removeMember(limit: number): Promise<number> {
      const { alice, bob, group, subscribers } = await makeTalk();
      // Only at the other node, because a change of this node would reveal the missed ones.
      const sender = makeSender(alice, group, [a.url]);
      const elsewhere = await createGroup(alice, [bob]);
      const [, all, watching] = subscribers as [Subscriber, Subscriber, Subscriber];
      const one = subscribe(bob, () => b.url, { conversationId: group });
      const client = connect(b.url, bob.token);
      const list = listen(client, CONVERSATIONS, {}, 'conversations');
      await list.until(({ type }) => type === 'CAUGHT_UP');
      await within(5_000, 'it is live', () => one.caughtUp === 1);
      const before = [await sender.send('before the removal')];
      await within(5_000, 'it came', () => [one, all, watching].every((each) => hasAll(each, before)));

      await alice.at(a.url).ask(REMOVE_MEMBER, { input: { conversationId: group, userId: bob.id } });
      const began = Date.now();
      const later = Promise.all(range(1, 20).map((index) => sender.send(`not for who is removed ${index}`)));
      await within(limit, 'the stream has ended', () => one.codes.length > 0);
      const ms = Date.now() - began;
      expect(one.codes).toEqual(['NOT_FOUND']);
      const left = await list.until(({ type }) => type === 'LEFT');
      expect(left).toMatchObject({ conversationId: group, conversation: null, userId: bob.id });

      // The stream of all conversations continues, and remaining members at the same node receive later messages.
      const sent = await later;
      await within(5_000, lacking(watching, sent), () => hasAll(watching, sent));
      const other = [await makeSender(alice, elsewhere, [a.url]).send('as ever')];
      await within(5_000, lacking(all, other), () => hasAll(all, other));
      expect([one, all].map((each) => each.changes(group))).toEqual([[2], [2]]);
      expect(watching.changes(group)).toEqual([2, ...range(4, 23)]);
      expect([one, all].map(({ connections }) => connections)).toEqual([1, 1]);
      expect(all.codes).toEqual([]);
      await client.dispose();
      return ms;
    }

    /** Once with Redis and once without it. */
    async function withAndWithout(fault: string, measure: (limit: number) => Promise<number>): Promise<void> {
      await within(
        15_000,
        'Redis is connected',
        async () => (await eventsOf(a)) === 'ok' && (await eventsOf(b)) === 'ok',
      );
      // A sweep takes a second or two, so that anything faster was delivered through Redis.
      const endedAfterMs = await measure(form(5_000, 1_000));
      await servers.redis.kill();
      try {
        figure(fault, { endedAfterMs, withoutRedisMs: await measure(10_000) });
      } finally {
        await servers.redis.start();
      }
    }

    it(
      'streams of a user who logs out at the other node end soon with Redis, and later without it',
      {
        timeout: 60_000,
      },
      () => withAndWithout('signed out on A, stream on B', signOut),
    );

    it(
      'streams of a member who is removed at the other node end without delivering later messages',
      {
        timeout: 60_000,
      },
      () => withAndWithout('member removed on A, stream on B', removeMember),
    );
  });
});

describe.skipIf(serversLacking !== undefined)('Redis that loses messages', () => {
  let alice: Person;
  let bob: Person;
  let lossy: LossyRedis;
  let a: NodeProcess;
  let b: NodeProcess;
  beforeAll(async () => {
    const servers = await ownServers();
    let count = 0;
    // 5 % of the messages at random, with the same seed in every run, and the last message of a burst.
    lossy = await startLossyRedis(servers.redis.port, (message) => {
      count += 1;
      return (count * 7_919) % 20 === 0 || message.includes('the last one');
    });
    const fleet = await makeFleet(servers, { REDIS_URL: lossy.url });
    [a, b] = await Promise.all([fleet.add(), fleet.add()]);
    [alice, bob] = [await register(a.url, 'alice'), await register(b.url, 'bob')];
  });

  it('delays no event by more than two seconds', { timeout: 60_000 }, async () => {
    const group = await createGroup(alice, [bob]);
    const subscribers = [subscribe(bob, () => b.url), subscribe(alice, () => b.url, { conversationId: group })];
    await within(5_000, 'all are live', () => subscribers.every(({ caughtUp }) => caughtUp === 1));
    const sender = makeSender(alice, group, [a.url]);
    /** For each burst, the time until its last message is delivered, in milliseconds. */
    const delays: number[] = [];
    for (const burst of range(1, form(3, 20))) {
      await Promise.all(range(1, form(40, 100)).map((index) => sender.send(`burst ${burst} ${index}`)));
      await sender.send('the last one');
      const sent = performance.now();
      for (const subscriber of subscribers) {
        await within(2_000, lacking(subscriber, sender.answered), () => hasAll(subscriber, sender.answered));
      }
      delays.push(Math.round(performance.now() - sent));
    }
    // In the short form as well, one of the bursts that begin just after a sweep must be followed by a sweep in time.
    expect(Math.min(...delays.slice(1))).toBeLessThan(2_000);
    for (const subscriber of subscribers) {
      expect(subscriber.changes(group)).toEqual(range(2, sender.answered.length + 1));
      expect([subscriber.connections, subscriber.repeats]).toEqual([1, 0]);
    }
    expect(lossy.lost).toBeGreaterThan(0);
    const { lost, passed } = lossy;
    figure('5 % of messages lost', {
      lost,
      passed,
      longestWayMs: longestWay(subscribers, sender),
      lastCameMs: Math.max(...delays),
    });
  });
});
