import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { RunningNode } from '../../src/server/start.js';
import {
  connectInTest,
  eventually,
  type Json,
  listen,
  type Person,
  register,
  registerAll,
  request,
  socketUrl,
} from '../support/client.js';
import { type LossyRedis, startLossyRedis } from '../support/lossy-redis.js';
import { type Scraped, scrape } from '../support/metrics.js';
import { footings, makePlace, servicesFound } from '../support/place.js';
import { openSse } from '../support/sse.js';
import { createGroup, MESSAGES, openDirect, send, trySend } from '../support/talk.js';

const TOKEN = 'a-token-of-the-tests-for-scraping-metrics';
const RECEIPTS = 'subscription { receipts { type } }';

const status = async (url: string, token?: string) =>
  (await fetch(url, token ? { headers: { authorization: `Bearer ${token}` } } : {})).status;

describe.each(footings)('/metrics on the %s footing', (footing) => {
  const place = makePlace(footing);
  let node: RunningNode;
  let alice: Person;
  let bob: Person;
  let carol: Person;
  let group: string;
  beforeAll(async () => {
    node = await (await place).start({ METRICS_PORT: '0', STREAM_QUEUE_MAX: '20', REPLAY_MAX: '5' });
    [alice, bob, carol] = await registerAll(node.url, 'alice', 'bob', 'carol');
    group = await createGroup(alice, [bob, carol]);
  });

  /** What a metric has grown by while something was done. */
  async function growth(work: () => Promise<unknown>) {
    const before = await scrape(node);
    await work();
    const after = await scrape(node);
    return (name: string, labels?: Record<string, string>) => after.value(name, labels) - before.value(name, labels);
  }
  /** Other tests' clients are gone, and what they were told is told. */
  const untilNobody = () =>
    eventually('nobody is connected', async () => {
      const seen = await scrape(node);
      return seen.value('parley_connections') + seen.value('parley_subscriptions') === 0;
    });

  it('counts connections, subscriptions and their groups, deliveries and answers', async () => {
    await untilNobody();
    const before = await scrape(node);
    const clients = [alice, bob, carol].map(({ token }) => connectInTest(node.url, token));
    const inGroup = await Promise.all(
      clients.map(async (client) => {
        const listening = listen(client, MESSAGES, { conversationId: group });
        await listening.until(({ type }) => type === 'CAUGHT_UP');
        return listening;
      }),
    );
    const all = listen(clients[0] as (typeof clients)[0], RECEIPTS, {}, 'receipts');
    await all.until(({ type }) => type === 'CAUGHT_UP');
    const sse = await openSse(node.url, bob.token);
    await eventually('it is live', () => sse.results.length > 0);

    const open = await scrape(node);
    expect(open.value('parley_connections', { transport: 'websocket' })).toBe(3);
    expect(open.value('parley_connections', { transport: 'sse' })).toBe(1);
    expect(open.value('parley_websocket_opened_total') - before.value('parley_websocket_opened_total')).toBe(3);
    expect(open.value('parley_subscriptions', { field: 'messages' })).toBe(4);
    expect(open.value('parley_subscriptions', { field: 'receipts' })).toBe(1);
    expect(open.value('parley_subscription_groups')).toBe(node.subscriptionGroups());
    expect(open.value('parley_feed_listeners')).toBe(5);
    expect(open.value('parley_presence_people')).toBe(3);

    for (let count = 0; count < 5; count += 1) await send(alice, group, `message ${count}`);
    const heard = (events: Json[]) => events.filter(({ type }) => type === 'SENT').length;
    await eventually('all have all', () => inGroup.every(({ events }) => heard(events) === 5));
    await eventually('over SSE too', () => heard(sse.results.map(({ data }) => data.messages)) === 5);
    // A CHECKPOINT may come at any moment: until as much was delivered as came.
    const came = () => [...inGroup, all].reduce((sum, { events }) => sum + events.length, 0);
    let after!: Scraped;
    await eventually('what was delivered is what came', async () => {
      after = await scrape(node);
      const delivered = (transport: string) =>
        after.value('parley_deliveries_total', { transport }) - before.value('parley_deliveries_total', { transport });
      return delivered('websocket') === came() && delivered('sse') === sse.results.length;
    });
    // One for everybody: of which conversations they are told changes nothing of what they are told.
    const answers =
      after.value('parley_subscription_answers_total') - before.value('parley_subscription_answers_total');
    expect(answers).toBeGreaterThanOrEqual(5);
    expect(answers).toBeLessThan(came() + sse.results.length);
    expect(after.count('parley_delivery_lag_seconds')).toBeGreaterThan(before.count('parley_delivery_lag_seconds'));
    expect(after.value('parley_outbox_waiting')).toBe(0);
    expect(after.value('parley_stream_queue_waiting')).toBe(0);

    sse.cancel();
    await Promise.all(clients.map((client) => client.dispose()));
    await untilNobody();
    const closed = (await scrape(node)).value('parley_websocket_closed_total', { code: '1000' });
    expect(closed - before.value('parley_websocket_closed_total', { code: '1000' })).toBe(3);
  });

  it('counts sends by what became of them', async () => {
    const outsider = await register(node.url, 'outsider');
    const grown = await growth(async () => {
      for (let count = 0; count < 3; count += 1) await send(alice, group, `to be counted ${count}`, `counted-${count}`);
      await send(alice, group, 'to be counted 0', 'counted-0');
      await trySend(alice, group, 'something else', 'counted-0');
      await trySend(outsider, group, 'let me in');
      await trySend(alice, group, '');
    });
    expect(grown('parley_sends_total', { outcome: 'stored' })).toBe(3);
    expect(grown('parley_sends_total', { outcome: 'repeated' })).toBe(1);
    expect(grown('parley_sends_total', { outcome: 'refused' })).toBe(2);
    expect(grown('parley_sends_total', { outcome: 'failed' })).toBe(0);
    const send_ = { type: 'mutation', field: 'sendMessage' };
    expect(grown('parley_graphql_operations_total', { ...send_, code: 'OK' })).toBe(4);
    expect(grown('parley_graphql_operations_total', { ...send_, code: 'CONFLICT' })).toBe(1);
    expect(grown('parley_graphql_operations_total', { ...send_, code: 'NOT_FOUND' })).toBe(1);
    expect(grown('parley_graphql_operations_total', { ...send_, code: 'BAD_USER_INPUT' })).toBe(1);
    expect(grown('parley_group_commit_calls_total', { queue: 'sends' })).toBeGreaterThanOrEqual(6);
  });

  it('counts errors by their code, over HTTP and WebSocket, and names nothing that clients made up', async () => {
    const client = connectInTest(node.url, alice.token);
    const overSocket = (query: string) =>
      new Promise<void>((resolve) => {
        client.subscribe({ query }, { next() {}, error: () => resolve(), complete: () => resolve() });
      });
    const grown = await growth(async () => {
      await request(node.url, '{ viewer { user { id } } }', {}, 'no.good.token');
      await request(node.url, 'query ANameOfMyOwn { made_up_field }');
      await request(node.url, '{');
      await overSocket('{ made_up_field }');
      await overSocket('subscription { messages(conversationId: "made up") { type } }');
      await fetch(node.url, { method: 'POST', body: 'text=made+up' });
      await fetch(node.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: ' '.repeat(300_000) }),
      });
      await fetch(new URL('/made-up-path', node.url));
    });
    expect(grown('parley_graphql_errors_total', { code: 'UNAUTHENTICATED' })).toBe(1);
    expect(grown('parley_graphql_errors_total', { code: 'PAYLOAD_TOO_LARGE' })).toBe(1);
    // What is no operation, thrice; no id; no JSON.
    expect(grown('parley_graphql_errors_total', { code: 'BAD_USER_INPUT' })).toBe(5);
    expect(grown('parley_graphql_errors_total', { code: 'INTERNAL_SERVER_ERROR' })).toBe(0);
    expect(grown('parley_http_requests_total', { path: 'other', status: '404' })).toBe(1);
    expect(grown('parley_http_requests_total', { path: '/graphql', status: '415', method: 'POST' })).toBe(1);
    const text = await (await fetch(node.metricsUrl ?? '')).text();
    expect(text).not.toMatch(/made|MyOwn/);
  });

  it('counts resumes, what they bring, and cursors that are too old', async () => {
    const client = connectInTest(node.url, bob.token);
    // Of a second ago it may be, and then bring what another test sent.
    let cursor = '';
    await eventually('a cursor that brings nothing', async () => {
      cursor = (await bob.ask('{ viewer { syncCursor } }')).viewer.syncCursor;
      const stream = listen(client, MESSAGES, { conversationId: group, after: cursor });
      await Promise.race([stream.ended, stream.until(({ type }) => type === 'CAUGHT_UP')]).catch(() => {});
      stream.cancel();
      return stream.events.length === 1;
    });
    const grown = await growth(async () => {
      for (let count = 0; count < 3; count += 1) await send(alice, group, `missed ${count}`);
      const again = listen(client, MESSAGES, { conversationId: group, after: cursor });
      await again.until(({ type }) => type === 'CAUGHT_UP');
      again.cancel();
      // More than REPLAY_MAX.
      for (let count = 0; count < 3; count += 1) await send(alice, group, `missed too ${count}`);
      const tooLate = await listen(client, MESSAGES, { conversationId: group, after: cursor }).ended;
      expect(tooLate).toMatchObject([{ extensions: { code: 'CURSOR_EXPIRED' } }]);
    });
    expect(grown('parley_resumes_total', { outcome: 'resumed' })).toBe(1);
    expect(grown('parley_resumes_total', { outcome: 'expired' })).toBe(1);
    expect(grown('parley_replayed_events_total')).toBe(3);
    expect(grown('parley_graphql_errors_total', { code: 'CURSOR_EXPIRED' })).toBe(1);
  });

  it('counts who was cut off for not reading', { timeout: 60_000 }, async () => {
    await untilNobody();
    const chat = await openDirect(alice, carol);
    const socket = new WebSocket(socketUrl(node.url), 'graphql-transport-ws');
    let live = false;
    socket.on('message', (data) => {
      live ||= JSON.parse(String(data)).type === 'next';
    });
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: carol.token } }));
    await once(socket, 'message');
    // Two streams over one socket: it is cut off once.
    for (const id of ['1', '2']) socket.send(JSON.stringify({ id, type: 'subscribe', payload: { query: MESSAGES } }));
    await eventually('it is live', () => live);
    const grown = await growth(async () => {
      socket.pause();
      const isCutOff = () => node.deps.feed.listeners === 0;
      for (let count = 0; count < 2_000 && !isCutOff(); count += 20) {
        await Promise.all(
          Array.from({ length: 20 }, (_, index) => send(alice, chat, `${'long '.repeat(1_500)}${index}`)),
        );
      }
      const closed = once(socket, 'close');
      socket.resume();
      expect((await closed)[0]).toBe(1013);
      await eventually('it is gone', () => node.openSockets() === 0);
    });
    expect(grown('parley_cut_offs_total', { transport: 'websocket' })).toBe(1);
  });

  it('counts mails', async () => {
    const grown = await growth(async () => {
      await request(
        node.url,
        `mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { __typename } }`,
        {
          input: { email: alice.email },
        },
      );
      await eventually(
        'it is sent',
        async () => (await scrape(node)).value('parley_mails_total', { outcome: 'sent' }) > 0,
      );
    });
    expect(grown('parley_mails_total', { outcome: 'sent' })).toBe(1);
    expect(grown('parley_mails_total', { outcome: 'failed' })).toBe(0);
  });

  it('tells of the database, and of Redis where there is one', async () => {
    const seen = await scrape(node);
    expect(seen.value('parley_database_up')).toBe(1);
    expect(seen.value('parley_database_ping_seconds')).toBeGreaterThan(0);
    expect(seen.count('parley_database_transaction_duration_seconds')).toBeGreaterThan(0);
    expect(seen.value('parley_info', { database: footing })).toBe(1);
    expect(seen.has('parley_redis_connected')).toBe(footing === 'postgresql');
    expect(seen.has('parley_database_waiting')).toBe(footing === 'postgresql');
    if (footing === 'embedded') return;
    expect(seen.value('parley_redis_connected')).toBe(1);
    expect(seen.value('parley_database_connections')).toBeGreaterThan(0);
  });

  it('tells of sweeps, and of the process', async () => {
    const grown = await growth(() => node.deps.feed.sweep());
    expect(grown('parley_feed_sweeps_total', { result: 'ok' })).toBeGreaterThanOrEqual(1);
    expect(grown('parley_feed_last_sweep_timestamp_seconds')).toBeGreaterThan(0);
    const seen = await scrape(node);
    expect(seen.value('process_resident_memory_bytes')).toBeGreaterThan(0);
    expect(seen.has('nodejs_eventloop_lag_seconds')).toBe(true);
  });
});

// Each starts a node.
describe('who gets metrics', { timeout: 60_000 }, () => {
  const place = makePlace('embedded');
  const here = (node: RunningNode) => new URL('/metrics', node.url).href;

  it('is nobody unless that is configured', async () => {
    const node = await (await place).start();
    expect(node.metricsUrl).toBeUndefined();
    expect(await status(here(node))).toBe(404);
    await node.stop();
  });

  it('is who has the token, on the port of all else', async () => {
    const node = await (await place).start({ METRICS_TOKEN: TOKEN });
    expect(node.metricsUrl).toBe(here(node));
    expect(await status(here(node))).toBe(401);
    expect(await status(here(node), `${TOKEN}x`)).toBe(401);
    expect(await status(here(node), TOKEN)).toBe(200);
    expect((await scrape(node, TOKEN)).value('parley_database_up')).toBe(1);
    await node.stop();
  });

  it('is who comes to a port of its own, which asks for the token if there is one', async () => {
    const node = await (await place).start({ METRICS_PORT: '0', METRICS_TOKEN: TOKEN });
    const url = node.metricsUrl ?? '';
    expect(new URL(url).port).not.toBe(new URL(node.url).port);
    expect(new URL(url).hostname).toBe('127.0.0.1');
    expect(await status(here(node), TOKEN)).toBe(404);
    expect(await status(url)).toBe(401);
    expect(await status(url, TOKEN)).toBe(200);
    expect(await status(new URL('/graphql', url).href, TOKEN)).toBe(404);
    await node.stop();
    await expect(fetch(url)).rejects.toThrow();
  });
});

describe.skipIf(!servicesFound)('/metrics of a node that hears nothing of Redis', () => {
  let lossy: LossyRedis;
  let deaf: RunningNode;
  let other: RunningNode;
  let losing = false;
  beforeAll(async () => {
    const { env, start } = await makePlace('postgresql');
    const redis = new URL(env['REDIS_URL'] ?? '');
    lossy = await startLossyRedis(Number(redis.port || 6379), () => losing);
    deaf = await start({ METRICS_PORT: '0', REDIS_URL: lossy.url });
    // It hears of what is sent at it; no sweep comes before that.
    other = await start({ METRICS_PORT: '0', SWEEP_INTERVAL: '1h' });
  });
  afterAll(() => lossy.close());

  it('counts the holes that it filled from the log, and the changes that these took', async () => {
    const [alice, bob] = await registerAll(other.url, 'alice', 'bob');
    const group = await createGroup(alice, [bob]);
    const client = connectInTest(deaf.url, bob.token);
    const listening = listen(client, MESSAGES, { conversationId: group });
    await listening.until(({ type }) => type === 'CAUGHT_UP');
    const there = listen(connectInTest(other.url, alice.token), MESSAGES);
    await there.until(({ type }) => type === 'CAUGHT_UP');
    await deaf.deps.feed.sweep();
    const before = await scrape(deaf);
    losing = true;
    const lostBefore = lossy.lost;
    for (let count = 0; count < 7; count += 1) await send(alice, group, `unheard ${count}`);
    await eventually('all came', () => listening.events.filter(({ type }) => type === 'SENT').length === 7);
    losing = false;
    expect(lossy.lost - lostBefore).toBeGreaterThanOrEqual(7);
    const after = await scrape(deaf);
    const grown = (name: string) => after.value(name) - before.value(name);
    expect(grown('parley_feed_filled_changes_total')).toBe(7);
    expect(grown('parley_feed_changes_total')).toBe(7);
    expect(grown('parley_feed_gap_fills_total')).toBeGreaterThanOrEqual(1);
    expect(grown('parley_feed_gap_fills_total')).toBeLessThanOrEqual(7);
    // The one where they were sent heard of them at once.
    const seen = await scrape(other);
    expect(seen.value('parley_feed_filled_changes_total')).toBe(0);
    expect(seen.value('parley_feed_changes_total')).toBeGreaterThanOrEqual(7);
  });
});
