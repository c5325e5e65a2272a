import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { rateLimited } from '../core/errors.js';
import { createSlices } from '../core/slices.js';
import { snapshotOf } from '../core/sync-cursor.js';
import { createErasures } from '../domain/account/erasures.js';
import { createAuditNotes } from '../domain/audit/audit.notes.js';
import { recordSettings } from '../domain/audit/audit.settings.js';
import { trimAuditLog } from '../domain/audit/audit.store.js';
import {
  conversationChanges,
  creationChanges,
  joinChanges,
  leaveChanges,
} from '../domain/conversation/conversation.events.js';
import { findReadabilities } from '../domain/conversation/conversation.store.js';
import { createPersonUpdates } from '../domain/conversation/person-updates.js';
import { peopleUpdated } from '../domain/conversation/person-updates.store.js';
import type { Deps } from '../domain/deps.js';
import { messageChanges } from '../domain/message/message.events.js';
import { createSends } from '../domain/message/message.sending.js';
import { createOutsideViewers } from '../domain/outside/outside.viewers.js';
import { createResetRequests } from '../domain/password/password.requests.js';
import { createPresence } from '../domain/presence/presence.js';
import { findSeeable } from '../domain/presence/presence.store.js';
import { findOwnReactions } from '../domain/reaction/reaction.store.js';
import { markMoves } from '../domain/receipt/receipt.events.js';
import { createMarks } from '../domain/receipt/receipt.marks.js';
import { relationshipChanges, relationshipTypes } from '../domain/relationship/relationship.events.js';
import { trimRelationshipCopies } from '../domain/relationship/relationship.store.js';
import { findSeenBySeq } from '../domain/reply/reply.store.js';
import { createIndexing } from '../domain/search/search.index.js';
import { createServiceKey } from '../domain/service/service.key.js';
import { endSessionsOfOtherKeys } from '../domain/service/service.service.js';
import { findLivingSessions } from '../domain/session/session.service.js';
import { trimSessions } from '../domain/session/session.trim.js';
import { createSummaries } from '../domain/summary/summaries.js';
import { createTyping, typingNotices } from '../domain/typing/typing.js';
import { findStandings } from '../domain/user/reach.store.js';
import { createCounts } from '../infra/async/counts.js';
import { createGates } from '../infra/async/gates.js';
import { createLookup } from '../infra/async/lookup.js';
import { createOutsideTokens } from '../infra/auth/outside-tokens.js';
import { createPasswords } from '../infra/auth/passwords.js';
import { createTokens } from '../infra/auth/tokens.js';
import type { Config } from '../infra/config/config.js';
import { redisOptions } from '../infra/config/redis-options.js';
import { version } from '../infra/config/version.js';
import { keptJwtSecret, openDataDir } from '../infra/database/data-dir.js';
import { openDatabase } from '../infra/database/database.js';
import { openLocalEvents, openRedisEvents } from '../infra/events.js';
import { createMailer } from '../infra/mail.js';
import { openRateStore } from '../infra/rates.js';
import { probeRedis } from '../infra/redis.js';
import type { Logger } from '../infra/telemetry/log.js';
import { type Metrics, noMetrics, openMetrics } from '../infra/telemetry/metrics.js';
import { noTracing, openTracing, type Tracing } from '../infra/telemetry/tracing.js';
import { createRateLimits } from '../platform/rates.js';
import { createBus } from '../realtime/bus.js';
import type { ChangeKind } from '../realtime/change.js';
import { trimChangeLog } from '../realtime/change-log.js';
import { type Feed, SWEEP_LATE_MS, startFeed } from '../realtime/feed.js';
import { createSessionWatch } from '../realtime/session-watch.js';
import { createTurns } from '../realtime/turns.js';
import { schema } from '../schema.js';
import { createAddressOf } from './addresses.js';
import { createDocuments } from './documents.js';
import { createGraphqlHttp, GRAPHQL_PATH } from './graphql-http.js';
import { createHttpServer } from './http.js';
import { createKept } from './kept.js';
import { listen } from './listening.js';
import {
  countRequests,
  countTrimmed,
  createScrape,
  hasMetrics,
  METRICS_PATH,
  serveMetrics,
  showServer,
  showServices,
  timeDeliveries,
} from './metrics.js';
import { createOldestTransaction } from './oldest-transaction.js';
import { createOperations } from './operations.js';
import { openPersistedDocuments } from './persisted-documents.js';
import { createRefusedOrigins } from './refused-origins.js';
import { createSubscriptions } from './subscriptions.js';
import { serveWebSocket } from './websocket.js';

/** What the features put on the feed. */
const changeKinds = (config: Config) =>
  [
    conversationChanges,
    creationChanges,
    joinChanges,
    leaveChanges,
    messageChanges,
    markMoves(config),
    typingNotices,
    relationshipChanges,
  ] as ChangeKind[];

/** Streams of presence of one person that look at once whom they may see. */
const PRESENCE_READS_PER_PERSON = 2;
/** Summaries that one person may wait for behind those that are being made for them. */
const SUMMARIES_WAITING_PER_PERSON = 20;
/** How often each node looks for changes that are older than the log keeps them. */
const TRIM_INTERVAL_MS = 10 * 60_000;

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
    log.warn('SMTP_URL is not set: mails are not sent, but put as files into DATA_DIR/outbox');
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
      log.fatal('the database was replaced under this node, which cannot go on with it');
      onReplaced();
    },
    { nodeId, metrics, tracing },
  );
  const { deps } = services;
  const close = async () => {
    await services.close();
    await tracing.close();
  };
  const operations = createOperations({ ...config, metrics, tracing });
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
        const events = deps.eventsConnected() ? 'ok' : 'unreachable';
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
    await recordSettings(deps);
    metricsServer = await serveMetrics(config, metrics);
    await endSessionsOfOtherKeys(deps);
    await deps.serviceKey?.reserve(deps);
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
      deps.presence.leave();
      await sockets.close({ drainMs, timeoutMs, restart: replaced });
      cutStreams();
      await closed;
      clearTimeout(cutOff);
      await yoga.dispose();
      const closing = close().then(() => metricsServer?.close());
      const timeLeftMs = Math.max(CLOSE_MIN_MS, deadline - performance.now());
      const isClosed = await Promise.race([closing.then(() => true), delay(timeLeftMs, false, { ref: false })]);
      closing.catch(() => {});
      if (!isClosed) log.warn('what is under way did not end in time: it is cut off');
    },
  };
}

/** Everything but the servers: what a command like the seed works with too. */
export async function startServices(
  config: Config,
  log: Logger,
  onReplaced: () => void = () => {},
  {
    nodeId = randomUUID(),
    metrics = noMetrics,
    tracing = noTracing,
  }: { nodeId?: string; metrics?: Metrics; tracing?: Tracing } = {},
): Promise<{ deps: Deps; close(): Promise<void> }> {
  if (config.databaseUrl === undefined || config.jwtSecret === undefined) await openDataDir(config.dataDir, log);
  const secret = config.jwtSecret ?? (await keptJwtSecret(config.dataDir));
  const redis = config.redisUrl === undefined ? undefined : redisOptions(config.redisUrl);
  const { redisPrefix: prefix } = config;
  if (redis) await probeRedis(redis, prefix);
  const database = await openDatabase(config, log, { metrics, tracing });
  const engine = redis ? openRedisEvents(redis, prefix, log) : openLocalEvents();
  const bus = createBus(engine, nodeId, log);
  const passwords = createPasswords({ cost: config.bcryptCost, queueMax: config.passwordQueueMax });
  const rateStore = openRateStore(redis && { options: redis, prefix }, log);
  const close = async () => {
    rateStore.close();
    await passwords.close();
    await bus.close();
    await database.close();
  };
  try {
    const { sweepIntervalMs, replayMax } = config;
    const timeSweep = inSeconds(
      metrics.duration(
        'parley_feed_sweep_duration_seconds',
        'How long a look into the log for what no wake-up told takes.',
      ),
    );
    const oldest = createOldestTransaction();
    let swept: Feed | undefined;
    const feed = await startFeed({
      database,
      bus,
      kinds: changeKinds(config),
      sweepIntervalMs,
      sweepTimeoutMs: config.databaseStatementTimeoutMs / 2,
      replayMax,
      log,
      onReplaced,
      onSwept(ms) {
        timeSweep(ms);
        if (swept) oldest.saw(snapshotOf(swept.now.cursor));
      },
    });
    swept = feed;
    const sessionWatch = createSessionWatch({
      database,
      bus,
      async findEnded(ids) {
        const owners = await findLivingSessions(database.sql, ids);
        return ids.filter((_id, index) => owners[index] === null);
      },
      log,
    });
    const trimmed = countTrimmed(metrics);
    const trim = setInterval(() => {
      trimmed('changes', trimChangeLog(database.db, config.changeRetentionMs)).then(
        (count) => count > 0 && log.info({ count }, 'old changes trimmed'),
        (error: unknown) => log.warn({ err: error }, 'the change log could not be trimmed'),
      );
      trimmed('sessions', trimSessions(database.db, config.sessionRetentionMs)).then(
        (count) => count > 0 && log.info({ count }, 'old sessions forgotten'),
        (error: unknown) => log.warn({ err: error }, 'old sessions could not be deleted'),
      );
      trimRelationshipCopies(database.db).catch((error: unknown) =>
        log.warn({ err: error }, 'old changes of contacts and blocks could not be deleted'),
      );
      trimmed('audit_entries', trimAuditLog(database.db, config.auditRetentionMs)).then(
        (count) => count > 0 && log.info({ count }, 'old entries of the audit log trimmed'),
        (error: unknown) => log.warn({ err: error }, 'the audit log could not be trimmed'),
      );
    }, TRIM_INTERVAL_MS);
    const presence = createPresence({ config, database, bus, nodeId, log });
    feed.observe(relationshipTypes, (userIds) => presence.sightChanged(userIds));
    feed.onReset(() => presence.sightChanged(null));
    const typing = createTyping({ config, feed, bus, generation: database.generation, nodeId });
    const turns = createTurns();
    const erasures = createErasures({ config, database, log, turns });
    const personUpdates = createPersonUpdates({ database, log, turns }, { onTold: () => erasures.begin() });
    database.onCommitted(peopleUpdated, async (updates) => {
      await Promise.all(updates.map((update) => personUpdates.begin(update)));
    });
    const summaries = createSummaries({ config, database, log, turns });
    const slices = createSlices();
    const indexing = createIndexing({ database, log, slices });
    const { smtpUrl, mailFrom, dataDir } = config;
    const mailer = createMailer({ smtpUrl, from: mailFrom, dataDir, log });
    const audit = createAuditNotes({ db: database.db, max: config.auditRefusalsMax, log });
    const resetRequests = createResetRequests({ config, database, mailer, audit, log });
    const keysFailed = metrics.counter(
      'parley_identity_provider_failures_total',
      "Times that the identity provider's keys could not be fetched.",
    );
    const deps: Deps = {
      config,
      log,
      metrics,
      tracing,
      database,
      passwords,
      tokens: createTokens({
        secret,
        previousSecret: config.jwtSecretPrevious,
        accessTtlMs: config.accessTokenTtlMs,
      }),
      mailer,
      rates: createRateLimits(rateStore, config),
      resetRequests,
      outside:
        config.identityProvider && createOutsideViewers(createOutsideTokens(config.identityProvider, log, keysFailed)),
      serviceKey: config.service && createServiceKey(config.service),
      audit,
      feed,
      turns,
      sends: createSends({ config, database, metrics, tracing }),
      marks: createMarks({ database, feed }),
      erasures,
      personUpdates,
      indexing,
      slices,
      presence,
      presenceStreams: createCounts(config.presenceStreamsPerPersonMax),
      presenceReads: createGates({ atOnce: PRESENCE_READS_PER_PERSON }),
      summaryGates: createGates({
        atOnce: config.summariesPerPersonMax,
        waitingMax: SUMMARIES_WAITING_PER_PERSON,
        refusal: () => rateLimited('You wait for too many summaries at this moment: try again a moment later.', 1_000),
      }),
      typing,
      summaries,
      sessionWatch,
      lookUpSession: createLookup((ids) => findLivingSessions(database.sql, ids)),
      lookUpReadability: createLookup((keys) => findReadabilities(database.sql, keys)),
      lookUpStanding: createLookup((pairs) => findStandings(database.sql, pairs)),
      lookUpReactions: createLookup((pairs) => findOwnReactions(database.sql, pairs)),
      lookUpSeen: createLookup((keys) => findSeenBySeq(database.sql, keys)),
      lookUpSight: createLookup((sights) => findSeeable(database.sql, sights)),
      eventsConnected: () => bus.connected,
    };
    feed.onReset(() => deps.outside?.forget());
    // Who has gone is not typing any more.
    presence.onGone((userId) => typing.stopAll(userId));
    presence.onInvisible((userId) => typing.stopHere(userId));
    showServices(metrics, deps, bus, oldest);
    return {
      deps,
      async close() {
        clearInterval(trim);
        await personUpdates.close();
        await erasures.close();
        await summaries.close();
        await indexing.close();
        // What was asked for becomes mails, and those are sent.
        await resetRequests.close();
        await mailer.close();
        await audit.close();
        sessionWatch.close();
        typing.close();
        await presence.close();
        await feed.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Traces go where the configuration says, or nowhere. */
async function tracingOf(config: Config, nodeId: string, log: Logger): Promise<Tracing> {
  const { tracesEndpoint: endpoint, tracesServiceName, tracesSampledShare: sampledShare } = config;
  if (endpoint === undefined) return noTracing;
  const resource = { 'service.name': tracesServiceName, 'service.version': version, 'service.instance.id': nodeId };
  return openTracing({ endpoint, sampledShare, resource, log });
}

const inSeconds = (observe: (seconds: number) => void) => (ms: number) => observe(ms / 1000);
