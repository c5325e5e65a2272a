import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { startServices } from '../app/node.js';
import { schema } from '../app/schema.js';
import type { Config } from '../infra/config/config.js';
import { version } from '../infra/config/version.js';
import type { Logger } from '../infra/telemetry/log.js';
import { noMetrics, openMetrics } from '../infra/telemetry/metrics.js';
import { noTracing, openTracing, type Tracing } from '../infra/telemetry/tracing.js';
import type { Deps } from '../platform/deps.js';
import { SWEEP_LATE_MS } from '../realtime/feed.js';
import { createAddressOf } from './addresses.js';
import { createDocuments } from './documents.js';
import { createGraphqlHttp, GRAPHQL_PATH } from './graphql-http.js';
import { createHttpServer } from './http.js';
import { createKept } from './kept.js';
import { listen } from './listening.js';
import {
  countRequests,
  createScrape,
  hasMetrics,
  METRICS_PATH,
  serveMetrics,
  showServer,
  timeDeliveries,
} from './metrics.js';
import { createOperations } from './operations.js';
import { openPersistedDocuments } from './persisted-documents.js';
import { createRefusedOrigins } from './refused-origins.js';
import { createSubscriptions } from './subscriptions.js';
import { serveWebSocket } from './websocket.js';

/** The least time that what is under way has to end, in milliseconds, where clients took all of SHUTDOWN_TIMEOUT. */
const CLOSE_MIN_MS = 1_000;

export interface RunningNode {
  /** Where it is served, for instance http://127.0.0.1:4000/graphql. */
  url: string;
  /** Where its metrics are; undefined where there are none. */
  metricsUrl: string | undefined;
  deps: Deps;
  /** WebSockets that are open. */
  openSockets(): number;
  /** Groups of equal subscriptions at present. */
  subscriptionGroups(): number;
  /** Stops taking requests, lets go of clients so that they come back elsewhere, finishes what is under way. */
  stop(): Promise<void>;
}

/**
 * Starts a node: database (migrated), events, HTTP and WebSocket.
 * `onReplaced` is called when another database has taken the place of the one it runs on: it is to be stopped, and
 * started anew.
 * @throws {ConfigError} when DATA_DIR is in use or cannot be used, or when HOST is no address of this machine.
 */
export async function startNode(
  config: Config,
  log: Logger,
  { onReplaced = () => {} }: { onReplaced?: () => void } = {},
): Promise<RunningNode> {
  let replaced = false;
  if (config.production && config.smtpUrl === undefined) {
    log.warn('SMTP_URL is not set: emails are written to DATA_DIR/outbox instead of being sent');
  }
  const documents = createDocuments(schema, config, log);
  const persisted = await openPersistedDocuments(config, documents, log);
  const nodeId = randomUUID();
  const metrics = hasMetrics(config) ? await openMetrics() : noMetrics;
  const tracing = await tracingOf(config, nodeId, log);
  const services = await startServices(
    config,
    log,
    () => {
      if (replaced) return;
      replaced = true;
      log.fatal('database was replaced while this node was running: the node stops');
      onReplaced();
    },
    { nodeId, metrics, tracing },
  );
  const { deps } = services;
  const close = async () => {
    await services.close();
    await tracing.close();
  };
  const operations = createOperations({ ...config, metrics, tracing, costOf: documents.costOf });
  const subscriptions = createSubscriptions(log, {
    onErrors: (errors) => operations.failed(errors),
    onTurn: timeDeliveries(metrics),
  });
  const addressOf = createAddressOf(config, log);
  const refusedOrigin = createRefusedOrigins(log);
  const kept = createKept(config);
  const yoga = createGraphqlHttp(documents, persisted, subscriptions, operations, kept, refusedOrigin, deps);
  const { metricsPort, metricsToken } = config;
  const isScrapedHere = metricsPort === undefined && metricsToken !== undefined;
  let draining = false;
  const { server, cutStreams } = createHttpServer(
    yoga,
    {
      async ready() {
        const database = await deps.database.check();
        const events = deps.bus.connected ? 'ok' : 'unreachable';
        // Without Redis a node still serves: it is slower to hear of others, not wrong.
        const { sweepAgeMs } = deps.feed;
        return {
          ready: database === 'ok' && !draining && !replaced,
          parts: {
            database,
            events,
            sweep: sweepAgeMs > SWEEP_LATE_MS ? 'late' : 'ok',
            sweepAgeMs,
            ...(draining ? { draining: 'yes' } : {}),
          },
        };
      },
    },
    {
      onRequest: countRequests(metrics),
      onErrors: (errors) => operations.failed(errors),
      scrape: isScrapedHere ? createScrape(metrics, metricsToken) : undefined,
    },
    addressOf,
    config,
    log,
  );
  const sockets = serveWebSocket(
    server,
    documents,
    persisted,
    subscriptions,
    operations,
    kept,
    addressOf,
    refusedOrigin,
    deps,
  );
  showServer(metrics, { sockets, subscriptions });
  let metricsServer: Awaited<ReturnType<typeof serveMetrics>>;
  let base: string;
  try {
    for (const feature of deps.features) await feature.beforeServing?.(deps);
    metricsServer = await serveMetrics(config, metrics);
    base = await listen(server, config.port, config.host, { port: 'PORT', host: 'HOST' });
  } catch (error) {
    await metricsServer?.close();
    await close();
    throw error;
  }
  return {
    url: `${base}${GRAPHQL_PATH}`,
    metricsUrl: metricsServer?.url ?? (isScrapedHere ? `${base}${METRICS_PATH}` : undefined),
    deps,
    openSockets: () => sockets.size,
    subscriptionGroups: () => subscriptions.groups,
    async stop() {
      const deadline = performance.now() + config.shutdownTimeoutMs;
      draining = true;
      // What is kept alive ends with its next answer or soon without one: a balancer would go on using it.
      server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'));
      server.keepAliveTimeout = 500;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const cutOff = setTimeout(() => server.closeAllConnections(), config.shutdownTimeoutMs);
      const { drainTimeMs: drainMs, shutdownTimeoutMs: timeoutMs } = config;
      for (const feature of deps.features) feature.beforeStopping?.(deps);
      await sockets.close({ drainMs, timeoutMs, restart: replaced });
      cutStreams();
      await closed;
      clearTimeout(cutOff);
      await yoga.dispose();
      const closing = close().then(() => metricsServer?.close());
      const timeLeftMs = Math.max(CLOSE_MIN_MS, deadline - performance.now());
      const isClosed = await Promise.race([closing.then(() => true), delay(timeLeftMs, false, { ref: false })]);
      closing.catch(() => {});
      if (!isClosed) log.warn('shutdown timeout: pending operations are aborted');
    },
  };
}

/** Traces go where the configuration says, or nowhere. */
async function tracingOf(config: Config, nodeId: string, log: Logger): Promise<Tracing> {
  const { tracesEndpoint: endpoint, tracesServiceName, tracesSampledShare: sampledShare } = config;
  if (endpoint === undefined) return noTracing;
  const resource = { 'service.name': tracesServiceName, 'service.version': version, 'service.instance.id': nodeId };
  return openTracing({ endpoint, sampledShare, resource, log });
}
