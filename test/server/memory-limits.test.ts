import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parse } from 'graphql';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { createShares } from '../../src/infra/async/shares.js';
import { createMemoryLimits } from '../../src/server/memory-limits.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually, type Json, type Person, register, smallest, socketUrl } from '../support/client.js';
import { detailModes, makePlace } from '../support/place.js';
import { stopShared } from '../support/shared.js';

beforeAll(stopShared);

setFlagsFromString('--expose_gc');
const collect = runInNewContext('gc') as () => void;
/** The heap's size in megabytes after a garbage collection. */
async function memory(): Promise<number> {
  // Work that has just ended still uses memory in this turn of the event loop.
  await new Promise((resolve) => setTimeout(resolve, 20));
  collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}
/** The growth of the heap in megabytes, measured again while it is not less than `limit`: some memory is released late. */
const growth = (before: number, limit: number) => smallest(limit, async () => (await memory()) - before);

const long = 'x'.repeat(200_000);
const STREAM = 'subscription { messages { type } }';
const WITH_VARIABLE =
  'subscription ($x: String) { messages { type message { conversation { messages(first: 1, after: $x) { nodes { id } } } } } }';

/** Opens a WebSocket of which the types of events and the codes of errors are recorded. */
async function openSocket(url: string, payload: Json) {
  const socket = new WebSocket(socketUrl(url), 'graphql-transport-ws');
  onTestFinished(() => socket.terminate());
  await once(socket, 'open');
  const answers: Json[] = [];
  socket.on('message', (data) => {
    const { type, payload: answer } = JSON.parse(String(data));
    answers.push({ type, code: answer?.[0]?.extensions?.code ?? answer?.data?.messages?.type });
  });
  socket.send(JSON.stringify({ type: 'connection_init', payload }));
  await eventually('the connection is acknowledged', () => answers.length > 0);
  answers.length = 0;
  return { socket, answers };
}

describe.each(detailModes)('memory that a node uses for data from clients, in %s mode', (mode) => {
  let node: RunningNode;
  let person: Person;
  beforeAll(async () => {
    node = await (await makePlace(mode)).start();
    person = await register(node.url);
  });
  const open = (payload: Json = { authorization: person.token }) => openSocket(node.url, payload);

  const [refused, most] = ['RATE_LIMITED', 10];
  it.each<[what: string, message: (n: number) => Json]>([
    ['long documents', (n) => ({ id: `${n}`, payload: { query: `${STREAM} # ${n} ${long}` } })],
    ['long values', (n) => ({ id: `${n}`, payload: { query: WITH_VARIABLE, variables: { x: n + long } } })],
    ['values of no variable', (n) => ({ id: `${n}`, payload: { query: STREAM, variables: { y: n + long } } })],
    ['long extensions', (n) => ({ id: `${n}`, payload: { query: STREAM, extensions: { y: n + long } } })],
  ])('is limited for %s', async (_what, message) => {
    const count = 60;
    const { socket, answers } = await open();
    // Opens one stream before the measurement.
    socket.send(JSON.stringify({ type: 'subscribe', id: 'first', payload: { query: STREAM } }));
    await eventually('the stream is live', () => answers.length === 1);
    answers.length = 0;
    await memory();
    const before = await memory();
    for (let n = 0; n < count; n += 1) socket.send(JSON.stringify({ type: 'subscribe', ...message(n) }));
    await eventually('all are answered', () => answers.length >= count);
    const codes = answers.map(({ code }) => code);
    expect(codes.filter((code) => code === 'CAUGHT_UP').length).toBeLessThanOrEqual(most);
    expect(codes.filter((code) => code === refused).length).toBeGreaterThanOrEqual(count - most);
    // The cache of documents has a limit of its own.
    expect(await growth(before, 20)).toBeLessThan(20);
    socket.terminate();
    await eventually('all subscriptions are closed', () => node.subscriptionGroups() === 0);
    // Memory that was released can be used again.
    const again = await open();
    again.socket.send(JSON.stringify({ type: 'subscribe', ...message(0), id: 'again' }));
    await eventually('the stream is live', () => again.answers.some(({ code }) => code === 'CAUGHT_UP'));
  });

  it('does not contain the payloads of connection_init', async () => {
    await open({});
    await memory();
    const before = await memory();
    const all = await Promise.all(Array.from({ length: 60 }, (_, n) => open({ filler: n + long, authorization: '' })));
    expect(await growth(before, 5)).toBeLessThan(5);
    for (const { socket } of all) expect(socket.readyState).toBe(socket.OPEN);
  });

  it('accepts ids of 128 bytes, and closes with 4409 if an id is in use', async () => {
    const { socket, answers } = await open();
    for (let time = 0; time < 2; time += 1) {
      socket.send(JSON.stringify({ type: 'subscribe', id: 'ä'.repeat(64), payload: { query: STREAM } }));
      if (time === 0) await eventually('the stream is live', () => answers.length === 1);
    }
    expect((await once(socket, 'close'))[0]).toBe(4409);
  });
});

describe('memory that a node uses for open subscriptions', () => {
  let node: RunningNode;
  let person: Person;
  beforeAll(async () => {
    node = await (await makePlace('embedded')).start({ KEPT_BYTES_PER_CONNECTION_MAX: String(2 ** 30) });
    person = await register(node.url);
  });

  it.each<[what: string, payload: (n: number) => Json]>([
    ['the text of a document more than once', () => ({ query: `${STREAM} # ${long}` })],
    ['values of variables that the document does not declare', (n) => ({ query: STREAM, variables: { y: n + long } })],
    ['extensions', (n) => ({ query: STREAM, extensions: { y: n + long } })],
    ['document ids in a wrong form', (n) => ({ query: STREAM, documentId: [n + long] })],
  ])('does not contain %s', async (_what, payload) => {
    const count = 60;
    const { socket, answers } = await openSocket(node.url, { authorization: person.token });
    const subscribe = (id: number) =>
      socket.send(JSON.stringify({ type: 'subscribe', id: `${id}`, payload: payload(id) }));
    // One copy of the document is kept in the cache of documents.
    subscribe(0);
    await eventually('the first stream is live', () => answers.length === 1);
    await memory();
    const before = await memory();
    for (let id = 1; id <= count; id += 1) subscribe(id);
    await eventually('all streams are live', () => answers.length === count + 1);
    expect(answers).toEqual(answers.map(() => ({ type: 'next', code: 'CAUGHT_UP' })));
    // The messages have 12 MB.
    expect(await growth(before, 4)).toBeLessThan(4);
    expect(socket.readyState).toBe(socket.OPEN);
  });
});

describe('limits of WebSockets per user and address', () => {
  let node: RunningNode;
  beforeAll(async () => {
    node = await (await makePlace('embedded')).start({
      RATE_LIMITS: 'on',
      TRUSTED_PROXIES: 'loopback',
      KEPT_BYTES_PER_ADDRESS_MAX: '262144',
    });
  });
  async function open(address: string) {
    const socket = new WebSocket(socketUrl(node.url), 'graphql-transport-ws', {
      headers: { 'x-forwarded-for': address },
    });
    onTestFinished(() => socket.terminate());
    socket.on('error', () => {});
    await once(socket, 'open');
    socket.send('{"type":"connection_init"}');
    await once(socket, 'message');
    return socket;
  }

  it('limit incomplete frames from one address without affecting other addresses', async () => {
    const part = Buffer.concat([Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 3, 0, 0, 1, 2, 3, 4]), Buffer.alloc(100_000)]);
    const sockets: WebSocket[] = [];
    for (const _ of [1, 2, 3]) sockets.push(await open('192.0.2.1'));
    const other = await open('192.0.2.2');
    const closed = Promise.race(sockets.map((socket) => once(socket, 'close')));
    const began = performance.now();
    for (const socket of sockets) (socket as unknown as { _socket: NodeJS.WritableStream })._socket.write(part);
    expect([1006, 1013]).toContain((await closed)[0]);
    // A socket whose frame stays incomplete cannot answer pings either, and is closed for that after 12 seconds.
    expect(performance.now() - began).toBeLessThan(10_000);
    await eventually(
      'one socket is closed',
      () => sockets.filter(({ readyState }) => readyState === WebSocket.CLOSED).length === 1,
    );
    other.send('{"type":"ping"}');
    await once(other, 'message');
  });

  it('delay a client that sends many pings, but not other clients', async () => {
    const [flooding, other] = [await open('192.0.2.3'), await open('192.0.2.4')];
    let pongs = 0;
    flooding.on('message', () => {
      pongs += 1;
    });
    const count = 16_000;
    const began = performance.now();
    for (let n = 0; n < count; n += 1) flooding.send('{"type":"ping"}');
    await eventually('some are answered', () => pongs > 100);
    other.send('{"type":"ping"}');
    await once(other, 'message');
    expect(pongs).toBeLessThan(count);
    await eventually('all are answered', () => pongs === count);
    // The client gets a quarter of the time for pings of at least 0.05 ms each, after an initial quarter of a second.
    expect(performance.now() - began).toBeGreaterThan(500);
  });
});

describe('createMemoryLimits', () => {
  const [one, another] = [parse('{ a }'), parse('{ b }')];
  const max = 5_000;
  const memoryLimits = () =>
    createMemoryLimits({
      keptBytesPerConnectionMax: max,
      keptBytesPerPersonMax: 2 * max,
      keptBytesPerAddressMax: 3 * max,
    });

  it('limits the bytes of incomplete frames per network', () => {
    const { countPartialFrame } = memoryLimits();
    expect(countPartialFrame('n', 3 * max)).toBe(true);
    expect(countPartialFrame('n', 1)).toBe(false);
    expect(countPartialFrame('m', 1)).toBe(true);
    expect(countPartialFrame('n', -1)).toBe(true);
  });

  it('counts a document once, and the other data of each subscription each time', () => {
    const { reserve } = memoryLimits();
    const owner = { connection: {}, userId: 'a', network: 'n' };
    // A document of six tokens with its text is about 2,500 bytes, a subscription 1,000.
    const first = reserve(owner, { document: one, length: 0 });
    expect(first).toBeTypeOf('function');
    expect(reserve(owner, { document: another, length: 0 })).toBeUndefined();
    expect(reserve(owner, { document: one, length: 0 })).toBeTypeOf('function');
    expect(reserve(owner, { document: one, length: 1_000 })).toBeUndefined();
    first?.();
    first?.();
    expect(reserve(owner, { document: one, length: 0 })).toBeTypeOf('function');
  });

  it('limits the bytes per connection, per user and per network', () => {
    const { reserve } = memoryLimits();
    const text = { document: one, length: 1_500 };
    const ask = (userId: string | undefined, network: string) => reserve({ connection: {}, userId, network }, text);
    const first = [ask('a', 'n'), ask('a', 'n'), ask('a', 'n')];
    expect(ask('a', 'm')).toBeUndefined();
    expect(ask('b', 'n')).toBeTypeOf('function');
    expect(ask('b', 'n')).toBeTypeOf('function');
    expect(ask('c', 'n')).toBeUndefined();
    expect(ask(undefined, 'n')).toBeUndefined();
    expect(ask(undefined, 'm')).toBeTypeOf('function');
    for (const free of first) free?.();
    expect(ask('a', 'm')).toBeTypeOf('function');
  });
});

describe('createShares', () => {
  it('makes a key wait that has spent more than its share and its allowance at once', () => {
    const { spend } = createShares({ share: 0.25, atOnceMs: 100 });
    expect(spend('a', 99)).toBe(0);
    expect(spend('a', 10)).toBeGreaterThan(20);
    expect(spend('b', 10)).toBe(0);
    expect(createShares({ share: Number.POSITIVE_INFINITY, atOnceMs: 1 }).spend('a', 1e9)).toBe(0);
  });
});
