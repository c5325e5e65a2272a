import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { errorCodes } from '../../src/core/errors.js';
import { presence } from '../../src/domain/presence/presence.js';
import { sessionWatch } from '../../src/domain/session/session.authentication.js';
import { createRandom } from '../../src/seed/random.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually, type Json, type Person, register, socketUrl } from '../support/client.js';
import { makePlace, modes } from '../support/place.js';
import { MESSAGES } from '../support/talk.js';

/** The number of requests; that of sockets is half of it. Use FUZZ_ROUNDS=20000 for a long run. */
const ROUNDS = Number(process.env['FUZZ_ROUNDS'] ?? 300);
/** The seed. FUZZ_SEED repeats a failed run. */
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
/** The number of concurrent requests or sockets. */
const AT_ONCE = 10;

const expected: string[] = errorCodes.filter((code) => code !== 'INTERNAL_SERVER_ERROR');
/** Internal details that must not be revealed. */
const INSIDE = /node_modules|file:\/\/|\.[jt]s:\d+|\n\s+at |ECONN|SyntaxError|TypeError|RangeError|"http":/;
/** The close codes of docs/PROTOCOL.md that are not the server's fault. */
const closeCodes = [1000, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1013, 4400, 4401, 4403, 4409, 4429];

const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

describe.each(modes)('random bytes in %s mode', (mode) => {
  const random = createRandom(SEED);
  let node: RunningNode;
  let person: Person;
  beforeAll(async () => {
    node = await (await makePlace(mode)).start({ PRESENCE_GRACE: '10ms' });
    person = await register(node.url);
  });

  const int = (max: number) => Math.floor(random.between(0, max));
  const oneIn = (count: number) => int(count) === 0;

  const documents = [
    '{ __typename }',
    'query A { __typename } query B { serverInfo { version } }',
    'query ($n: Int!) { viewer { conversations(first: $n) { nodes { id } } } }',
    'query ($since: DateTime) { auditLog(filter: { since: $since }) { nodes { id } } }',
    'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }',
    'mutation { setAvailability(input: { availability: NONE }) { viewer { id } } }',
    'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }',
    'subscription { messages { type } }',
    MESSAGES,
    'fragment A on Query { ...A } { ...A }',
    '{',
    '',
    `{ viewer(x: ${deep(400)}) { id } }`,
    '{ serverInfo { version } } # \ud800 \u0000 \u202e',
    '"""',
  ];
  const values = () => [
    'null',
    'true',
    '1',
    '-1e400',
    '"x"',
    '"\\ud800"',
    '"\\u0000"',
    '[]',
    '{}',
    '{"n":"x","ids":[{}],"input":5,"since":"today"}',
    '{"n":1e99,"ids":"x","input":{"conversationId":"x","text":[],"more":1},"since":""}',
    '{"__proto__":{"x":1},"constructor":{"prototype":1},"toString":1}',
    '{"n":1,"n":2}',
    deep(10_000),
    `{"ids":${deep(5_000)},"input":${deep(5_000)}}`,
    JSON.stringify(documents[int(documents.length)]),
  ];
  const value = () => random.pick(values());

  /** The JSON of an operation, possibly with errors. */
  function operation(): string {
    const fields = [`"query":${oneIn(8) ? value() : JSON.stringify(random.pick(documents))}`];
    for (const name of ['variables', 'operationName', 'extensions', 'documentId', 'more', '__proto__']) {
      if (oneIn(name === 'variables' ? 2 : 5)) fields.push(`"${name}":${value()}`);
    }
    return `{${random.shuffled(fields).join(',')}}`;
  }

  /** Removes, repeats or replaces some bytes. */
  function broken(bytes: Buffer): Buffer {
    const at = int(bytes.length);
    const some = bytes.subarray(at, at + 1 + int(8));
    return Buffer.concat([
      bytes.subarray(0, at),
      random.pick([
        Buffer.alloc(0),
        Buffer.concat([some, some]),
        Buffer.from([int(256)]),
        Buffer.from([0xff, 0xc0, 0x80]),
      ]),
      bytes.subarray(at + some.length),
    ]);
  }

  function httpRequest(): Buffer {
    const body = Buffer.from(
      random.pick([operation(), operation(), operation(), `[${operation()}]`, value(), '', '{']),
    );
    const sent = oneIn(10) ? broken(Buffer.concat([body, Buffer.from('x')])) : body;
    const method = random.pick([
      'POST',
      'POST',
      'POST',
      'POST',
      'GET',
      'GET',
      'OPTIONS',
      'PUT',
      'HEAD',
      'DELETE',
      'PATCH',
      'TRACE',
      'M-SEARCH',
    ]);
    const inUrl = `query=${encodeURIComponent(random.pick(documents).replace('\ud800', ''))}&variables=${encodeURIComponent(value().slice(0, 3_000))}&operationName=${random.pick(['', 'A', 'x'])}`;
    const path = random.pick([
      '/graphql',
      '/graphql',
      '/graphql',
      `/graphql?${inUrl}`,
      '/graphql?query=%',
      '/graphql?variables=x',
      '/graphql?',
      '/graphql/',
      '//graphql',
      '*',
      'http://x/graphql',
      '/%00',
      '/graphql#x',
    ]);
    const headers = [
      `host: ${oneIn(8) ? random.pick(['a b', '', 'x/y', '[::1]:1', '%', 'a:99999', 'ä']) : 'localhost'}`,
      `content-type: ${oneIn(4) ? random.pick(['', 'text/plain', 'APPLICATION/JSON', 'application/json; charset=latin1', 'multipart/form-data; boundary=x', 'application/graphql', '/', ';;']) : 'application/json'}`,
      `accept: ${random.pick(['*/*', 'application/json', 'application/graphql-response+json', 'text/html', 'image/png', 'multipart/mixed', ';q=', 'text/event-stream;q=0', ','])}`,
      ...(oneIn(2)
        ? [
            `authorization: ${random.pick([`Bearer ${person.token}`, 'Bearer', 'Basic eDp5', `Bearer ${person.token}x`, '\u00e4'])}`,
          ]
        : []),
      ...(oneIn(2) ? ['graphql-require-preflight: 1'] : []),
      ...(oneIn(6)
        ? [
            random.pick([
              'origin: null',
              'origin: http://localhost:1',
              'x-forwarded-for: x, y',
              'expect: 100-continue',
              'cookie: a',
              'content-encoding: gzip',
              'x-request-id: <x>',
              'upgrade: websocket',
              'traceparent: 00-x',
            ]),
          ]
        : []),
      'connection: close',
      random.pick([
        `content-length: ${sent.length}`,
        `content-length: ${sent.length}`,
        `content-length: ${sent.length}`,
        `content-length: ${sent.length + 5}`,
        'content-length: -1',
        'content-length: 9999999',
        'transfer-encoding: chunked',
        '',
      ]),
    ].filter(Boolean);
    const whole = Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`), sent]);
    return oneIn(6) ? broken(whole) : whole;
  }

  /** Sends bytes, ends its side of the connection, and resolves with everything that is received. */
  function exchange(bytes: Buffer): Promise<string> {
    return new Promise((resolve) => {
      let text = '';
      const socket = connectTcp({ port: Number(new URL(node.url).port), host: '127.0.0.1' });
      socket.on('data', (data) => {
        text += data;
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(text));
      socket.setTimeout(10_000, () => socket.destroy(new Error('it did not end')));
      socket.end(bytes);
    });
  }

  const codesIn = (errors: Json): unknown[] => errors.map(({ extensions }: Json) => extensions?.code);

  /** What is wrong with a response; undefined if nothing is. */
  function faultOf(text: string): string | undefined {
    // The request was not HTTP, or the client did not wait for the response.
    if (text === '') return undefined;
    const [head = '', ...rest] = text.split('\r\n\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
    if (!(status >= 200 && status < 500) && status !== 100) return `status ${status}`;
    if (INSIDE.test(text.replace(/<html[\s\S]*/i, ''))) return 'it reveals internal details';
    if (status < 400 || !/content-type: application\/(graphql-response\+)?json/i.test(head)) {
      // Node's parser rejects invalid HTTP, and ws invalid WebSocket handshakes, with a status only.
      return status < 400 || !/x-request-id/i.test(head) ? undefined : 'refused without a body';
    }
    const body = rest.join('\r\n\r\n');
    const json = body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1);
    // The response to HEAD has no body.
    if (json === '' || /"status":/.test(json)) return undefined;
    const codes = codesIn(JSON.parse(json).errors);
    return codes.length > 0 && codes.every((code) => expected.includes(String(code))) ? undefined : `codes ${codes}`;
  }

  async function each(count: number, work: () => Promise<void>): Promise<void> {
    let left = count;
    const worker = async () => {
      while (left > 0) {
        left -= 1;
        await work();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  async function expectReleased() {
    const resources = () => ({
      sockets: node.openSockets(),
      groups: node.subscriptionGroups(),
      listeners: node.deps.feed.listeners,
      sessions: sessionWatch.of(node.deps).size,
      present: presence.of(node.deps).size.people,
    });
    const nothing = { sockets: 0, groups: 0, listeners: 0, sessions: 0, present: 0 };
    await eventually('all resources are released', () => JSON.stringify(resources()) === JSON.stringify(nothing)).catch(
      () => {},
    );
    expect(resources()).toEqual(nothing);
    expect((await person.ask('{ viewer { user { id } } }')).viewer.user.id).toBe(person.id);
  }

  it('as HTTP requests are rejected with a code, and all resources are released', {
    timeout: 60_000 + ROUNDS * 50,
  }, async () => {
    await each(ROUNDS, async () => {
      const bytes = httpRequest();
      const text = await exchange(bytes);
      const fault = faultOf(text);
      expect(fault, `FUZZ_SEED=${SEED}\n${String(bytes).slice(0, 2_000)}\n→ ${text.slice(0, 1_000)}`).toBeUndefined();
    });
    await expectReleased();
  });

  /** A WebSocket frame, possibly with errors. */
  function frame(payload: Buffer): Buffer {
    const opcode = oneIn(4) ? int(16) : 1;
    const first = (oneIn(8) ? 0 : 0x80) | (oneIn(20) ? 0x40 : 0) | opcode;
    const length = oneIn(15) ? payload.length + int(100) : payload.length;
    const masked = oneIn(15) ? 0 : 0x80;
    const head = length < 126 ? [first, masked | length] : [first, masked | 126, length >> 8, length & 0xff];
    return Buffer.concat([Buffer.from(head), Buffer.from(masked ? [0, 0, 0, 0] : []), payload]);
  }
  const id = () => random.pick(['"1"', '"1"', '"2"', '"__proto__"', '""', '1', 'null', `"${'x'.repeat(200)}"`]);
  const message = () =>
    random.pick([
      () => `{"type":"subscribe","id":${id()},"payload":${operation()}}`,
      () => `{"type":"subscribe","id":${id()},"payload":${operation()}}`,
      () => `{"type":"subscribe","id":${id()},"payload":${operation()}}`,
      () => `{"type":"complete","id":${id()}}`,
      () => `{"type":"ping","payload":${value()}}`,
      () => `{"type":${value()},"id":${id()}}`,
      () => value(),
    ])();

  it('as the payload of a ping are not returned if they are nested too deeply', async () => {
    const socket = new WebSocket(socketUrl(node.url), 'graphql-transport-ws');
    await once(socket, 'open');
    socket.send('{"type":"connection_init"}');
    expect(JSON.parse(String((await once(socket, 'message'))[0])).type).toBe('connection_ack');
    // Twice, to check that the connection remains open after the first one.
    for (const payload of [`{"a":${deep(100_000)}}`, '{"a":1}']) {
      socket.send(`{"type":"ping","payload":${payload}}`);
      const [answer] = await Promise.race([once(socket, 'message'), once(socket, 'close')]);
      expect(String(answer)).toBe(payload.length > 100 ? '{"type":"pong"}' : `{"type":"pong","payload":${payload}}`);
    }
    socket.close();
    await once(socket, 'close');
    await expectReleased();
  });

  it('as WebSocket frames are rejected with a code, and all resources are released', {
    timeout: 60_000 + ROUNDS * 50,
  }, async () => {
    await each(ROUNDS / 2, async () => {
      const socket = new WebSocket(socketUrl(node.url), 'graphql-transport-ws');
      socket.on('error', () => {});
      const received: string[] = [];
      socket.on('message', (data) => received.push(String(data)));
      const closed = new Promise<number>((resolve) => socket.once('close', resolve));
      await once(socket, 'open');
      const raw = (socket as unknown as { _socket: Socket })._socket;
      const sent: string[] = [];
      const sendRaw = (text: string, bytes = frame(Buffer.from(text))) => {
        sent.push(text.slice(0, 500));
        raw.write(oneIn(20) ? broken(bytes) : bytes);
      };
      const payload = oneIn(4) ? value() : `{"authorization":"${person.token}"}`;
      const init = `{"type":"connection_init","payload":${payload}}`;
      if (oneIn(10)) sendRaw(init);
      else socket.send(init);
      for (let count = int(6); count >= 0; count -= 1) sendRaw(message());
      if (oneIn(2)) socket.ping();
      // A pong shows that all earlier frames were read. A socket that receives none is terminated.
      socket.once('pong', () => socket.close());
      socket.ping();
      const cut = setTimeout(() => socket.terminate(), 300);
      const code = await closed;
      clearTimeout(cut);
      const story = `FUZZ_SEED=${SEED}\n${sent.join('\n')}\n→ ${code} ${received.join('\n').slice(0, 2_000)}`;
      expect(closeCodes, story).toContain(code);
      for (const text of received) {
        expect(text, story).not.toMatch(INSIDE);
        const { type, payload: answer } = JSON.parse(text);
        const errors = type === 'error' ? answer : (answer?.errors ?? []);
        if (type !== 'pong') for (const found of codesIn(errors)) expect(expected, story).toContain(found);
      }
    });
    await expectReleased();
  });
});
