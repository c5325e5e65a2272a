import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { sameHash, sha256 } from '../infra/auth/tokens.js';
import type { Config } from '../infra/config/config.js';
import { by, type Metrics } from '../infra/telemetry/metrics.js';
import { GRAPHQL_PATH } from './graphql-http.js';
import { answer, pathOf, type Watch } from './http.js';
import { listen } from './listening.js';
import type { Answer, Subscriptions } from './subscriptions.js';
import type { GraphqlWebSocket } from './websocket.js';

export const METRICS_PATH = '/metrics';

/** Whether this configuration has metrics at all: else nothing is counted. */
export const hasMetrics = ({ metricsPort, metricsToken }: Config): boolean =>
  metricsPort !== undefined || metricsToken !== undefined;

const countedMethods = ['GET', 'HEAD', 'POST', 'OPTIONS'];
const countedPaths = ['/', GRAPHQL_PATH, '/health', '/ready', METRICS_PATH];

/** Counts HTTP requests; of what clients can name freely it is known whether it is ours. */
export function countRequests(metrics: Metrics): Watch['onRequest'] {
  const requests = metrics.counter(
    'parley_http_requests_total',
    'HTTP requests that were answered, by method, path and status.',
    ['method', 'path', 'status'],
  );
  const lasted = metrics.duration(
    'parley_http_request_duration_seconds',
    'How long HTTP requests take, without streams over SSE.',
    { labels: ['path'] },
  );
  return ({ method, path: given, status, seconds, isStream }) => {
    const path = countedPaths.includes(given) ? given : 'other';
    requests({ method: countedMethods.includes(method) ? method : 'other', path, status: String(status) });
    if (!isStream) lasted(seconds, { path });
  };
}

/** Takes how long an answer was on its way, when its turn comes. */
export function timeDeliveries(metrics: Metrics): (answer: Answer | undefined) => void {
  const lag = metrics.duration(
    'parley_delivery_lag_seconds',
    'From the commit of a change to its writing to a connection; of many at once, of one in 32.',
  );
  return (answer) => {
    // Clocks differ: what seems to have come before it was committed took no time.
    if (answer?.committedAt !== undefined) lag(Math.max(0, Date.now() - answer.committedAt) / 1000);
  };
}

/** Answers a scrape: 401 to who lacks the token, where there is one. */
export function createScrape(metrics: Metrics, token: string | undefined) {
  const wanted = token === undefined ? undefined : sha256(`Bearer ${token}`);
  return async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    if (wanted && !sameHash(sha256(req.headers.authorization ?? ''), wanted)) {
      res.setHeader('www-authenticate', 'Bearer');
      return answer(res, 401, { status: 'unauthorized' });
    }
    if (req.method !== 'GET' && req.method !== 'HEAD') return answer(res, 405, { status: 'method not allowed' });
    const { type, text } = await metrics.exposition();
    res.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' });
    res.end(req.method === 'HEAD' ? undefined : text);
  };
}

/** A server of its own for scrapes, so that they need no way through the balancer and are seen by nobody else. */
export async function serveMetrics(
  { metricsPort, metricsHost, metricsToken }: Config,
  metrics: Metrics,
): Promise<{ url: string; close(): Promise<void> } | undefined> {
  if (metricsPort === undefined) return undefined;
  const scrape = createScrape(metrics, metricsToken);
  const server = createServer((req, res) => {
    if (pathOf(req) !== METRICS_PATH) return answer(res, 404, { status: 'not found' });
    scrape(req, res).catch(() => res.destroy());
  });
  const base = await listen(server, metricsPort, metricsHost, { port: 'METRICS_PORT', host: 'METRICS_HOST' });
  return {
    url: `${base}${METRICS_PATH}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** What it says of its connections. */
export function showServer(
  metrics: Metrics,
  { sockets, subscriptions }: { sockets: GraphqlWebSocket; subscriptions: Subscriptions },
): void {
  const gauge = metrics.read.bind(metrics, 'gauge');
  const counter = metrics.read.bind(metrics, 'counter');
  const { counts } = subscriptions;
  const { postman } = sockets;

  gauge(
    'parley_connections',
    'Open connections: WebSockets, and streams over SSE.',
    () => by('transport', { websocket: sockets.size, sse: counts.openOverSse }),
    ['transport'],
  );
  counter('parley_websocket_opened_total', 'WebSockets that were opened.', () => sockets.counts.opened);
  counter(
    'parley_websocket_refused_total',
    'WebSockets that were refused: path, origin, too many from one address, or the node stops.',
    () => sockets.counts.refused,
  );
  counter(
    'parley_websocket_closed_total',
    'WebSockets that were closed, by close code.',
    () => by('code', sockets.counts.closed),
    ['code'],
  );
  counter(
    'parley_websocket_silent_total',
    'WebSockets that were cut because no pong came.',
    () => sockets.counts.silent,
  );
  counter(
    'parley_cut_offs_total',
    'Connections that were ended because their client did not read: WebSockets with 1013, streams over SSE with UNAVAILABLE.',
    () => by('transport', { websocket: sockets.counts.cutOff, sse: counts.cutOffOverSse }),
    ['transport'],
  );

  gauge(
    'parley_subscriptions',
    'Open subscriptions, by the field that they are of.',
    () => {
      const open = new Map<string, number>();
      for (const field of subscriptions.streams.values()) open.set(field, (open.get(field) ?? 0) + 1);
      return by('field', open);
    },
    ['field'],
  );
  gauge(
    'parley_subscription_groups',
    'Groups of equal subscriptions, which share their answers.',
    () => subscriptions.groups,
  );
  counter(
    'parley_subscription_answers_total',
    'Answers to events that were worked out, each for all who get the same.',
    () => counts.answers,
  );
  counter(
    'parley_deliveries_total',
    'Answers to events that were handed to connections, by transport.',
    () => by('transport', { websocket: postman.delivered, sse: counts.deliveredOverSse }),
    ['transport'],
  );

  gauge('parley_outbox_waiting', 'Answers that wait to be written to WebSockets.', () => postman.waiting);
  gauge('parley_outbox_longest', 'Answers that wait for the WebSocket for which most do.', () =>
    longest(postman.outboxes, ({ waiting }) => waiting),
  );
  gauge(
    'parley_stream_queue_waiting',
    'Events that wait in streams to be asked for: while catching up, and over SSE.',
    () => {
      let sum = 0;
      for (const { queued } of subscriptions.streams.keys()) sum += queued;
      return sum;
    },
  );
  gauge('parley_stream_queue_longest', 'Events that wait in the stream in which most do.', () =>
    longest(subscriptions.streams.keys(), ({ queued }) => queued),
  );
}

function longest<Item>(items: Iterable<Item>, lengthOf: (item: Item) => number): number {
  let most = 0;
  for (const item of items) most = Math.max(most, lengthOf(item));
  return most;
}
