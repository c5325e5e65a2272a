import { Redis, type RedisOptions } from 'ioredis';
import { ConfigError } from './config/config-error.js';
import type { Logger } from './telemetry/log.js';

/** What Redis says when it will not have us, by what the operator has to look at. */
const refusals: [reason: string, RegExp][] = [
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

/** Why Redis is away, in a word. */
function reasonOf(error: unknown): string {
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
  const text = `${code ?? ''} ${message ?? ''}`;
  return refusals.find(([, pattern]) => pattern.test(text))?.[0] ?? 'connection';
}

/** What one connection to Redis is doing, for the log: each reason why it is away is said once, until it works again. */
export interface RedisState {
  /** It is away, or refuses what is asked of it. Without an error: what was known of it remains. */
  away(error?: unknown): void;
  works(): void;
  /** Connects anew at once, and then less and less often until it works: one that refuses us can be connected to. */
  readonly retries: Pick<RedisOptions, 'retryStrategy'>;
}

export function createRedisState(role: string, log: Logger): RedisState {
  const said = new Set<string>();
  let isAway = true;
  let failures = 0;
  return {
    retries: {
      retryStrategy() {
        failures += 1;
        return Math.min(50 * 2 ** failures, 1_000);
      },
    },
    away(error) {
      isAway = true;
      // A connection that closes says nothing of why: the error that came before it did.
      if (error === undefined && said.size > 0) return;
      const reason = reasonOf(error);
      if (said.has(reason)) return;
      said.add(reason);
      log.warn({ role, reason, ...(error === undefined ? {} : { err: error }) }, 'Redis unreachable');
    },
    works() {
      failures = 0;
      if (!isAway) return;
      isAway = false;
      said.clear();
      log.info({ role }, 'Redis connected');
    },
  };
}

/** Reasons that the configuration is at fault for, and that no waiting mends. */
const wrongConfiguration = ['authentication', 'permission', 'database', 'tls'];
/** Milliseconds that the start waits for Redis; after that it goes on without. */
const PROBE_TIMEOUT_MS = 2_000;

/**
 * Tries once whether Redis takes what a node asks of it. One that is out of reach is no error: nodes start without it.
 * @throws {ConfigError} naming REDIS_URL: Redis answers, and refuses the user, the password, the database, the channels
 *   or the certificate.
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
    const cause = wrongConfiguration.includes(reasonOf(failure)) ? failure : error;
    const reason = reasonOf(cause);
    if (!wrongConfiguration.includes(reason)) return;
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
