import { Redis, type RedisOptions } from 'ioredis';
import { ConfigError } from './config/config-error.js';
import type { Logger } from './telemetry/log.js';

/** Classifies errors of Redis by what the operator has to check. */
const reasons: [reason: string, RegExp][] = [
  ['authentication', /NOAUTH|WRONGPASS|invalid (?:username-)?password|AUTH failed|Client sent AUTH/i],
  ['permission', /NOPERM/],
  ['database', /DB index|invalid DB|SELECT is not allowed/i],
  ['limit', /max number of clients|OOM command/i],
  ['loading', /LOADING|MASTERDOWN|READONLY|MISCONF/],
  ['tls', /certificate|self.signed|CERT_|ERR_TLS|ERR_SSL|wrong version number|unable to verify/i],
  ['dns', /ENOTFOUND|EAI_AGAIN/],
  ['refused', /ECONNREFUSED|ENOENT|EACCES/],
  ['silence', /timed out|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/],
];

/** The reason of an error in one word. */
function reasonOf(error: unknown): string {
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
  const text = `${code ?? ''} ${message ?? ''}`;
  return reasons.find(([, pattern]) => pattern.test(text))?.[0] ?? 'connection';
}

/**
 * Logs the state of one connection to Redis. Each reason of a failure is logged once until the connection works again.
 */
export interface RedisState {
  /**
   * Reports that Redis cannot be reached or rejects commands. Without an error, the previously reported reason is kept.
   */
  failed(error?: unknown): void;
  succeeded(): void;
  /**
   * Reconnects with exponential backoff until Redis accepts commands. A connection that is established but whose
   * commands are rejected counts as a failure as well.
   */
  readonly retries: Pick<RedisOptions, 'retryStrategy'>;
}

export function createRedisState(role: string, log: Logger): RedisState {
  const loggedReasons = new Set<string>();
  let isFailing = true;
  let failures = 0;
  return {
    retries: {
      retryStrategy() {
        failures += 1;
        return Math.min(50 * 2 ** failures, 1_000);
      },
    },
    failed(error) {
      isFailing = true;
      // The closing of a connection has no reason of its own: the preceding error has already been reported.
      if (error === undefined && loggedReasons.size > 0) return;
      const reason = reasonOf(error);
      if (loggedReasons.has(reason)) return;
      loggedReasons.add(reason);
      log.warn({ role, reason, ...(error === undefined ? {} : { err: error }) }, 'Redis unreachable');
    },
    succeeded() {
      failures = 0;
      if (!isFailing) return;
      isFailing = false;
      loggedReasons.clear();
      log.info({ role }, 'Redis connected');
    },
  };
}

/** Reasons that only a change of the configuration can resolve. */
const configurationErrors = ['authentication', 'permission', 'database', 'tls'];
/** How long the start of a node waits for Redis, in milliseconds. Afterwards the node starts without it. */
const PROBE_TIMEOUT_MS = 2_000;

/**
 * Checks once whether Redis accepts the commands that a node uses. It is not an error if Redis cannot be reached,
 * because nodes also start without it.
 * @throws {ConfigError} naming REDIS_URL if Redis rejects the user, the password, the database, the channels or the
 *   certificate.
 */
export async function probeRedis(options: RedisOptions, prefix: string): Promise<void> {
  const redis = new Redis({
    ...options,
    db: 0,
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: PROBE_TIMEOUT_MS,
    commandTimeout: PROBE_TIMEOUT_MS,
  });
  let failure: unknown;
  redis.on('error', (error) => {
    failure ??= error;
  });
  try {
    await redis.connect();
    await redis.select(options.db ?? 0);
    await redis.publish(`${prefix}:probe`, '');
    await redis.subscribe(`${prefix}:probe`);
  } catch (error) {
    const cause = configurationErrors.includes(reasonOf(failure)) ? failure : error;
    const reason = reasonOf(cause);
    if (!configurationErrors.includes(reason)) return;
    const hint =
      reason === 'permission'
        ? ` (the Redis user needs access to the channels ${prefix}:* and the keys ${prefix}:*)`
        : '';
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`REDIS_URL: Redis rejects this node: ${message.split('\n')[0]}${hint}`, { cause });
  } finally {
    redis.disconnect();
  }
}
