import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { register, socketUrl } from '../support/client.js';
import {
  type Fleet,
  figure,
  form,
  hasAll,
  lacking,
  makeFleet,
  makeSender,
  ownServers,
  pause,
  range,
  type Sent,
  type Subscriber,
  subscribe,
  within,
} from '../support/fleet.js';
import { descriptorsOf, heapOf, inspected, peakMemoryOf } from '../support/inside.js';
import { serversLacking } from '../support/servers.js';
import { createGroup } from '../support/talk.js';

const INIT = '{"type":"connection_init"}';
/** Frames that violate the protocol, and the close code of each. */
const malformed: [frames: (string | Buffer)[], code: number][] = [
  [['not JSON'], 4400],
  [['{}'], 4400],
  [['[]'], 4400],
  [['null'], 4400],
  [['{"type":"nonsense"}'], 4400],
  [[Buffer.from([0, 255, 254, 1])], 4400],
  [[`{"id":"1","type":"subscribe","payload":{"query":"{ viewer { id } }"}}`], 4401],
  [[INIT, '{"type":"subscribe"}'], 4400],
  [[INIT, '{"id":"1","type":"subscribe","payload":{"query":1}}'], 4400],
  [[INIT, INIT], 4429],
  [['{"type":"connection_init","payload":{"authorization":{}}}'], 4403],
];

describe.skipIf(serversLacking !== undefined)('clients that misbehave', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await makeFleet(await ownServers());
  });

  /** Opens a socket and sends frames. Resolves with the close code. */
  function codeOf(url: string, frames: (string | Buffer)[]): Promise<number> {
    const socket = new WebSocket(socketUrl(url), 'graphql-transport-ws');
    socket.on('error', () => {});
    socket.once('open', () => {
      for (const frame of frames) socket.send(frame);
    });
    return new Promise((resolve) => socket.once('close', resolve));
  }

  it('are disconnected with a specific close code, and all their resources are released', {
    timeout: 180_000,
  }, async () => {
    const inside = await inspected();
    const node = await fleet.add(inside);
    const alice = await register(node.url, 'alice');
    const misbehave = async (rounds: number) => {
      for (const _ of range(1, rounds)) {
        const codes = await Promise.all(malformed.map(([frames]) => codeOf(node.url, frames)));
        expect(codes).toEqual(malformed.map(([, code]) => code));
      }
    };
    // Once before the measurement, to compile code and fill pools.
    await misbehave(20);
    const [heap, descriptors] = [await heapOf(inside), descriptorsOf(node)];

    const silent = range(1, form(200, 2_000)).map(() => codeOf(node.url, []));
    const rounds = form(40, 910);
    await misbehave(rounds);
    expect(await codeOf(node.url, [INIT, Buffer.alloc(5 * 1024 * 1024, ' ')])).toBe(1009);
    expect(new Set(await Promise.all(silent))).toEqual(new Set([4408]));

    await within(
      10_000,
      () => `descriptors as at the start: ${descriptors}, now ${descriptorsOf(node)}`,
      () => (descriptorsOf(node) ?? 0) <= (descriptors ?? 0) + 2,
    );
    const after = await heapOf(inside);
    expect(after).toBeLessThan(1.1 * heap);
    expect((await alice.ask('{ viewer { user { id } } }')).viewer.user.id).toBe(alice.id);
    figure('clients that misbehave', {
      malformed: rounds * malformed.length,
      silent: silent.length,
      heapMB: [heap, after].map((bytes) => Math.round(bytes / 10_485.76) / 100),
      descriptors: [descriptors, descriptorsOf(node)],
    });
  });

  it('open too many subscriptions on one socket: further ones are rejected, and the others continue', {
    timeout: 180_000,
  }, async () => {
    const inside = await inspected();
    const limit = 50;
    const node = await fleet.add({ ...inside, SOCKET_OPERATIONS_MAX: String(limit) });
    const [alice, bob] = [await register(node.url, 'alice'), await register(node.url, 'bob')];
    const group = await createGroup(alice, [bob]);
    const count = form(2_000, 20_000);
    const query = `subscription { messages(conversationId: "${group}") { type message { text } } }`;
    const floodOnce = async () => {
      const codes = new Map<string, number>();
      const texts = new Set<string>();
      const socket = new WebSocket(socketUrl(node.url), 'graphql-transport-ws');
      let pongs = 0;
      socket.on('message', (data) => {
        const { type, id, payload } = JSON.parse(String(data));
        if (type === 'connection_ack') {
          for (const id of range(1, count))
            socket.send(JSON.stringify({ type: 'subscribe', id: `${id}`, payload: { query } }));
          socket.send('{"type":"ping"}');
        }
        if (type === 'pong') pongs += 1;
        const code = type === 'error' ? payload[0].extensions.code : payload?.data?.messages?.type;
        if (code) codes.set(code, (codes.get(code) ?? 0) + 1);
        if (code === 'SENT') texts.add(`${id} ${payload.data.messages.message.text}`);
      });
      await new Promise((resolve) => socket.once('open', resolve));
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: bob.token } }));
      await within(
        30_000,
        () => `all are answered: ${[...codes]}`,
        () => (codes.get('RATE_LIMITED') ?? 0) + (codes.get('CAUGHT_UP') ?? 0) === count,
      );
      expect(Object.fromEntries(codes)).toEqual({ CAUGHT_UP: limit, RATE_LIMITED: count - limit });
      await makeSender(alice, group, [node.url]).send('to those that are live');
      await within(5_000, 'it came to each', () => texts.size === limit);
      expect(pongs).toBe(1);
      socket.close();
      await new Promise((resolve) => socket.once('close', resolve));
    };
    await floodOnce();
    const [heap, descriptors] = [await heapOf(inside), descriptorsOf(node)];
    for (const _ of range(1, 2)) await floodOnce();
    await within(10_000, 'descriptors as at the start', () => (descriptorsOf(node) ?? 0) <= (descriptors ?? 0) + 2);
    const after = await heapOf(inside);
    expect(after).toBeLessThan(1.1 * heap);
    figure('too many subscribes on one socket', {
      subscribes: count,
      live: limit,
      heapMB: [heap, after].map((bytes) => Math.round(bytes / 10_485.76) / 100),
    });
  });

  it('send requests without reading the responses: the node stops reading until they do, and its memory does not grow', {
    timeout: 180_000,
  }, async () => {
    const inside = await inspected();
    const node = await fleet.add({ ...inside, SOCKET_BUFFER_MAX_BYTES: '65536' });
    const alice = await register(node.url, 'alice');
    const heap = await heapOf(inside);
    const socket = new WebSocket(socketUrl(node.url), 'graphql-transport-ws');
    let answers = 0;
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: alice.token } }));
    await new Promise((resolve) => socket.once('message', resolve));
    socket.on('message', (data) => {
      if (JSON.parse(String(data)).type === 'pong') answers += 1;
    });
    socket.pause();
    const count = form(32_000, 320_000);
    // A longer payload would not be returned.
    const payload = { filler: 'x'.repeat(1_000) };
    for (const _ of range(1, count)) socket.send(JSON.stringify({ type: 'ping', payload }));
    // The node stops reading, because it would have to keep what it reads.
    let waiting = -1;
    await within(20_000, 'the node stops reading', async () => {
      const before = waiting;
      waiting = socket.bufferedAmount;
      await pause(300);
      return before === waiting;
    });
    expect(waiting).toBeGreaterThan(count * 500);
    expect((await heapOf(inside)) - heap).toBeLessThan(10 * 1024 * 1024);
    socket.resume();
    await within(
      30_000,
      () => `all responses arrive: ${answers} of ${count}`,
      () => answers === count,
    );
    socket.terminate();
  });

  it('do not read: they are disconnected without affecting others, and resume without missing events', {
    timeout: 240_000,
  }, async () => {
    const inside = await inspected();
    const node = await fleet.add({ ...inside, STREAM_QUEUE_MAX: form('10', '1000') });
    const [alice, bob] = [await register(node.url, 'alice'), await register(node.url, 'bob')];
    const groups: string[] = [];
    // Several groups, because sends to one conversation are sequential.
    for (const _ of range(1, form(1, 8))) groups.push(await createGroup(alice, [bob]));
    const senders = groups.map((group) => makeSender(alice, group, [node.url]));
    const answered = () => senders.flatMap((sender) => sender.answered);
    const url = () => node.url;
    // Many streams, because the system buffers some megabytes per socket before the node has to queue anything.
    const copies = form(40, 7);
    const frozen = subscribe(bob, url, { copies });
    const others = range(1, form(5, 3)).map(() => subscribe(alice, url));
    await within(5_000, 'all are live', () => [frozen, ...others].every(({ caughtUp }) => caughtUp === 1));
    const text = 'x'.repeat(form(7_900, 500));
    /** Sends concurrently for `ms`, and at least `least` messages, at most at the given rate. */
    const flood = async (
      ms: number,
      least: number,
      perSecond: number,
    ): Promise<{ sent: Sent[]; perSecond: number }> => {
      const before = new Set(answered());
      const began = Date.now();
      let count = 0;
      const work = async () => {
        while (Date.now() - began < ms || count < least) {
          if (count >= ((Date.now() - began) * perSecond) / 1_000) await pause(2);
          else await senders[count++ % senders.length]?.send(text);
        }
      };
      await Promise.all(range(1, form(5, 24)).map(work));
      const sent = answered().filter((each) => !before.has(each));
      return { sent, perSecond: Math.round((sent.length * 1_000) / (Date.now() - began)) };
    };
    const p99 = (sent: Sent[]) => {
      const ways = others.flatMap(({ cameAt }) => sent.map(({ id, at }) => (cameAt.get(id) ?? Infinity) - at));
      return ways.sort((x, y) => x - y)[Math.floor(ways.length * 0.99)] as number;
    };
    const rate = form(50, 500);
    // Warms up the code.
    await flood(form(0, 3_000), 20, rate);
    const before = await flood(form(500, 10_000), 20, rate);
    const [heap, memory] = [await heapOf(inside), peakMemoryOf(node)];
    frozen.socket?.pause();
    // Longer than a slow consumer is given to receive its close frame.
    const during = await flood(form(2_500, 30_000), 100, rate);
    const heapDuring = await heapOf(inside);
    const { sent } = during;
    await within(5_000, lacking(others[0] as Subscriber, sent), () => others.every((other) => hasAll(other, sent)));
    expect(frozen.connections).toBe(1);
    frozen.socket?.resume();
    const ms = await within(60_000, lacking(frozen, sent), () => hasAll(frozen, sent));
    for (const subscriber of [frozen, ...others]) {
      for (const [index, sender] of senders.entries()) {
        expect(subscriber.changes(groups[index] as string)).toEqual(range(2, sender.answered.length + 1));
      }
      expect(subscriber.late).toEqual([]);
    }
    expect(new Set(others.map(({ connections }) => connections))).toEqual(new Set([1]));
    // It was disconnected, so that its queue did not grow with the messages.
    expect(frozen.connections).toBe(2);
    expect(frozen.codes).toEqual([]);
    // 1006 if the close frame could not be read any more.
    expect([1006, 1013]).toContain(frozen.closeCodes[0]);
    expect(heapDuring - heap).toBeLessThan(20 * 1024 * 1024);
    const ways = { before: p99(before.sent), during: p99(sent) };
    figure('a subscriber that does not read', {
      perSecond: [before.perSecond, during.perSecond],
      streams: copies + 1 + others.length,
      megabytesNotRead: Math.round((sent.length * (copies + 1) * (text.length + 300)) / 2 ** 20),
      heapGrewMB: Math.round((heapDuring - heap) / 10_485.76) / 100,
      peakMemoryMB: [memory, peakMemoryOf(node)],
      p99ms: ways,
      closed: frozen.closeCodes,
      completeAfterMs: ms,
    });
    // The short form measures too few messages, and runs concurrently with other tests.
    expect(ways.during).toBeLessThan(form(Infinity, Math.max(2 * ways.before, ways.before + 20)));
  });

  it('read too slowly: their socket is closed with 1013, and the standard client resumes without missing events', {
    timeout: 120_000,
  }, async () => {
    const node = await fleet.add({ STREAM_QUEUE_MAX: '1' });
    const [alice, bob] = [await register(node.url, 'alice'), await register(node.url, 'bob')];
    const group = await createGroup(alice, [bob]);
    const sender = makeSender(alice, group, [node.url]);
    const slow = subscribe(bob, () => node.url, { conversationId: group, copies: 100 });
    await within(10_000, 'the stream is live', () => slow.caughtUp === 1);
    // While the client pauses, more must be sent than the system buffers. It must read again within the two seconds after
    // which the node terminates the socket without a close frame.
    let asleep = 300;
    for (let round = 0; round < 20 && !slow.closeCodes.includes(1013); round += 1) {
      const closes = slow.closeCodes.length;
      slow.socket?.pause();
      const began = Date.now();
      while (Date.now() - began < asleep) await Promise.all(range(1, 5).map(() => sender.send('x'.repeat(7_900))));
      slow.socket?.resume();
      await within(20_000, lacking(slow, sender.answered), () => hasAll(slow, sender.answered));
      asleep *= slow.closeCodes.length > closes ? 0.6 : 1.4;
    }
    expect(slow.closeCodes).toContain(1013);
    await within(10_000, 'the stream is live again', () => slow.connections === slow.closeCodes.length + 1);
    const last = [await sender.send('as ever')];
    await within(10_000, lacking(slow, last), () => hasAll(slow, last));
    expect(slow.changes(group)).toEqual(range(2, sender.answered.length + 1));
    expect([slow.late, slow.codes]).toEqual([[], []]);
    figure('a subscriber that reads too slowly', { closed: slow.closeCodes, messages: sender.answered.length });
  });
});
