import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { presence } from '../../src/domain/presence/presence.js';
import { sessionWatch } from '../../src/domain/session/session.authentication.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually, type Json, type Person, register } from '../support/client.js';
import { detailModes, makePlace } from '../support/place.js';
import { PRESENCE, TYPING } from '../support/presence.js';
import { createGroup, MESSAGES } from '../support/talk.js';

const SERVICE_KEY = 'a-service-key-of-the-backend-for-tests';
const VIEWER_STREAM = 'subscription { conversations { type } }';

/** Accept headers that do not allow an event stream. */
const withoutStreams = [
  'application/json',
  'APPLICATION/JSON; charset=UTF-8',
  // What Apollo's HttpLink sends for queries, and for subscriptions.
  'application/graphql-response+json,application/json;q=0.9',
  'multipart/mixed;boundary="graphql";subscriptionSpec="1.0",application/graphql-response+json,application/json;q=0.9',
  'multipart/mixed',
  'text/html',
  'text/event-stream;q=0,*/*',
  'text/event-streams',
  `application/json,${'x/y,'.repeat(200)}text/event-stream`,
];

describe.each(detailModes)('rejected requests in %s mode', (mode) => {
  let node: RunningNode;
  let url: string;
  let person: Person;
  let conversationId: string;

  beforeAll(async () => {
    const persisted = join(inject('scratch'), `${randomUUID()}.json`);
    writeFileSync(persisted, JSON.stringify({ messages: MESSAGES }));
    node = await (await makePlace(mode)).start({
      SERVICE_KEY,
      PRESENCE_GRACE: '10ms',
      PERSISTED_DOCUMENTS: persisted,
    });
    ({ url } = node);
    person = await register(url);
    conversationId = await createGroup(person, []);
    await untilReleased();
  });

  /** The resources that are in use for connected clients. */
  const resources = () => ({
    listeners: node.deps.feed.listeners,
    groups: node.subscriptionGroups(),
    sessions: sessionWatch.of(node.deps).size,
    present: presence.of(node.deps).size.people,
    watched: presence.of(node.deps).size.watched,
    sockets: node.openSockets(),
  });
  const nothing = { listeners: 0, groups: 0, sessions: 0, present: 0, watched: 0, sockets: 0 };
  async function untilReleased() {
    await eventually('all resources are released', () => JSON.stringify(resources()) === JSON.stringify(nothing)).catch(
      () => {},
    );
    expect(resources()).toEqual(nothing);
  }

  interface Asked {
    method?: string;
    path?: string;
    headers?: Record<string, string>;
    body?: string;
  }
  const ask = ({ method = 'POST', path = '', headers = {}, body }: Asked, token = person.token) =>
    fetch(url + path, {
      method,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
      ...(body === undefined ? {} : { body }),
    });
  /** Expects a response with this status, and a body with errors. */
  async function refused(answer: Response, status: number) {
    const body = await answer.text();
    expect([answer.status, body]).toEqual([status, expect.stringContaining('"errors"')]);
    const { errors } = JSON.parse(body) as { errors: { message: string; extensions: { code: string } }[] };
    for (const { message, extensions } of errors) expect([message, extensions.code]).not.toContain(undefined);
    expect(body).not.toMatch(/node_modules|\bat [\w.]+ \(|INTERNAL_SERVER_ERROR|"http"/);
  }
  const streams: [string, () => object][] = [
    ['all messages', () => ({ query: MESSAGES })],
    ['messages of a conversation', () => ({ query: MESSAGES, variables: { conversationId } })],
    ['conversations', () => ({ query: VIEWER_STREAM })],
    ['typing', () => ({ query: TYPING, variables: { conversationId } })],
    ['presence', () => ({ query: PRESENCE, variables: { userIds: [person.id] } })],
    ['a persisted document', () => ({ documentId: 'messages' })],
  ];

  describe.each(withoutStreams)('return 406 for a subscription with the Accept header %s', (accept) => {
    it('of a user, for each stream, with POST and GET', async () => {
      for (const [, body] of streams)
        await refused(await ask({ headers: { accept }, body: JSON.stringify(body()) }), 406);
      const path = `?query=${encodeURIComponent(VIEWER_STREAM)}`;
      const headers = { accept, 'graphql-require-preflight': '1' };
      // A GET that accepts HTML shows GraphiQL.
      if (accept !== 'text/html') await refused(await ask({ method: 'GET', path, headers }), 406);
      await untilReleased();
    });

    it('of the service key', async () => {
      await refused(await ask({ headers: { accept }, body: JSON.stringify({ query: MESSAGES }) }, SERVICE_KEY), 406);
      await untilReleased();
    });
  });

  it.each([
    undefined,
    '*/*',
    'text/*',
    'TEXT/Event-Stream; charset=UTF-8',
    'application/json, text/event-stream;q=0.5',
  ])(
    'do not include a subscription with the Accept header %s, whose event stream ends with its connection',
    async (accept) => {
      const abort = new AbortController();
      const answer = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'Application/JSON; charset="utf-8"',
          authorization: `Bearer ${person.token}`,
          ...(accept === undefined ? {} : { accept }),
        },
        body: JSON.stringify({ query: MESSAGES }),
        signal: abort.signal,
      });
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
      expect(resources()).toMatchObject({ listeners: 1, groups: 1, present: 1 });
      abort.abort();
      await untilReleased();
    },
  );

  const query = JSON.stringify({ query: MESSAGES });
  const sse = { accept: 'application/graphql-response+json, text/event-stream' };
  const asked = `query=${encodeURIComponent(MESSAGES)}`;
  const get = { method: 'GET', headers: { ...sse, 'graphql-require-preflight': '1' } };
  const others: [status: number, what: string, asked: Asked][] = [
    [
      406,
      'a query that accepts no supported media type',
      { headers: { accept: 'image/png' }, body: '{"query":"{ __typename }"}' },
    ],
    [415, 'a body of another media type', { headers: { ...sse, 'content-type': 'text/plain' }, body: query }],
    [
      415,
      'a body in another encoding',
      { headers: { ...sse, 'content-type': 'application/json;charset=utf-16' }, body: query },
    ],
    [
      415,
      'a body of a media type similar to JSON',
      { headers: { ...sse, 'content-type': 'application/ld+json' }, body: query },
    ],
    [
      415,
      'a body of an invalid media type',
      { headers: { ...sse, 'content-type': `${' '.repeat(9_000)}x` }, body: query },
    ],
    [415, 'a body without a media type', { headers: { ...sse, 'content-type': '' }, body: query }],
    [405, 'PUT', { method: 'PUT', headers: sse, body: query }],
    [405, 'DELETE', { method: 'DELETE', headers: sse, path: `?${asked}` }],
    [403, 'a GET that any page could send', { method: 'GET', headers: sse, path: `?${asked}` }],
    [413, 'a body that is too large', { headers: sse, body: query.padEnd(1_000_000) }],
    [400, 'no body', { headers: sse }],
    [400, 'a body that is not JSON', { headers: sse, body: query.slice(1) }],
    [
      400,
      'a body that is not JSON, from a client that accepts JSON',
      { headers: { accept: 'application/json' }, body: '{' },
    ],
    [400, 'a batch', { headers: sse, body: `[${query}]` }],
    [400, 'a string', { headers: sse, body: JSON.stringify(MESSAGES) }],
    [400, 'null', { headers: sse, body: 'null' }],
    [400, 'a query that is a number', { headers: sse, body: '{"query":1}' }],
    [400, 'variables that are a list', { headers: sse, body: JSON.stringify({ query: MESSAGES, variables: [] }) }],
    [400, 'variables that are a string', { headers: sse, body: JSON.stringify({ query: MESSAGES, variables: 'x' }) }],
    [400, 'extensions that are a string', { headers: sse, body: JSON.stringify({ query: MESSAGES, extensions: 'x' }) }],
    [400, 'an unknown operation', { headers: sse, body: JSON.stringify({ query: MESSAGES, operationName: 'No' }) }],
    [
      400,
      'an operation name that is not a string',
      { headers: sse, body: JSON.stringify({ query: MESSAGES, operationName: {} }) },
    ],
    [400, 'an unknown parameter', { headers: sse, body: JSON.stringify({ query: MESSAGES, more: 1 }) }],
    [400, 'a GET with variables that are not JSON', { ...get, path: `?${asked}&variables=x` }],
    [400, 'a GET with extensions that are not JSON', { ...get, path: `?${asked}&extensions=%7B` }],
    [400, 'a GET without a query', { ...get, path: '?variables=%7B%7D' }],
    [405, 'a GET of a mutation', { ...get, path: `?query=${encodeURIComponent('mutation { logout { sessionId } }')}` }],
  ];
  it.each(others)('return %i for %s, and release all resources', async (status, _what, request) => {
    await refused(await ask(request), status);
    await untilReleased();
  });

  it('return 400 for an invalid Host header, without details of the implementation', async () => {
    for (const host of ['a b', 'a/b', 'x@y', 'a:99999', '[::1', '%00', 'ä']) {
      const text = await raw([
        `POST /graphql HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\ncontent-type: application/json\r\n`,
        `authorization: Bearer ${person.token}\r\ncontent-length: ${query.length}\r\n\r\n${query}`,
      ]);
      expect(text, host).toMatch(/^HTTP\/1.1 400 .*"code":"BAD_USER_INPUT"/s);
      expect(text).not.toMatch(/node_modules| at /);
    }
    await untilReleased();
  });

  it('release all resources of pipelined streams when their connection breaks', async () => {
    const one = [
      'POST /graphql HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\ncontent-type: application/json\r\n',
      `authorization: Bearer ${person.token}\r\ncontent-length: ${query.length}\r\n\r\n${query}`,
    ].join('');
    const socket = connectTcp(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => {});
    socket.write(one.repeat(3));
    await eventually('all streams are open', () => resources().listeners === 3);
    socket.destroy();
    await untilReleased();
  });

  it('release all resources of a client that disconnects before the response', async () => {
    for (let ms = 0; ms < 10; ms += 1) {
      const abort = new AbortController();
      const answered = ask({ headers: sse, body: query }).catch(() => {});
      const gone = fetch(url, {
        method: 'POST',
        headers: { ...sse, 'content-type': 'application/json', authorization: `Bearer ${person.token}` },
        body: query,
        signal: abort.signal,
      }).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, ms));
      abort.abort();
      await gone;
      await ((await answered) as Response | undefined)?.body?.cancel();
    }
    await untilReleased();
  });

  /** Writes this to a new connection, and resolves with everything that is received until it is closed. */
  function raw(parts: string[]): Promise<Json> {
    return new Promise((resolve) => {
      let text = '';
      const socket = connectTcp(Number(new URL(url).port), '127.0.0.1');
      socket.on('data', (data) => {
        text += data;
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(text));
      socket.write(parts.join(''));
    });
  }
});
