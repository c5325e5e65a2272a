import { randomUUID } from 'node:crypto';
import { createSlices } from '../core/slices.js';
import { snapshotOf } from '../core/sync-cursor.js';
import { createPasswords } from '../infra/auth/passwords.js';
import { createSecrets } from '../infra/auth/secrets.js';
import { createTokens } from '../infra/auth/tokens.js';
import type { Config } from '../infra/config/config.js';
import { redisOptions } from '../infra/config/redis-options.js';
import { loadJwtSecret, openDataDir } from '../infra/database/data-dir.js';
import { openDatabase } from '../infra/database/database.js';
import { openLocalEvents, openRedisEvents } from '../infra/events.js';
import { createMailer } from '../infra/mail.js';
import { openRateStore } from '../infra/rates.js';
import { probeRedis } from '../infra/redis.js';
import type { Logger } from '../infra/telemetry/log.js';
import { type Metrics, noMetrics } from '../infra/telemetry/metrics.js';
import { noTracing, type Tracing } from '../infra/telemetry/tracing.js';
import type { Deps } from '../platform/deps.js';
import { createServices } from '../platform/service.js';
import { createBus } from '../realtime/bus.js';
import { type Feed, startFeed } from '../realtime/feed.js';
import { createOldestTransaction } from '../realtime/oldest-transaction.js';
import { features } from './features.js';
import { exposeNode } from './node-metrics.js';
import { startRetention } from './retention.js';

/**
 * Starts all parts of a node except its servers: the database (after migrating it), events, and the services of all
 * features. Commands use it as well.
 * @param onReplaced called when the database was replaced by another one, after which the node must not continue.
 * @throws {ConfigError} if DATA_DIR is in use or not usable.
 */
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
  const secret = config.jwtSecret ?? (await loadJwtSecret(config.dataDir));
  const redis = config.redisUrl === undefined ? undefined : redisOptions(config.redisUrl);
  const { redisPrefix: prefix } = config;
  if (redis) await probeRedis(redis, prefix);
  const database = await openDatabase(config, log, { metrics, tracing });
  const engine = redis ? openRedisEvents(redis, prefix, log) : openLocalEvents();
  const bus = createBus(engine, nodeId, log);
  const passwords = createPasswords({ cost: config.bcryptCost, queueMax: config.passwordQueueMax });
  const rateStore = openRateStore(redis && { options: redis, prefix }, log);
  let deps: Deps | undefined;
  const services = createServices(() => {
    if (!deps) throw new Error('A service was used before its dependencies were created');
    return deps;
  });
  const close = async () => {
    rateStore.close();
    await passwords.close();
    await bus.close();
    await database.close();
  };
  try {
    const oldest = createOldestTransaction();
    const sweepDuration = metrics.duration(
      'parley_feed_sweep_duration_seconds',
      'Duration of sweeps of the change log.',
    );
    let started: Feed | undefined;
    const feed = await startFeed({
      database,
      bus,
      kinds: features.flatMap(({ changeKinds }) => changeKinds?.({ config, features }) ?? []),
      sweepIntervalMs: config.sweepIntervalMs,
      sweepTimeoutMs: config.databaseStatementTimeoutMs / 2,
      replayMax: config.replayMax,
      log,
      onReplaced,
      onSwept(ms) {
        sweepDuration(ms / 1_000);
        if (started) oldest.observe(snapshotOf(started.now.cursor));
      },
    });
    started = feed;
    const { smtpUrl, mailFrom, dataDir } = config;
    const made: Deps = {
      nodeId,
      config,
      log,
      metrics,
      tracing,
      database,
      bus,
      feed,
      passwords,
      tokens: createTokens({
        secret,
        previousSecret: config.jwtSecretPrevious,
        accessTtlMs: config.accessTokenTtlMs,
      }),
      secrets: createSecrets({ secret, previousSecret: config.jwtSecretPrevious }),
      mailer: createMailer({ smtpUrl, from: mailFrom, dataDir, log }),
      rateStore,
      slices: createSlices(),
      features,
      services,
    };
    deps = made;
    for (const feature of features) feature.start?.(made);
    for (const feature of features) feature.metrics?.(made);
    exposeNode(made, oldest);
    const stopRetention = startRetention(made);
    return {
      deps: made,
      async close() {
        stopRetention();
        await services.close();
        // Closed after the services, because some of them send emails while closing.
        await made.mailer.close();
        await feed.close();
        await close();
      },
    };
  } catch (error) {
    await services.close();
    await close();
    throw error;
  }
}
