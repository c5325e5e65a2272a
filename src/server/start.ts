import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { features } from '../app/features.js';
import { startServices } from '../app/node.js';
import { schema } from '../app/schema.js';
import type { Config } from '../infra/config/config.js';
import { version } from '../infra/config/version.js';
import type { Logger } from '../infra/telemetry/log.js';
import { noMetrics, openMetrics } from '../infra/telemetry/metrics.js';
import { noTracing, openTracing, type Tracing } from '../infra/telemetry/tracing.js';
import type { Deps } from '../platform/deps.js';
import { httpPages } from '../platform/http-pages.js';
import { httpRoutes } from '../platform/http-routes.js';
import { nodeParts } from '../platform/node-parts.js';
import { nodeTime } from '../platform/node-time.js';
import { pageOrigins } from '../platform/page-origins.js';
import { SWEEP_LATE_MS } from '../realtime/feed.js';
import { createAddressOf } from './addresses.js';
import { createDocuments } from './documents.js';
import { createGraphqlHttp, GRAPHQL_PATH } from './graphql-http.js';
import { createHttpServer, type Pages, type Routes } from './http.js';
import { listen } from './listening.js';
import { createMemoryLimits } from './memory-limits.js';
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
import { createPipeline, identify } from './pipeline.js';
import { createRefusedOrigins } from './refused-origins.js';
import { createRequestTime } from './request-time.js';
import { createSubscriptions } from './subscriptions.js';
import { openWebApp } from './web.js';
import { serveWebSocket } from './websocket.js';

/**
 * The minimum time for work in progress to finish, in milliseconds, even if closing the connections took all of
 * SHUTDOWN_TIMEOUT.
 */
const CLOSE_MIN_MS = 1_000;
/**
 * The upper limit of STATEMENTS_PER_PERSON_MAX. The embedded database runs one statement or transaction at a time, and
 * everybody waits for those that are queued before theirs.
 */
const STATEMENTS_PER_PERSON = { postgresql: Number.POSITIVE_INFINITY, embedded: 1 } as const;

export interface RunningNode {
  /** The URL of the API, for example http://127.0.0.1:4000/graphql. */
  url: string;
  /** The URL of the web app, or undefined if it is not served. */
  webUrl: string | undefined;
  /** The URL of the metrics, or undefined if they are not served. */
  metricsUrl: string | undefined;
  deps: Deps;
  /** The number of open WebSockets. */
  openSockets(): number;
  /** The number of groups of equal subscriptions. */
  subscriptionGroups(): number;
  /** Rejects new requests, disconnects clients so that they reconnect to other nodes, and finishes work in progress. */
  stop(): Promise<void>;
}

/** The pages of the features of a node. */
function pagesOf(deps: Deps): Pages {
  const byPath = new Map(httpPages.of(deps).map((page) => [page.path, page]));
  return (path) => {
    const page = byPath.get(path);
    return page && ((request) => page.respond(deps, request));
  };
}

/** The routes of the features of a node. */
function routesOf(deps: Deps): Routes {
  const all = httpRoutes.of(deps);
  return (path) => {
    const route = all.find(({ prefix }) => path.startsWith(prefix));
    return (
      route && {
        ...route,
        bytesPerSecondMin: route.bytesPerSecondMin?.(deps.config),
        respond: (request) => route.respond(deps, { ...request, path: path.slice(route.prefix.length) }),
      }
    );
  };
}

/**
 * Starts a node: the database with its migrations, the event bus, and the HTTP and WebSocket servers.
 * @param onReplaced is called when the database has been replaced by another one. The node must then be restarted.
 * @throws {ConfigError} if DATA_DIR is in use or unusable, or if HOST is not an address of this machine.
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
  const origins = pageOrigins.of({ features }).flatMap((originsOf) => originsOf(config));
  const web = config.web ? await openWebApp(log, { origins }) : undefined;
  const persisted = await openPersistedDocuments(config, documents, log, web?.documents);
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
  const time = nodeTime.of(deps);
  const operations = createOperations({
    ...config,
    statementsPerPersonMax: Math.min(config.statementsPerPersonMax, STATEMENTS_PER_PERSON[deps.database.mode]),
    metrics,
    tracing,
    nodeTime: time,
    costOf: documents.costOf,
  });
  const requestTime = createRequestTime({
    share: config.timePerPersonPercent / 100,
    waitingMax: config.requestsWaitingMax,
    usage: time.usage,
    identify: (authorization) => identify(deps, authorization),
  });
  const subscriptions = createSubscriptions(log, {
    onErrors: (errors) => operations.failed(errors),
    onTurn: timeDeliveries(metrics),
    onUse: (userId) => time.usage.record(userId),
    charge: (userId, ms) => time.spend(userId, ms),
  });
  const addressOf = createAddressOf(config, log);
  const refusedOrigin = createRefusedOrigins(log);
  const memoryLimits = createMemoryLimits(config);
  const pipeline = createPipeline({ documents, persisted, operations, subscriptions, memoryLimits, deps });
  const yoga = createGraphqlHttp({ pipeline, subscriptions, refusedOrigin, deps });
  const { metricsPort, metricsToken } = config;
  const isScrapedHere = metricsPort === undefined && metricsToken !== undefined;
  let draining = false;
  const { server, cutStreams } = createHttpServer(
    yoga,
    web,
    { pages: pagesOf(deps), routes: routesOf(deps) },
    {
      async ready() {
        const database = await deps.database.check();
        const events = deps.bus.connected ? 'ok' : 'unreachable';
        // A node works without Redis; it only receives changes of other nodes later.
        const { sweepAgeMs } = deps.feed;
        return {
          ready: database === 'ok' && !draining && !replaced,
          parts: {
            database,
            events,
            sweep: sweepAgeMs > SWEEP_LATE_MS ? 'late' : 'ok',
            sweepAgeMs,
            ...Object.assign({}, ...nodeParts.of(deps).map((statesOf) => statesOf(deps))),
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
    requestTime,
    addressOf,
    config,
    log,
  );
  const sockets = serveWebSocket({
    server,
    pipeline,
    subscriptions,
    memoryLimits,
    requestTime,
    addressOf,
    refusedOrigin,
    deps,
  });
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
    webUrl: web && `${base}/`,
    metricsUrl: metricsServer?.url ?? (isScrapedHere ? `${base}${METRICS_PATH}` : undefined),
    deps,
    openSockets: () => sockets.size,
    subscriptionGroups: () => subscriptions.groups,
    async stop() {
      const deadline = performance.now() + config.shutdownTimeoutMs;
      draining = true;
      // Ends keep-alive connections with their next response, so that a load balancer does not continue to use them.
      server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'));
      server.keepAliveTimeout = 500;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const termination = setTimeout(() => server.closeAllConnections(), config.shutdownTimeoutMs);
      const { drainTimeMs: drainMs, shutdownTimeoutMs: timeoutMs } = config;
      for (const feature of deps.features) feature.beforeStopping?.(deps);
      await sockets.close({ drainMs, timeoutMs, restart: replaced });
      cutStreams();
      await closed;
      clearTimeout(termination);
      await yoga.dispose();
      const closing = close().then(() => metricsServer?.close());
      const timeLeftMs = Math.max(CLOSE_MIN_MS, deadline - performance.now());
      const isClosed = await Promise.race([closing.then(() => true), delay(timeLeftMs, false, { ref: false })]);
      closing.catch(() => {});
      if (!isClosed) log.warn('shutdown timeout: pending operations are aborted');
    },
  };
}

/** Creates the exporter of traces, or one that does nothing if none is configured. */
async function tracingOf(config: Config, nodeId: string, log: Logger): Promise<Tracing> {
  const { tracesEndpoint: endpoint, tracesServiceName, tracesSampledShare: sampledShare } = config;
  if (endpoint === undefined) return noTracing;
  const resource = { 'service.name': tracesServiceName, 'service.version': version, 'service.instance.id': nodeId };
  return openTracing({ endpoint, sampledShare, resource, log });
}
