import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { type Answer, connectInTest, type Json, type Person, register, request } from '../support/client.js';
import { anyMode, detailModes, makePlace } from '../support/place.js';
import { statementsOf } from '../support/statements.js';

describe.each(detailModes)('HTTP in %s mode', (mode) => {
  let node: RunningNode;
  let url: string;
  let person: Person;
  beforeAll(async () => {
    node = await (await makePlace(mode)).start({
      BODY_MAX_BYTES: '4096',
      ENCRYPTION: 'off',
      ALLOWED_ORIGINS: 'https://chat.example.com',
      WEB: 'off',
    });
    ({ url } = node);
    person = await register(url);
  });
  const get = (path: string, init?: RequestInit) =>
    fetch(url.replace('/graphql', path), { redirect: 'manual', ...init });
  const post = (headers: Record<string, string> = {}, body = '{"query":"{ __typename }"}') =>
    fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });

  it('serves /health, /ready and /, and responds with 404 to other paths', async () => {
    const [health, ready, root, nothing] = await Promise.all([
      get('/health'),
      get('/ready'),
      get('/'),
      get('/nothing'),
    ]);
    expect([health.status, await health.json()]).toEqual([200, { status: 'ok' }]);
    expect([ready.status, await ready.json()]).toEqual([
      200,
      { status: 'ready', database: 'ok', events: 'ok', sweep: 'ok', sweepAgeMs: expect.any(Number) },
    ]);
    expect([root.status, root.headers.get('location')]).toEqual([302, '/graphql']);
    expect(nothing.status).toBe(404);
    expect((await get('//')).status).toBe(404);
  });

  it('/ready checks the database once for all requests at the same time', async () => {
    const { check } = node.deps.database;
    const statements = await statementsOf(node, async () => {
      expect(await Promise.all([check(), check(), check()])).toEqual(['ok', 'ok', 'ok']);
    });
    expect(statements.filter((text) => text.includes('transaction_read_only'))).toHaveLength(1);
  });

  it("adds a request id to every response, which is the client's own if it is valid", async () => {
    expect((await post()).headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect((await post({ 'x-request-id': 'mine:1' })).headers.get('x-request-id')).toBe('mine:1');
    expect((await post({ 'x-request-id': 'not "mine"' })).headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('shows GraphiQL to browsers, without code of other origins', async () => {
    const page = await (await get('/graphql', { headers: { accept: 'text/html' } })).text();
    expect(page).toContain('Parley');
    expect(page).not.toMatch(/<(script|link)[^>]+(src|href)="https?:/);
  });

  it.each([
    ['a syntax error', { query: '{ viewer ' }],
    ['an unknown field', { query: '{ nothing }' }],
    [
      'a variable of the wrong type',
      { query: 'query ($n: Int!) { viewer { conversations(first: $n) { nodes { id } } } }', variables: { n: 'x' } },
    ],
    ['an unknown operation name', { query: 'query A { __typename }', operationName: 'B' }],
  ])('returns BAD_USER_INPUT for %s', async (_what, body) => {
    const answer = (await (await post({}, JSON.stringify(body))).json()) as {
      errors: { extensions: { code: string } }[];
    };
    expect(answer.errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });

  it('masks unexpected errors with an id that the log contains as well', async () => {
    const { db } = node.deps.database;
    const lines: { errorId?: string; err?: { message: string } }[] = [];
    const { log } = node.deps;
    const { error } = log;
    const { findUnique } = db.user;
    log.error = ((line: object) => lines.push(line)) as never;
    db.user.findUnique = (() => Promise.reject(new Error('the secret of the house'))) as never;
    try {
      const { errors, data } = await person.request(
        'query ($id: ID!) { serverInfo { version } user(id: $id) { id } }',
        {
          id: person.id,
        },
      );
      expect(JSON.stringify(errors)).not.toContain('secret');
      expect(errors?.[0]?.extensions).toEqual({ code: 'INTERNAL_SERVER_ERROR', errorId: expect.any(String) });
      expect(data).toMatchObject({ serverInfo: {}, user: null });
      const logged = lines.find(({ errorId }) => errorId === errors?.[0]?.extensions.errorId);
      expect(logged?.err?.message).toBe('the secret of the house');
    } finally {
      log.error = error;
      db.user.findUnique = findUnique;
    }
  });

  it('returns the results of other mutations if one fails', async () => {
    const { data, errors } = await person.request(
      `mutation ($id: ID!) {
        fine: createGroup(input: { title: "Fine" }) { conversation { title } }
        wrong: openDirectConversation(input: { userId: $id }) { conversation { id } }
      }`,
      { id: person.id },
    );
    expect(data).toEqual({ fine: { conversation: { title: 'Fine' } }, wrong: null });
    expect(errors).toHaveLength(1);
  });

  it('accepts bodies up to the limit, also without a Content-Length', async () => {
    const ofSize = (bytes: number) => `${'{"query":"{ __typename }"}'.padEnd(bytes - 1)}\n`;
    const inChunks = (body: string) => ({
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      duplex: 'half' as const,
      body: new ReadableStream({
        start(controller) {
          for (let at = 0; at < body.length; at += 1_000) {
            controller.enqueue(new TextEncoder().encode(body.slice(at, at + 1_000)));
          }
          controller.close();
        },
      }),
    });
    for (const send of [(body: string) => post({}, body), (body: string) => fetch(url, inChunks(body))]) {
      expect(await (await send(ofSize(4_096))).json()).toEqual({ data: { __typename: 'Query' } });
      for (const bytes of [4_097, 50_000]) {
        const answer = await send(ofSize(bytes));
        const { errors } = (await answer.json()) as { errors: { extensions: object }[] };
        expect([answer.status, errors[0]?.extensions]).toEqual([413, { code: 'PAYLOAD_TOO_LARGE' }]);
      }
    }
  });

  it('allows pages of configured origins, and of localhost outside production, and no others', async () => {
    const allowed = async (origin: string) => (await post({ origin })).headers.get('access-control-allow-origin');
    expect(await allowed('https://chat.example.com')).toBe('https://chat.example.com');
    expect(await allowed('http://localhost:5173')).toBe('http://localhost:5173');
    expect(await allowed('https://evil.example.com')).toBeNull();
    expect(await allowed('https://chat.example.com.evil.com')).toBeNull();
    expect(await allowed('null')).toBeNull();
    const preflight = await fetch(url, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://chat.example.com',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,authorization',
      },
    });
    expect(preflight.headers.get('access-control-allow-origin')).toBe('https://chat.example.com');
    expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization');
    expect(preflight.headers.get('access-control-allow-credentials')).not.toBe('true');
  });

  it('lets only pages of allowed origins read the errors of rejected requests', async () => {
    const refused = async (origin: string) => {
      const answer = await fetch(url, { method: 'POST', headers: { origin, 'content-type': 'text/plain' }, body: 'x' });
      expect(answer.status).toBe(415);
      return answer.headers.get('access-control-allow-origin');
    };
    expect(await refused('https://chat.example.com')).toBe('https://chat.example.com');
    expect(await refused('https://evil.example.com')).toBeNull();
  });

  describe('GET requests, which any page can send', () => {
    const asked = '/graphql?query={__typename}';
    it.each([
      'x-graphql-yoga-csrf',
      'apollo-require-preflight',
      'graphql-require-preflight',
      'x-apollo-operation-name',
    ])('are accepted with %s, which pages cannot send without a CORS preflight', async (name) => {
      const answer = await get(asked, { headers: { [name]: 'any' } });
      expect([answer.status, await answer.json()]).toEqual([200, { data: { __typename: 'Query' } }]);
      const preflight = await fetch(url, {
        method: 'OPTIONS',
        headers: {
          origin: 'https://chat.example.com',
          'access-control-request-method': 'GET',
          'access-control-request-headers': name,
        },
      });
      expect(preflight.headers.get('access-control-allow-headers')).toContain(name);
    });

    it('are rejected without such a header, also for event streams', async () => {
      for (const headers of [{}, { accept: 'text/event-stream' }, { accept: 'application/json', 'x-other': '1' }]) {
        const answer = await get(asked, { headers });
        expect(answer.status).toBe(403);
        const { errors } = (await answer.json()) as { errors: { extensions: object }[] };
        expect(errors[0]?.extensions).toEqual({ code: 'FORBIDDEN' });
      }
    });

    it('cannot execute mutations', async () => {
      const answer = await get('/graphql?query=mutation{updateProfile(input:{bio:"x"}){viewer{id}}}', {
        headers: { 'apollo-require-preflight': '1', authorization: `Bearer ${person.token}` },
      });
      expect(answer.status).toBe(405);
      expect((await person.ask('{ viewer { user { bio } } }')).viewer.user.bio).toBeNull();
    });
  });

  it('sends security headers that prevent scripts, framing and caching, except for the scripts of GraphiQL', async () => {
    const answers = await Promise.all([post(), get('/health'), get('/nothing'), get('/graphql?query={x}')]);
    for (const { headers } of answers) {
      expect(Object.fromEntries(headers)).toMatchObject({
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
        'cross-origin-opener-policy': 'same-origin',
        'cache-control': 'no-store',
      });
      expect(headers.has('strict-transport-security')).toBe(false);
    }
    const page = await get('/graphql', { headers: { accept: 'text/html' } });
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/script-src 'sha256-[^']+' blob:/);
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/script-src[^;]*unsafe/);
  });

  it('allows introspection, and suggests similar names', async () => {
    const { errors } = await request(url, '{ viewr { id } }');
    expect(errors?.[0]?.message).toContain('Did you mean "viewer"');
    expect((await request(url, '{ __type(name: "Message") { name } }')).data.__type.name).toBe('Message');
  });

  it('rejects forms and batches', async () => {
    const form = new FormData();
    form.set('operations', '{"query":"{ __typename }"}');
    expect((await fetch(url, { method: 'POST', body: form })).status).toBe(415);
    const typed = (type: string, body: string) => post({ 'content-type': type }, body).then(({ status }) => status);
    expect(await typed('application/x-www-form-urlencoded', 'query={__typename}')).toBe(415);
    expect(await typed('text/plain', '{"query":"{ __typename }"}')).toBe(415);
    expect(await typed('application/json; charset=utf-8', '{"query":"{ __typename }"}')).toBe(200);
    expect((await post({}, '[{"query":"{ __typename }"}]')).status).toBe(400);
  });
});

describe('HTTP in production', () => {
  it('reveals nothing of the schema over any transport', async () => {
    const place = await makePlace(anyMode);
    const node = await place.start({ NODE_ENV: 'production', JWT_SECRET: 'x'.repeat(32), HSTS: '365d' });
    const overSocket = async (query: string, variables: Json) => {
      try {
        for await (const { errors } of connectInTest(node.url).iterate({ query, variables })) return errors;
      } catch (errors) {
        return errors as Answer['errors'];
      }
      return undefined;
    };
    for (const query of ['{ __schema { queryType { name } } }', '{ __type(name: "Message") { name } }']) {
      expect((await request(node.url, query)).errors?.[0]?.message).toMatch(/introspection/i);
      expect((await overSocket(query, {}))?.[0]?.message).toMatch(/introspection/i);
    }
    for (const [query, variables] of [
      ['{ viewr { id } }', {}],
      ['{ viewer { usr { id } } }', {}],
      ['{ node(ide: "x") { id } }', {}],
      ['query ($n: Itn) { __typename }', {}],
      ['mutation { setAvailability(input: { availability: ONLIN }) { viewer { id } } }', {}],
      [
        'mutation ($input: SetAvailabilityInput!) { setAvailability(input: $input) { viewer { id } } }',
        { input: { availability: 'ONLIN' } },
      ],
      ['mutation ($input: LoginInput!) { login(input: $input) { viewer { id } } }', { input: { passwrd: 'x' } }],
    ] as [string, Json][]) {
      for (const errors of [(await request(node.url, query, variables)).errors, await overSocket(query, variables)]) {
        expect(errors?.length, query).toBeGreaterThan(0);
        expect(JSON.stringify(errors)).not.toContain('Did you mean');
      }
    }
    expect((await request(node.url, '{ __typename }')).data).toEqual({ __typename: 'Query' });
    const { headers } = await fetch(node.url.replace('/graphql', '/health'));
    expect(headers.get('strict-transport-security')).toBe('max-age=31536000; includeSubDomains');
  });

  it('serves no GraphiQL, and does not allow origins of localhost', async () => {
    const node = await (await makePlace(anyMode)).start({
      NODE_ENV: 'production',
      JWT_SECRET: 'x'.repeat(32),
      WEB: 'off',
    });
    const page = await fetch(node.url, { headers: { accept: 'text/html' } });
    expect(await page.text()).not.toMatch(/graphiql|<script/i);
    const answer = await fetch(node.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: 'http://localhost:3000' },
      body: '{"query":"{ __typename }"}',
    });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    expect((await fetch(node.url.replace('/graphql', '/'), { redirect: 'manual' })).status).toBe(404);
    expect((await request(node.url, '{ __typename }')).data).toEqual({ __typename: 'Query' });
  });
});
