import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { getIntrospectionQuery } from 'graphql';
import { type Client, createClient } from 'graphql-ws';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { graphiqlOptions } from '../../src/server/graphiql.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  connectInTest,
  eventually,
  type Json,
  listen,
  type Person,
  register,
  request,
  socketUrl,
} from '../support/client.js';
import { createUpload } from '../support/media.js';
import { anyMode, detailModes, makePlace, sharedNode, startTwo } from '../support/place.js';
import { openSse } from '../support/sse.js';
import { MESSAGES } from '../support/talk.js';

type Errors = { message: string; extensions: Json }[] | undefined;

/** Executes an operation and returns its errors, for each transport. */
const ways: Record<string, (url: string, query: string, variables?: Json, token?: string) => Promise<Errors>> = {
  HTTP: async (url, query, variables, token) => (await request(url, query, variables, token)).errors,
  async SSE(url, query, variables = {}, token) {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        accept: 'text/event-stream',
        'content-type': 'application/json',
        ...(token && { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ query, variables }),
    });
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const [, data = ''] = /data: ?(.+)/.exec(await response.text()) ?? [];
    return (JSON.parse(data) as { errors: Errors }).errors;
  },
  async WebSocket(url, query, variables = {}, token) {
    const client = connectInTest(url, token);
    try {
      for await (const { errors } of client.iterate({ query, variables })) return errors as Errors;
    } catch (error) {
      return error as Errors;
    }
    throw new Error('nothing was answered');
  },
};

const repeat = (count: number, text: string) => Array.from({ length: count }, () => text).join(' ');
const numbered = (count: number, text: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => text(index)).join(' ');
const deep = (levels: number): string => (levels <= 1 ? 'seq' : `lastMessage { conversation { ${deep(levels - 2)} } }`);
const page = (size: string) => `{ viewer { conversations(${size}) { nodes { id kind } } } }`;
const withVariable = (type: string) => `query ($n: Int${type}) ${page('first: $n')}`;

const SETTINGS = {
  OPERATION_TOKENS_MAX: '100',
  OPERATION_DEPTH_MAX: '5',
  OPERATION_ROOT_FIELDS_MAX: '4',
  OPERATION_ALIASES_MAX: '3',
  OPERATION_DIRECTIVES_MAX: '2',
  // A page of fifty nodes with two fields each, and two fields outside of it.
  OPERATION_COST_MAX: '172',
  OPERATION_STATEMENTS_MAX: '10',
  OPERATION_VALUES_MAX: '40',
  PAGE_DEFAULT: '50',
  SESSIONS_PER_PERSON_MAX: '50',
  PINS_MAX: '50',
  MENTIONS_MAX: '25',
  REACTION_EMOJIS_MAX: '12',
};

/** Each limit with operations below, at and above it, and a part of the error message. */
const sizes: [limit: string, at: (count: number) => [string, Json?], max: number, message: string][] = [
  ['tokens', (count) => [`{ serverInfo { ${repeat(count - 5, 'version')} } }`], 100, 'more that 100 tokens'],
  [
    'depth',
    (count) => [
      `{ viewer { conversations { nodes { ${count === 4 ? 'id' : count === 5 ? 'lastMessage { seq }' : 'lastMessage { sender { id } }'} } } } }`,
    ],
    5,
    'at most 5 levels of nested fields; this one has 6.',
  ],
  [
    'depth, by fragments',
    (count) => [
      `{ viewer { ...A } } fragment A on Viewer { conversations { ...B } }
       fragment B on ConversationConnection { nodes { ... on Conversation { ${count === 4 ? 'id' : count === 5 ? 'lastMessage { seq }' : 'lastMessage { sender { id } }'} } } }`,
    ],
    5,
    'at most 5 levels of nested fields; this one has 6.',
  ],
  [
    'root fields',
    (count) => [`{ ${repeat(count, 'serverInfo { version }')} }`],
    4,
    'at most 4 fields at the top level; this one has 5.',
  ],
  [
    'root fields, by fragments',
    (count) => [
      `{ ${repeat(count - 2, '__typename')} ...A } fragment A on Query { __typename ... { serverInfo { version } } }`,
    ],
    4,
    'at most 4 fields at the top level; this one has 5.',
  ],
  [
    'aliases',
    (count) => [`{ serverInfo { ${numbered(count, (index) => `a${index}: version`)} } }`],
    3,
    'at most 3 aliases; this one has 4.',
  ],
  [
    'directives',
    (count) => [`{ serverInfo { ${repeat(count, 'version @include(if: true)')} } }`],
    2,
    'at most 2 directives; this one has 3.',
  ],
  ['cost, by first', (count) => [page(`first: ${count}`)], 50, 'at most 172 cost points; this one has 175.'],
  [
    'cost, by last',
    (count) => [`{ conversation(id: "x") { messages(last: ${count}) { nodes { id seq kind } } } }`],
    37,
    'this one has 174',
  ],
  ['cost, by a variable', (count) => [withVariable(''), { n: count }], 50, 'this one has 175.'],
  [
    'cost, by the most sessions that there can be',
    (count) => [`{ viewer { sessions { id current deviceName } ${repeat(count - 151, 'id')} } }`],
    171,
    'this one has 173.',
  ],
  [
    'statements',
    (count) => [`{ viewer { ${repeat(count - 1, 'user { id }')} } }`],
    10,
    'at most 10 statements; this one has 11.',
  ],
  [
    'values of variables',
    (count) => [
      'query ($ids: [ID!]!) { nodes(ids: $ids) { __typename } }',
      { ids: Array.from({ length: count - 1 }, (_, index) => `a${index}`) },
    ],
    40,
    'at most 40 values in its variables.',
  ],
  ["cost, by a variable's default", (count) => [withVariable(` = ${count}`)], 50, 'this one has 175.'],
];

describe.each(detailModes)('limits in %s mode', (mode) => {
  let node: RunningNode;
  let second: RunningNode;
  let person: Person;

  beforeAll(async () => {
    [node, second] = await startTwo(await makePlace(mode), {
      ...SETTINGS,
      SOCKET_STREAMS_MAX: '2',
      RATE_LIMITS: 'on',
      SOCKETS_PER_PERSON_MAX: '2',
      SOCKETS_PER_ADDRESS_MAX: '3',
      STREAMS_PER_PERSON_MAX: '2',
      TRUSTED_PROXIES: 'loopback',
    });
    person = await register(node.url);
  });

  describe.each(Object.entries(ways))('of operations over %s', (_name, ask) => {
    it.each(sizes)('reject an operation above the limit: %s', async (_limit, at, max, message) => {
      for (const count of [max - 1, max]) {
        const [query, variables] = at(count);
        const errors = (await ask(node.url, query, variables)) ?? [];
        expect(errors.map((error) => error.message).filter((text) => /at most|more that/.test(text))).toEqual([]);
      }
      const [query, variables] = at(max + 1);
      const errors = await ask(node.url, query, variables);
      expect(errors?.map(({ extensions }) => extensions.code)).toEqual(['BAD_USER_INPUT']);
      expect(errors?.[0]?.message).toContain(message);
    });

    it('reject exponentially nested fragments without expanding them', async () => {
      const doubling = numbered(7, (index) => `fragment F${index} on Query { ...F${index + 1} ...F${index + 1} }`);
      const errors = await ask(node.url, `{ ...F0 } ${doubling} fragment F7 on Query { __typename }`);
      expect(errors?.[0]?.message).toBe('An operation can have at most 4 fields at the top level; this one has 128.');
    });

    it('reject recursive fragments', async () => {
      const errors = await ask(node.url, '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }');
      expect(errors?.[0]?.message).toMatch(/Cannot spread fragment/);
    });

    it('depend on the variables of each request with the same document', async () => {
      const sizesAsked = [50, 51, 1, 51];
      const answers = [];
      for (const n of sizesAsked) answers.push((await ask(node.url, withVariable(''), { n })) !== undefined);
      expect(answers).toEqual([false, true, false, true]);
    });
  });

  describe('of streams on one WebSocket', () => {
    it('allow SOCKET_STREAMS_MAX; another one is RATE_LIMITED and does not affect others or queries', async () => {
      const client = connectInTest(node.url, person.token);
      const streams = [1, 2].map(() => listen(client, MESSAGES));
      await Promise.all(streams.map(({ until }) => until(({ type }) => type === 'CAUGHT_UP')));
      const third = listen(client, MESSAGES);
      expect(await third.ended).toMatchObject([{ extensions: { code: 'RATE_LIMITED', retryAfterMs: 1_000 } }]);
      for await (const { data } of client.iterate({ query: '{ viewer { id } }' })) {
        expect(data).toMatchObject({ viewer: {} });
      }
      streams[0]?.cancel();
      await eventually('another one is accepted', async () => {
        const again = listen(client, MESSAGES);
        const begun = await Promise.race([
          again.until(({ type }) => type === 'CAUGHT_UP').catch(() => {}),
          again.ended,
        ]);
        return !Array.isArray(begun) && begun !== undefined;
      });
    });

    it('do not count streams that could not be opened', async () => {
      const client = connectInTest(node.url, person.token);
      for (const _each of [1, 2, 3, 4]) {
        const failed = listen(client, MESSAGES, { after: 'no cursor' });
        expect(await failed.ended).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
      }
      const stream = listen(client, MESSAGES);
      await stream.until(({ type }) => type === 'CAUGHT_UP');
    });
  });

  it('of WebSockets per user and node close another one with 1013', async () => {
    const alice = await register(node.url);
    const bob = await register(node.url);
    const opened = async (who: Person, url = node.url): Promise<Client | number> => {
      const client = from('192.0.2.10', url, who.token);
      return new Promise((resolve) => {
        client.on('connected', () => resolve(client));
        client.on('closed', (event) => resolve((event as CloseEvent).code));
      });
    };
    // All of them have the same address, whose limit is higher.
    const first = await opened(alice);
    expect(first).toBeTypeOf('object');
    expect(await opened(alice)).toBeTypeOf('object');
    expect(await opened(alice)).toBe(1013);
    expect(await opened(bob)).toBeTypeOf('object');
    if (second !== node) expect(await opened(alice, second.url)).toBeTypeOf('object');
    await (first as Client).dispose();
    await eventually('another one is accepted', async () => typeof (await opened(alice)) === 'object');
  });

  it('of WebSockets per address and node reject another one with 429', async () => {
    const opened = async (address: string, url = node.url): Promise<WebSocket | number> => {
      const socket = new WebSocket(socketUrl(url), 'graphql-transport-ws', { headers: { 'x-forwarded-for': address } });
      onTestFinished(() => socket.terminate());
      return new Promise((resolve) => {
        socket.on('open', () => resolve(socket));
        socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
        socket.on('error', () => {});
      });
    };
    const network = '2001:db8:1:1';
    const first = await opened(`${network}::1`);
    for (const host of [2, 3]) expect(await opened(`${network}::${host}`)).toBeTypeOf('object');
    expect(await opened(`${network}::4`)).toBe(429);
    expect(await opened('2001:db8:1:2::1')).toBeTypeOf('object');
    if (second !== node) expect(await opened(`${network}::4`, second.url)).toBeTypeOf('object');
    (first as WebSocket).terminate();
    await eventually('another one is accepted', async () => typeof (await opened(`${network}::5`)) === 'object');
  });

  it('of SSE streams per user and node reject another one with RATE_LIMITED', async () => {
    const alice = await register(node.url);
    const isLive = (stream: { results: Json[] }) =>
      eventually('the stream is live', () => stream.results.some(({ data }) => data?.messages.type === 'CAUGHT_UP'));
    const streams = [await openSse(node.url, alice.token), await openSse(node.url, alice.token)];
    await Promise.all(streams.map(isLive));
    const third = await openSse(node.url, alice.token);
    await third.ended;
    expect(third.results).toMatchObject([{ errors: [{ extensions: { code: 'RATE_LIMITED', retryAfterMs: 1_000 } }] }]);
    const others = [await openSse(node.url, person.token)];
    if (second !== node) others.push(await openSse(second.url, alice.token));
    await Promise.all(others.map(isLive));
    streams[0]?.cancel();
    await eventually('another one is accepted', async () => {
      const again = await openSse(node.url, alice.token);
      await eventually('the stream responds', () => again.results.length > 0);
      others.push(again);
      return !again.results[0].errors;
    });
    for (const stream of [...streams, ...others]) stream.cancel();
  });

  /** Connects a client from this address, through a trusted proxy. */
  function from(address: string, url: string, token: string): Client {
    class Proxied extends WebSocket {
      constructor(to: string, protocol: string) {
        super(to, protocol, { headers: { 'x-forwarded-for': address } });
      }
    }
    const client = createClient({
      url: socketUrl(url),
      webSocketImpl: Proxied,
      lazy: false,
      retryAttempts: 0,
      onNonLazyError: () => {},
      connectionParams: { authorization: token },
    });
    onTestFinished(async () => {
      await client.dispose();
    });
    return client;
  }
});

describe('the default limits', () => {
  let url: string;
  beforeAll(async () => {
    ({ url } = await sharedNode(anyMode));
  });

  it('allow introspection and the examples of GraphiQL', async () => {
    const { data, errors } = await request(
      url,
      getIntrospectionQuery({
        specifiedByUrl: true,
        inputValueDeprecation: true,
        schemaDescription: true,
        oneOf: true,
      }),
    );
    expect(errors).toBeUndefined();
    expect(data.__schema.types.length).toBeGreaterThan(50);
    for (const { query } of graphiqlOptions.defaultTabs ?? []) {
      const answer = await request(url, (query ?? '').replace(/subscription/g, 'query'), {});
      expect(JSON.stringify(answer.errors ?? [])).not.toMatch(/at most|more that/);
    }
  });

  it.each([
    ['10,000 levels', `{ ${deep(10_000)} }`],
    ['10,000 aliases', `{ ${numbered(10_000, (index) => `a${index}: __typename`)} }`],
    ['10,000 fields', `{ ${repeat(10_000, '__typename')} }`],
    [
      'fragments that are nested exponentially',
      `{ ...F0 } ${numbered(150, (index) => `fragment F${index} on Query { ...F${index + 1} ...F${index + 1} }`)} fragment F150 on Query { __typename }`,
    ],
    ['a page of pages', page('first: 100').replace('kind', 'messages(first: 100) { nodes { id seq } }')],
    [
      'deeply nested introspection',
      `{ __schema { types { ${numbered(1, () => 'fields { type { fields { type { fields { type { fields { name } } } } } } }')} } } }`,
    ],
  ])('reject an operation with %s', async (_what, query) => {
    for (const ask of Object.values(ways)) {
      const errors = await ask(url, query);
      expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    }
  });
});

describe('time limits of requests', () => {
  let node: RunningNode;
  let port: number;
  beforeAll(async () => {
    node = await (await makePlace(anyMode)).start({
      HEADERS_TIMEOUT: '1s',
      REQUEST_TIMEOUT: '2s',
      KEEP_ALIVE_TIMEOUT: '500ms',
      UPLOAD_BYTES_PER_SECOND_MIN: '20000',
    });
    port = Number(new URL(node.url).port);
  });

  /** Opens a TCP connection. `text` returns the received text, and `closed` resolves with how long it was open. */
  async function open() {
    const socket = connectTcp(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    const opened = performance.now();
    let text = '';
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('error', () => {});
    const closed = new Promise<number>((resolve) => socket.once('close', () => resolve(performance.now() - opened)));
    return { socket, closed, text: () => text };
  }
  const body = '{"query":"{ __typename }"}';
  const head = `POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n`;

  it.each([
    ['a client that sends nothing', ''],
    ['a client that never completes the headers', head],
    ['a client that never completes the body', `${head}\r\n${body.slice(0, 5)}`],
  ])('disconnect %s', async (_who, sent) => {
    const { socket, closed, text } = await open();
    if (sent) socket.write(sent);
    expect(await closed).toBeGreaterThan(500);
    if (sent) expect(text()).toMatch(/^HTTP\/1.1 408 /);
  });

  it('allow parts of files to take longer, unless they arrive too slowly', async () => {
    const person = await register(node.url, 'ada');
    const bytes = randomBytes(200_000);
    const { missingParts } = await createUpload(person, bytes);
    const head = `PUT ${missingParts[0].url} HTTP/1.1\r\nhost: x\r\ncontent-length: ${bytes.length}\r\n\r\n`;
    const [steady, stalled] = await Promise.all([open(), open()]);
    for (const { socket } of [steady, stalled]) socket.write(head);
    stalled.socket.write(bytes.subarray(0, 100));
    const began = performance.now();
    let sent = 0;
    // About 50,000 bytes per second.
    const timer = setInterval(() => {
      const next = Math.min(bytes.length, Math.round((performance.now() - began) * 50));
      steady.socket.write(bytes.subarray(sent, next));
      sent = next;
      if (sent === bytes.length) clearInterval(timer);
    }, 20);
    onTestFinished(() => clearInterval(timer));
    expect(await stalled.closed).toBeGreaterThan(2_000);
    expect(stalled.text()).toMatch(/^HTTP\/1.1 408 /);
    expect(sent).toBeLessThan(bytes.length);
    await eventually('the steady part is accepted', () => steady.text() !== '');
    expect(steady.text()).toMatch(/^HTTP\/1.1 204 /);
    expect(performance.now() - began).toBeGreaterThan(3_500);
  });

  it('disconnect a client that sends headers slowly', async () => {
    const { socket, closed } = await open();
    socket.write('POST /graphql HTTP/1.1\r\n');
    let count = 0;
    const trickle = setInterval(() => {
      count += 1;
      socket.write(`x-${count}: 1\r\n`);
    }, 50);
    await closed;
    clearInterval(trickle);
  });

  it('allow a slow request within the limits, and keep its connection open for KEEP_ALIVE_TIMEOUT', async () => {
    const { socket, closed, text } = await open();
    socket.write(head);
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.write('\r\n');
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.write(body);
    await eventually('the response arrives', () => text().includes('"__typename":"Query"'));
    expect(text()).toMatch(/^HTTP\/1.1 200 /);
    expect(text()).toMatch(/\r\nconnection: keep-alive\r\n/i);
    await closed;
  });

  it('do not apply to headers of more than 16 KiB, which are rejected immediately', async () => {
    const { socket, text } = await open();
    socket.write(`GET /health HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(17_000)}\r\n\r\n`);
    await eventually('the request is rejected', () => /^HTTP\/1.1 431 /.test(text()));
    const other = await open();
    other.socket.write(`GET /health HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(15_000)}\r\n\r\n`);
    await eventually('the response arrives', () => /^HTTP\/1.1 200 /.test(other.text()));
  });
});

it('new documents from one address are limited over every transport, but known ones are not', async () => {
  const node = await (await makePlace(anyMode)).start({
    RATE_LIMITS: 'on',
    RATE_UNKNOWN_DOCUMENT_PER_ADDRESS: '30/1h',
  });
  const known = '{ serverInfo { version } }';
  expect((await request(node.url, known)).data).toMatchObject({ serverInfo: {} });
  let refused: Errors;
  for (let count = 0; !refused && count < 40; count += 1) {
    refused = (await request(node.url, `{ serverInfo { version } } # ${count}`)).errors;
  }
  expect(refused?.[0]?.extensions).toEqual({ code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) });
  for (const ask of Object.values(ways)) {
    expect((await ask(node.url, '{ serverInfo { version } } # one more'))?.[0]?.extensions.code).toBe('RATE_LIMITED');
  }
  expect((await request(node.url, known)).data).toMatchObject({ serverInfo: {} });
});
