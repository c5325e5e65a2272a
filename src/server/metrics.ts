import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Deps } from '../domain/deps.js';
import { sameHash, sha256 } from '../infra/auth/tokens.js';
import type { Config } from '../infra/config/config.js';
import { version } from '../infra/config/version.js';
import type { Metrics, Reading } from '../infra/telemetry/metrics.js';
import type { Bus } from '../realtime/bus.js';
import { GRAPHQL_PATH } from './graphql-http.js';
import { answer, pathOf, type Watch } from './http.js';
import { listen } from './listening.js';
import type { OldestTransaction } from './oldest-transaction.js';
import type { Answer, Subscriptions } from './subscriptions.js';
import type { GraphqlWebSocket } from './websocket.js';

export const METRICS_PATH = '/metrics';

/** How long a scrape waits for the database, in milliseconds: one that does not answer must not hide the rest. */
const PING_MS = 2_000;

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

/** Counts the rows that are removed because they are old: what removes them is given, and comes back. */
export function countTrimmed(metrics: Metrics): (table: string, trimming: Promise<number>) => Promise<number> {
  const rows = new Map<string, number>();
  metrics.read(
    'counter',
    'parley_trimmed_rows_total',
    'Old rows that this node removed, by what they were of: changes of the log, sessions, entries of the audit log.',
    () => by('table', rows),
    ['table'],
  );
  const failures = metrics.counter('parley_trim_failures_total', 'Times that old rows could not be removed.', [
    'table',
  ]);
  return (table, trimming) =>
    trimming.then(
      (count) => {
        rows.set(table, (rows.get(table) ?? 0) + count);
        return count;
      },
      (error: unknown) => {
        failures({ table });
        throw error;
      },
    );
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

const by = (label: string, values: Record<string, number> | ReadonlyMap<string, number>): Reading =>
  (values instanceof Map ? [...values] : Object.entries(values)).map(([name, value]: [string, number]) => ({
    labels: { [label]: name },
    value,
  }));

/** What a node's services say of themselves. */
export function showServices(metrics: Metrics, deps: Deps, bus: Bus, oldest: OldestTransaction): void {
  const { config, database, feed, mailer, passwords, presence, resetRequests, sends, marks, sessionWatch, summaries } =
    deps;
  const gauge = metrics.read.bind(metrics, 'gauge');
  const counter = metrics.read.bind(metrics, 'counter');

  gauge(
    'parley_info',
    'Always 1; its labels say what runs.',
    () => [{ labels: { version, database: database.footing }, value: 1 }],
    ['version', 'database'],
  );

  counter(
    'parley_feed_changes_total',
    'Changes of the log that this node delivered to who listens.',
    () => feed.counts.changes,
  );
  counter(
    'parley_feed_gap_fills_total',
    'Times that changes were read from the log because no wake-up had told of them in time.',
    () => feed.counts.gapFills,
  );
  counter('parley_feed_filled_changes_total', 'Changes that were read for that.', () => feed.counts.filled);
  counter(
    'parley_feed_sweeps_total',
    'Looks into the log for what no wake-up told, by result.',
    () => by('result', { ok: feed.counts.sweeps - feed.counts.sweepsFailed, failed: feed.counts.sweepsFailed }),
    ['result'],
  );
  gauge(
    'parley_feed_last_sweep_timestamp_seconds',
    'When the last sweep that succeeded came to its end.',
    () => feed.sweptAt / 1000,
  );
  gauge(
    'parley_feed_oldest_transaction_age_seconds',
    'How long the oldest open transaction of the cluster has been open: each sweep reads what changed since its begin.',
    () => oldest.ageSeconds(),
  );
  counter(
    'parley_feed_resets_total',
    'Times that all streams had to begin anew, for the database was failed over or restored.',
    () => feed.counts.resets,
  );
  gauge('parley_feed_listeners', 'Streams that hear of changes.', () => feed.listeners);
  gauge('parley_feed_conversations', 'Conversations that are followed for them.', () => feed.conversations);
  counter(
    'parley_resumes_total',
    'Streams that were opened with a cursor: resumed, or expired (CURSOR_EXPIRED).',
    () => by('outcome', { resumed: feed.counts.resumes, expired: feed.counts.expired }),
    ['outcome'],
  );
  counter('parley_replayed_events_total', 'Events that resumes brought again.', () => feed.counts.replayed);

  counter('parley_bus_published_total', 'Texts for other nodes that were published.', () => bus.counts.published);
  counter('parley_bus_heard_total', 'Texts of other nodes that were heard.', () => bus.counts.heard);
  counter('parley_bus_lost_total', 'Messages to other nodes that could not be sent.', () => bus.counts.lost);
  gauge('parley_redis_connected', 'Whether Redis is connected, 1 or 0; absent without Redis.', () =>
    config.redisUrl === undefined ? undefined : Number(bus.connected),
  );

  const groups = { sends, marks };
  const ofGroups = (read: (counts: (typeof sends)['counts']) => number) => () =>
    by('queue', Object.fromEntries(Object.entries(groups).map(([name, { counts }]) => [name, read(counts)])));
  gauge(
    'parley_group_commit_waiting',
    'Calls that wait for the transaction that carries them.',
    ofGroups(({ waiting }) => waiting),
    ['queue'],
  );
  counter(
    'parley_group_commit_batches_total',
    'Transactions of many calls.',
    ofGroups(({ batches }) => batches),
    ['queue'],
  );
  counter(
    'parley_group_commit_calls_total',
    'Calls that these carried.',
    ofGroups(({ calls }) => calls),
    ['queue'],
  );

  gauge(
    'parley_database_connections',
    'Connections to PostgreSQL, by state; absent where the database is embedded.',
    () => {
      const pool = database.pool();
      return pool && by('state', { busy: pool.busy, idle: pool.idle });
    },
    ['state'],
  );
  gauge(
    'parley_database_waiting',
    'Calls that wait for a connection to PostgreSQL; absent where the database is embedded.',
    () => database.pool()?.waiting,
  );
  /** One ping for both, and for scrapes that come at once. */
  let pinging: Promise<number | undefined> | undefined;
  const ping = () => {
    pinging ??= timed(database.ping()).finally(() => {
      pinging = undefined;
    });
    return pinging;
  };
  gauge('parley_database_up', 'Whether the database answers, 1 or 0.', async () =>
    Number((await ping()) !== undefined),
  );
  gauge('parley_database_ping_seconds', 'How long the database takes to answer; absent when it does not.', ping);

  gauge('parley_password_waiting', 'Password hashes that wait for a worker.', () => passwords.waiting);
  gauge('parley_password_reset_waiting', 'Requests for password resets that wait.', () => resetRequests.waiting);
  gauge('parley_mail_waiting', 'Mails that wait or are being sent.', () => mailer.counts.waiting);
  counter(
    'parley_mails_total',
    'Mails by what became of them: sent, failed (given up, or too many waited) or dropped (the address was sent too many).',
    () => by('outcome', { sent: mailer.counts.done, failed: mailer.counts.lost, dropped: mailer.counts.dropped }),
    ['outcome'],
  );
  counter('parley_mail_failures_total', 'Tries to send a mail that failed.', () => mailer.counts.failures);

  counter(
    'parley_summaries_total',
    'Summaries by where they came from: kept, quoted (the embedded summarizer) or written (the model server).',
    () => {
      const { kept, quoted, written } = summaries.counts;
      return by('from', { kept, quoted, written });
    },
    ['from'],
  );
  counter(
    'parley_summary_failures_total',
    'Summaries that the model server was to write and did not.',
    () => summaries.counts.failures,
  );
  gauge('parley_summary_waiting', 'Calls that wait for a thread of the embedded summarizer.', () => summaries.waiting);

  gauge(
    'parley_presence_people',
    'People who are connected to this node, with those of a moment ago.',
    () => presence.size.people,
  );
  gauge('parley_presence_watched', 'People whose presence somebody here is told of.', () => presence.size.watched);
  gauge('parley_watched_sessions', 'Sessions whose end closes something here.', () => sessionWatch.size);
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

/** How long it takes, in seconds; undefined when it fails or takes too long. */
async function timed(work: Promise<void>): Promise<number | undefined> {
  const began = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), PING_MS);
  });
  const took = work.then(
    () => (performance.now() - began) / 1000,
    () => undefined,
  );
  try {
    return await Promise.race([took, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
