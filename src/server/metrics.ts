import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { sameHash, sha256 } from '../infra/auth/tokens.js';
import type { Config } from '../infra/config/config.js';
import { by, type Metrics } from '../infra/telemetry/metrics.js';
import { GRAPHQL_PATH } from './graphql-http.js';
import { answer, type HttpHooks, pathOf } from './http.js';
import { listen } from './listening.js';
import type { Answer, Subscriptions } from './subscriptions.js';
import type { GraphqlWebSocket } from './websocket.js';

export const METRICS_PATH = '/metrics';

/** Whether metrics are enabled. If not, nothing is counted. */
export const hasMetrics = ({ metricsPort, metricsToken }: Config): boolean =>
  metricsPort !== undefined || metricsToken !== undefined;

const countedMethods = ['GET', 'HEAD', 'POST', 'OPTIONS'];
const countedPaths = ['/', GRAPHQL_PATH, '/health', '/ready', METRICS_PATH];

/** Counts HTTP requests. Labels that clients can choose freely are reduced to known values. */
export function countRequests(metrics: Metrics): HttpHooks['onRequest'] {
  const requests = metrics.counter(
    'parley_http_requests_total',
    'Completed HTTP requests, by method, path and status.',
    ['method', 'path', 'status'],
  );
  const lasted = metrics.duration(
    'parley_http_request_duration_seconds',
    'Duration of HTTP requests, except for SSE streams.',
    { labels: ['path'] },
  );
  return ({ method, path: given, status, seconds, isStream }) => {
    const path = countedPaths.includes(given) ? given : 'other';
    requests({ method: countedMethods.includes(method) ? method : 'other', path, status: String(status) });
    if (!isStream) lasted(seconds, { path });
  };
}

/** Measures the time from the commit of an event until its response is written. */
export function timeDeliveries(metrics: Metrics): (answer: Answer | undefined) => void {
  const lag = metrics.duration(
    'parley_delivery_lag_seconds',
    'Time from the commit of a change until its event is written to a connection, sampled 1 in 32 under load.',
  );
  return (answer) => {
    // The clocks of nodes differ, so a negative duration counts as 0.
    if (answer?.committedAt !== undefined) lag(Math.max(0, Date.now() - answer.committedAt) / 1000);
  };
}

/**
 * Creates the handler of /metrics. It responds with 401 if a token is configured and the request does not contain it.
 */
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

/** Starts a separate server for metrics, which the load balancer does not expose. */
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

/** Registers the metrics of the server's connections. */
export function showServer(
  metrics: Metrics,
  { sockets, subscriptions }: { sockets: GraphqlWebSocket; subscriptions: Subscriptions },
): void {
  const gauge = metrics.read.bind(metrics, 'gauge');
  const counter = metrics.read.bind(metrics, 'counter');
  const { counts } = subscriptions;
  const { scheduler } = sockets;

  gauge(
    'parley_connections',
    'Open connections: WebSockets and SSE streams.',
    () => by('transport', { websocket: sockets.size, sse: counts.openOverSse }),
    ['transport'],
  );
  counter('parley_websocket_opened_total', 'WebSockets opened.', () => sockets.counts.opened);
  counter(
    'parley_websocket_refused_total',
    'WebSocket upgrades rejected because of the path, the origin, an invalid handshake, too many connections from one address, or a shutdown.',
    () => sockets.counts.refused,
  );
  counter(
    'parley_websocket_closed_total',
    'WebSockets closed, by close code.',
    () => by('code', sockets.counts.closed),
    ['code'],
  );
  counter(
    'parley_websocket_silent_total',
    'WebSockets terminated because no pong was received.',
    () => sockets.counts.silent,
  );
  counter(
    'parley_cut_offs_total',
    'Connections ended because the client read too slowly: WebSockets with 1013, SSE streams with UNAVAILABLE.',
    () => by('transport', { websocket: sockets.counts.slowConsumers, sse: counts.slowConsumersOverSse }),
    ['transport'],
  );

  gauge(
    'parley_subscriptions',
    'Open subscriptions, by field.',
    () => {
      const open = new Map<string, number>();
      for (const field of subscriptions.streams.values()) open.set(field, (open.get(field) ?? 0) + 1);
      return by('field', open);
    },
    ['field'],
  );
  gauge(
    'parley_subscription_groups',
    'Groups of identical subscriptions, which share their execution.',
    () => subscriptions.groups,
  );
  counter(
    'parley_subscription_answers_total',
    'Executions of subscriptions for events, each shared by a group.',
    () => counts.answers,
  );
  counter(
    'parley_deliveries_total',
    'Results delivered to connections, by transport.',
    () => by('transport', { websocket: scheduler.delivered, sse: counts.deliveredOverSse }),
    ['transport'],
  );

  gauge('parley_outbox_waiting', 'Results waiting to be written to WebSockets.', () => scheduler.waiting);
  gauge('parley_outbox_longest', 'Length of the longest queue of results of a WebSocket.', () =>
    longest(scheduler.outboxes, ({ waiting }) => waiting),
  );
  gauge('parley_stream_queue_waiting', 'Events queued in streams during catch-up and over SSE.', () => {
    let sum = 0;
    for (const { queued } of subscriptions.streams.keys()) sum += queued;
    return sum;
  });
  gauge('parley_stream_queue_longest', 'Length of the longest queue of events of a stream.', () =>
    longest(subscriptions.streams.keys(), ({ queued }) => queued),
  );
}

function longest<Item>(items: Iterable<Item>, lengthOf: (item: Item) => number): number {
  let most = 0;
  for (const item of items) most = Math.max(most, lengthOf(item));
  return most;
}
