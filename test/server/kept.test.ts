import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parse } from 'graphql';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { createKept } from '../../src/server/kept.js';
import { createShares } from '../../src/server/shares.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually, type Json, type Person, register, socketUrl } from '../support/client.js';
import { footings, makePlace } from '../support/place.js';

setFlagsFromString('--expose_gc');
const collect = runInNewContext('gc') as () => void;
/** Megabytes in use after what nobody holds is gone. */
async function memory(): Promise<number> {
  for (let round = 0; round < 3; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    collect();
  }
  return process.memoryUsage().heapUsed / 2 ** 20;
}

const long = 'x'.repeat(200_000);
const STREAM = 'subscription { messages { type } }';
const WITH_VARIABLE =
  'subscription ($x: String) { messages { type message { conversation { messages(first: 1, after: $x) { nodes { id } } } } } }';

describe.each(footings)('what a node keeps of what clients send, on the %s footing', (footing) => {
  let node: RunningNode;
  let person: Person;
  beforeAll(async () => {
    node = await (await makePlace(footing)).start();
    person = await register(node.url);
  });

  async function open(payload: Json = { authorization: person.token }) {
    const socket = new WebSocket(socketUrl(node.url), 'graphql-transport-ws');
    onTestFinished(() => socket.terminate());
    await once(socket, 'open');
    const answers: Json[] = [];
    socket.on('message', (data) => {
      const { type, payload: answer } = JSON.parse(String(data));
      answers.push({ type, code: answer?.[0]?.extensions?.code ?? answer?.data?.messages?.type });
    });
    socket.send(JSON.stringify({ type: 'connection_init', payload }));
    await eventually('it is let in', () => answers.length > 0);
    answers.length = 0;
    return { socket, answers };
  }

  it.each<[what: string, message: (n: number) => Json, refused: string, most: number]>([
    ['long ids', (n) => ({ id: n + long, payload: { query: STREAM } }), 'BAD_USER_INPUT', 0],
    ['long documents', (n) => ({ id: `${n}`, payload: { query: `${STREAM} # ${n} ${long}` } }), 'RATE_LIMITED', 10],
    [
      'long values',
      (n) => ({ id: `${n}`, payload: { query: WITH_VARIABLE, variables: { x: n + long } } }),
      'RATE_LIMITED',
      10,
    ],
    [
      'values of no variable',
      (n) => ({ id: `${n}`, payload: { query: STREAM, variables: { y: n + long } } }),
      'RATE_LIMITED',
      10,
    ],
    [
      'long extensions',
      (n) => ({ id: `${n}`, payload: { query: STREAM, extensions: { y: n + long } } }),
      'RATE_LIMITED',
      10,
    ],
  ])('%s do not fill its memory', async (_what, message, refused, most) => {
    const count = 60;
    const { socket, answers } = await open();
    // Once before it is measured.
    socket.send(JSON.stringify({ type: 'subscribe', id: 'first', payload: { query: STREAM } }));
    await eventually('it is live', () => answers.length === 1);
    answers.length = 0;
    const before = await memory();
    for (let n = 0; n < count; n += 1) socket.send(JSON.stringify({ type: 'subscribe', ...message(n) }));
    await eventually('all are answered', () => answers.length >= count);
    const codes = answers.map(({ code }) => code);
    expect(codes.filter((code) => code === 'CAUGHT_UP').length).toBeLessThanOrEqual(most);
    expect(codes.filter((code) => code === refused).length).toBeGreaterThanOrEqual(count - most);
    // Its documents are remembered within a bound of their own.
    expect((await memory()) - before).toBeLessThan(refused === 'RATE_LIMITED' ? 20 : 3);
    socket.terminate();
    await eventually('nothing is left', () => node.subscriptionGroups() === 0);
    // What was let go of can be kept again.
    const again = await open();
    again.socket.send(JSON.stringify({ type: 'subscribe', ...message(0), id: 'again' }));
    await eventually('it is live', () => again.answers.some(({ code }) => code === 'CAUGHT_UP'));
  });

  it('nor do payloads of connection_init, of who has not signed in', async () => {
    await open({});
    const before = await memory();
    const all = await Promise.all(Array.from({ length: 60 }, (_, n) => open({ filler: n + long, authorization: '' })));
    expect((await memory()) - before).toBeLessThan(5);
    for (const { socket } of all) expect(socket.readyState).toBe(socket.OPEN);
  });

  it('takes an id of 128 bytes, and says by 4409 that one is in use', async () => {
    const { socket, answers } = await open();
    for (let time = 0; time < 2; time += 1) {
      socket.send(JSON.stringify({ type: 'subscribe', id: 'ä'.repeat(64), payload: { query: STREAM } }));
      if (time === 0) await eventually('it is live', () => answers.length === 1);
    }
    expect((await once(socket, 'close'))[0]).toBe(4409);
  });
});

describe('with limits for people and addresses', () => {
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

  it('frames that come in part from one address are bounded, and hurt no other', async () => {
    const part = Buffer.concat([Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 3, 0, 0, 1, 2, 3, 4]), Buffer.alloc(100_000)]);
    const sockets: WebSocket[] = [];
    for (const _ of [1, 2, 3]) sockets.push(await open('192.0.2.1'));
    const other = await open('192.0.2.2');
    const closed = Promise.race(sockets.map((socket) => once(socket, 'close')));
    for (const socket of sockets) (socket as unknown as { _socket: NodeJS.WritableStream })._socket.write(part);
    expect([1006, 1013]).toContain((await closed)[0]);
    await eventually(
      'one is closed',
      () => sockets.filter(({ readyState }) => readyState === WebSocket.CLOSED).length === 1,
    );
    other.send('{"type":"ping"}');
    await once(other, 'message');
  });

  it('who floods a socket with pings is held back, but answered, and others do not wait for it', async () => {
    const [flooding, other] = [await open('192.0.2.3'), await open('192.0.2.4')];
    let pongs = 0;
    flooding.on('message', () => {
      pongs += 1;
    });
    const count = 8_000;
    const began = performance.now();
    for (let n = 0; n < count; n += 1) flooding.send('{"type":"ping"}');
    await eventually('some are answered', () => pongs > 100);
    other.send('{"type":"ping"}');
    await once(other, 'message');
    expect(pongs).toBeLessThan(count);
    await eventually('all are answered', () => pongs === count);
    // A quarter of the time, at 0.05 ms each at the least, after a quarter of a second at once.
    expect(performance.now() - began).toBeGreaterThan(500);
  });
});

describe('the accounts of what is kept', () => {
  const [one, another] = [parse('{ a }'), parse('{ b }')];
  const max = 5_000;
  const kept = () =>
    createKept({ keptBytesPerConnectionMax: max, keptBytesPerPersonMax: 2 * max, keptBytesPerAddressMax: 3 * max });

  it('have a document once, and what goes with each subscription each time', () => {
    const { keep } = kept();
    const keeper = { connection: {}, userId: 'a', network: 'n' };
    // A document of six tokens with its text is about 2,500 bytes, a subscription 1,000.
    const first = keep(keeper, { document: one, length: 0 });
    expect(first).toBeTypeOf('function');
    expect(keep(keeper, { document: another, length: 0 })).toBeUndefined();
    expect(keep(keeper, { document: one, length: 0 })).toBeTypeOf('function');
    expect(keep(keeper, { document: one, length: 1_000 })).toBeUndefined();
    first?.();
    first?.();
    expect(keep(keeper, { document: one, length: 0 })).toBeTypeOf('function');
  });

  it('are of a connection, of a person, and of an address', () => {
    const { keep } = kept();
    const text = { document: one, length: 1_500 };
    const ask = (userId: string | undefined, network: string) => keep({ connection: {}, userId, network }, text);
    const first = [ask('a', 'n'), ask('a', 'n'), ask('a', 'n')];
    expect(ask('a', 'm')).toBeUndefined();
    expect(ask('b', 'n')).toBeTypeOf('function');
    expect(ask('b', 'n')).toBeTypeOf('function');
    expect(ask('c', 'n')).toBeUndefined();
    expect(ask(undefined, 'n')).toBeUndefined();
    expect(ask(undefined, 'm')).toBeTypeOf('function');
    for (const letGo of first) letGo?.();
    expect(ask('a', 'm')).toBeTypeOf('function');
  });

  it('and time is divided: what is taken at once is waited for', () => {
    const { spend } = createShares({ share: 0.25, atOnceMs: 100 });
    expect(spend('a', 99)).toBe(0);
    expect(spend('a', 10)).toBeGreaterThan(20);
    expect(spend('b', 10)).toBe(0);
    expect(createShares({ share: Number.POSITIVE_INFINITY, atOnceMs: 1 }).spend('a', 1e9)).toBe(0);
  });
});
