import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
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
import { anyMode, inOneMode, makePlace, modes, servicesFound } from '../support/place.js';
import { openSse } from '../support/sse.js';
import { createGroup, MESSAGES, openDirect, send, trySend } from '../support/talk.js';

const TOKEN = 'a-token-of-the-tests-for-scraping-metrics';
const RECEIPTS = 'subscription { receipts { type } }';

/**
 * Messages with their text repeated, so that few of them fill the buffers of a connection. That must take less time than
 * the server waits for the answer to a ping, which a client that does not read cannot send.
 */
const LARGE_MESSAGES = `subscription {
  messages { type message { ${Array.from({ length: 20 }, (_, index) => `text${index}: text`).join(' ')} } }
}`;

const status = async (url: string, token?: string) =>
  (await fetch(url, token ? { headers: { authorization: `Bearer ${token}` } } : {})).status;

describe.each(modes)('/metrics in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  const place = makePlace(mode);
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

  /** Returns by how much metrics have increased during `work`. */
  async function growth(work: () => Promise<unknown>) {
    const before = await scrape(node);
    await work();
    const after = await scrape(node);
    return (name: string, labels?: Record<string, string>) => after.value(name, labels) - before.value(name, labels);
  }
  /** Waits until the clients of other tests have disconnected. */
  const untilDisconnected = () =>
    eventually('nobody is connected', async () => {
      const seen = await scrape(node);
      return seen.value('parley_connections') + seen.value('parley_subscriptions') === 0;
    });

  itOnce('counts connections, subscriptions and their groups, deliveries and responses', async () => {
    await untilDisconnected();
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
    await eventually('the stream is live', () => sse.results.length > 0);

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
    const sentIn = (events: Json[]) => events.filter(({ type }) => type === 'SENT').length;
    await eventually('all messages are delivered', () => inGroup.every(({ events }) => sentIn(events) === 5));
    await eventually(
      'all messages are delivered over SSE',
      () => sentIn(sse.results.map(({ data }) => data.messages)) === 5,
    );
    // Waits until both numbers are equal, because a CHECKPOINT can be delivered at any time.
    const received = () => [...inGroup, all].reduce((sum, { events }) => sum + events.length, 0);
    let after!: Scraped;
    await eventually('all delivered events are received', async () => {
      after = await scrape(node);
      const delivered = (transport: string) =>
        after.value('parley_deliveries_total', { transport }) - before.value('parley_deliveries_total', { transport });
      return delivered('websocket') === received() && delivered('sse') === sse.results.length;
    });
    // Responses are shared by all subscribers, whichever conversations they subscribed to.
    const answers =
      after.value('parley_subscription_answers_total') - before.value('parley_subscription_answers_total');
    expect(answers).toBeGreaterThanOrEqual(5);
    expect(answers).toBeLessThan(received() + sse.results.length);
    expect(after.count('parley_delivery_lag_seconds')).toBeGreaterThan(before.count('parley_delivery_lag_seconds'));
    expect(after.value('parley_outbox_waiting')).toBe(0);
    expect(after.value('parley_stream_queue_waiting')).toBe(0);

    sse.cancel();
    await Promise.all(clients.map((client) => client.dispose()));
    await untilDisconnected();
    const closed = (await scrape(node)).value('parley_websocket_closed_total', { code: '1000' });
    expect(closed - before.value('parley_websocket_closed_total', { code: '1000' })).toBe(3);
  });

  it('counts sends by their outcome', async () => {
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

  itOnce('counts errors by their code, over HTTP and WebSocket, without labels that clients choose', async () => {
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
      const post = (body: string) =>
        fetch(node.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      await post(JSON.stringify({ query: ' '.repeat(1_000_000) }));
      await post('{"query":');
      await post(JSON.stringify({ documentId: 'made up' }));
      await post(JSON.stringify({ query: '{ __typename }', madeUp: true }));
      await fetch(new URL('/made-up-path', node.url));
    });
    expect(grown('parley_graphql_errors_total', { code: 'UNAUTHENTICATED' })).toBe(1);
    expect(grown('parley_graphql_errors_total', { code: 'PAYLOAD_TOO_LARGE' })).toBe(1);
    // Three invalid documents, an invalid id, a form, invalid JSON, an unknown document and an unknown parameter.
    expect(grown('parley_graphql_errors_total', { code: 'BAD_USER_INPUT' })).toBe(8);
    expect(grown('parley_graphql_errors_total', { code: 'INTERNAL_SERVER_ERROR' })).toBe(0);
    expect(grown('parley_http_requests_total', { path: 'other', status: '404' })).toBe(1);
    expect(grown('parley_http_requests_total', { path: '/graphql', status: '415', method: 'POST' })).toBe(1);
    const text = await (await fetch(node.metricsUrl ?? '')).text();
    expect(text).not.toMatch(/made|MyOwn/);
  });

  itOnce('counts resumed streams, replayed events and expired cursors', async () => {
    const client = connectInTest(node.url, bob.token);
    // A cursor can be up to a second old, and a stream from it would replay events of another test.
    let cursor = '';
    await eventually('a cursor without missed events', async () => {
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

  itOnce('counts clients that are disconnected because they do not read', async () => {
    await untilDisconnected();
    const chat = await openDirect(alice, carol);
    const socket = new WebSocket(socketUrl(node.url), 'graphql-transport-ws');
    let live = false;
    socket.on('message', (data) => {
      live ||= JSON.parse(String(data)).type === 'next';
    });
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: carol.token } }));
    await once(socket, 'message');
    // With two streams over one socket, the client still counts once.
    for (const id of ['1', '2'])
      socket.send(JSON.stringify({ id, type: 'subscribe', payload: { query: LARGE_MESSAGES } }));
    await eventually('the stream is live', () => live);
    const grown = await growth(async () => {
      socket.pause();
      const closed = once(socket, 'close');
      const isDisconnected = () => node.deps.feed.listeners === 0;
      // The server terminates the connection two seconds after it has sent the close frame, so it must be read by then.
      const look = setInterval(() => isDisconnected() && socket.resume(), 10);
      onTestFinished(() => clearInterval(look));
      // A few at a time, so that little else is in the way of reading.
      for (let count = 0; count < 2_000 && !isDisconnected(); count += 4) {
        await Promise.all(
          Array.from({ length: 4 }, (_, index) => send(alice, chat, `${'long '.repeat(1_500)}${index}`)),
        );
      }
      expect((await closed)[0]).toBe(1013);
      await eventually('the socket is closed', () => node.openSockets() === 0);
    });
    expect(grown('parley_cut_offs_total', { transport: 'websocket' })).toBe(1);
  });

  itOnce('counts emails', async () => {
    const grown = await growth(async () => {
      await request(
        node.url,
        `mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { __typename } }`,
        {
          input: { email: alice.email },
        },
      );
      await eventually(
        'the mail is sent',
        async () => (await scrape(node)).value('parley_mails_total', { outcome: 'sent' }) > 0,
      );
    });
    expect(grown('parley_mails_total', { outcome: 'sent' })).toBe(1);
    expect(grown('parley_mails_total', { outcome: 'failed' })).toBe(0);
  });

  it('contains the state of the database, and of Redis if it is used', async () => {
    const seen = await scrape(node);
    expect(seen.value('parley_database_up')).toBe(1);
    expect(seen.value('parley_database_ping_seconds')).toBeGreaterThan(0);
    expect(seen.count('parley_database_transaction_duration_seconds')).toBeGreaterThan(0);
    expect(seen.value('parley_info', { database: mode })).toBe(1);
    expect(seen.has('parley_redis_connected')).toBe(mode === 'postgresql');
    expect(seen.has('parley_database_waiting')).toBe(mode === 'postgresql');
    if (mode === 'embedded') return;
    expect(seen.value('parley_redis_connected')).toBe(1);
    expect(seen.value('parley_database_connections')).toBeGreaterThan(0);
  });

  itOnce('contains sweeps and values of the process', async () => {
    const grown = await growth(() => node.deps.feed.sweep());
    expect(grown('parley_feed_sweeps_total', { result: 'ok' })).toBeGreaterThanOrEqual(1);
    expect(grown('parley_feed_last_sweep_timestamp_seconds')).toBeGreaterThan(0);
    const seen = await scrape(node);
    expect(seen.value('process_resident_memory_bytes')).toBeGreaterThan(0);
    expect(seen.has('nodejs_eventloop_lag_seconds')).toBe(true);
  });
});

// Each test starts a node.
describe('/metrics', { timeout: 60_000 }, () => {
  const place = makePlace(anyMode);
  const here = (node: RunningNode) => new URL('/metrics', node.url).href;

  it('is not available by default', async () => {
    const node = await (await place).start();
    expect(node.metricsUrl).toBeUndefined();
    expect(await status(here(node))).toBe(404);
    await node.stop();
  });

  it('is available with METRICS_TOKEN on the port of the API', async () => {
    const node = await (await place).start({ METRICS_TOKEN: TOKEN });
    expect(node.metricsUrl).toBe(here(node));
    expect(await status(here(node))).toBe(401);
    expect(await status(here(node), `${TOKEN}x`)).toBe(401);
    expect(await status(here(node), TOKEN)).toBe(200);
    expect((await scrape(node, TOKEN)).value('parley_database_up')).toBe(1);
    await node.stop();
  });

  it('is available on METRICS_PORT only, which requires the token if one is set', async () => {
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

describe.skipIf(!servicesFound)('/metrics of a node that receives nothing from Redis', () => {
  let lossy: LossyRedis;
  let deaf: RunningNode;
  let other: RunningNode;
  let losing = false;
  beforeAll(async () => {
    const { env, start } = await makePlace('postgresql');
    const redis = new URL(env['REDIS_URL'] ?? '');
    lossy = await startLossyRedis(Number(redis.port || 6379), () => losing);
    deaf = await start({ METRICS_PORT: '0', REDIS_URL: lossy.url });
    // This node knows its own changes, and does not sweep.
    other = await start({ METRICS_PORT: '0', SWEEP_INTERVAL: '1h' });
  });
  afterAll(() => lossy.close());

  it('counts gaps that were filled from the log, and the changes read for them', async () => {
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
    for (let count = 0; count < 7; count += 1) await send(alice, group, `without a wake-up ${count}`);
    await eventually(
      'all messages are delivered',
      () => listening.events.filter(({ type }) => type === 'SENT').length === 7,
    );
    losing = false;
    expect(lossy.lost - lostBefore).toBeGreaterThanOrEqual(7);
    const after = await scrape(deaf);
    const grown = (name: string) => after.value(name) - before.value(name);
    expect(grown('parley_feed_filled_changes_total')).toBe(7);
    expect(grown('parley_feed_changes_total')).toBe(7);
    expect(grown('parley_feed_gap_fills_total')).toBeGreaterThanOrEqual(1);
    expect(grown('parley_feed_gap_fills_total')).toBeLessThanOrEqual(7);
    // The node that sent them needed no wake-ups.
    const seen = await scrape(other);
    expect(seen.value('parley_feed_filled_changes_total')).toBe(0);
    expect(seen.value('parley_feed_changes_total')).toBeGreaterThanOrEqual(7);
  });
});
