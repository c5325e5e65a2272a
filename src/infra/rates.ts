import { Redis, type RedisOptions } from 'ioredis';
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { rateLimited } from '../core/errors.js';
import { createKeyedQueue } from './async/keyed-queue.js';
import { sha256 } from './auth/tokens.js';
import { createCache } from './cache.js';
import type { Rate } from './config/kinds.js';
import { createRedisState, type RedisState } from './redis.js';
import type { Logger } from './telemetry/log.js';

/**
 * A rate limit that is shared by all nodes, with fixed windows that begin with their first call. A caller can count an
 * operation before it runs and refund it if it succeeds, so that concurrent operations cannot all pass before the first
 * one is counted.
 */
export interface SharedRate {
  /**
   * Counts one call. Throws RATE_LIMITED with the time until the window ends if the limit is exceeded; the rejected
   * call is not counted.
   */
  take(...key: string[]): Promise<void>;
  refund(...key: string[]): Promise<void>;
  /**
   * Runs an operation that is counted before it runs and may be refunded. For one key, only a part of the limit is in
   * progress at once on this node; further calls wait, so that operations in progress do not exhaust the limit.
   * @throws {ChatError} RATE_LIMITED with a short delay if too many calls are waiting already.
   */
  runLimited<T>(key: readonly string[], work: () => Promise<T>): Promise<T>;
}

/** Keys that all nodes remember for some time. If a node has too many, it forgets the least recently used ones. */
interface SharedMemory {
  has(...key: string[]): Promise<boolean>;
  add(...key: string[]): Promise<void>;
}

/** Storage of rate limits: Redis, or this process if Redis is not configured or cannot be reached. */
export interface RateStore {
  /** Whether the counts are currently shared by all nodes. */
  readonly shared: boolean;
  /**
   * Creates a rate limit.
   * @param message the message of the error.
   * @param rate undefined for no limit.
   */
  rate(name: string, message: string, rate: Rate | undefined): SharedRate;
  /** Creates a memory that keeps keys for `forMs` milliseconds; if undefined, it remembers nothing. */
  memory(name: string, forMs: number | undefined): SharedMemory;
  close(): void;
}

/**
 * Milliseconds after which a node stops waiting for Redis and counts locally, because a client is waiting for the
 * response.
 */
const COMMAND_TIMEOUT_MS = 500;
/**
 * The share of a limit that one node has in progress at once for one key, so that operations in progress on several
 * nodes do not exhaust the limit.
 */
const IN_PROGRESS_SHARE = 1 / 8;
/**
 * The maximum number of calls that wait for one key on a node, and the delay in milliseconds after which a rejected
 * call may be retried.
 */
const WAITING_MAX = 1_000;
const WAITING_RETRY_MS = 1_000;
/** The maximum number of keys in the local memory, of which the least recently used are forgotten. */
const REMEMBERED_MAX = 100_000;

/** Keys are hashed, because they contain names and addresses. */
const hashOf = (key: readonly string[]) => Buffer.from(sha256(JSON.stringify(key))).toString('base64url');

/** @param redis the connection and the prefix of the keys; undefined counts in this process only. */
export function openRateStore(redis: { options: RedisOptions; prefix: string } | undefined, log: Logger): RateStore {
  const state = createRedisState('rates', log);
  const client = redis && connect(redis.options, state, log);

  /** Runs `ask` with Redis, or `locally` if Redis is disconnected or fails. */
  async function withRedis<T>(ask: (client: Redis) => Promise<T>, locally: () => T | Promise<T>): Promise<T> {
    // Commands are not sent while connecting, because they would wait for the connection.
    if (client?.status !== 'ready') return locally();
    try {
      const answer = await ask(client);
      state.succeeded();
      return answer;
    } catch (error) {
      // This is not a failure but the result: the limit is exceeded.
      if (error instanceof RateLimiterRes) throw error;
      state.failed(error);
      // An unresponsive Redis keeps its connections open. After a reconnect no command is sent until it responds.
      if (error instanceof Error && /timed out/.test(error.message)) client.disconnect(true);
      return locally();
    }
  }

  return {
    get shared() {
      return client?.status === 'ready';
    },
    rate(name, message, rate) {
      if (!rate) return { take: async () => {}, refund: async () => {}, runLimited: (_key, work) => work() };
      const options = {
        keyPrefix: redis ? `${redis.prefix}:rate:${name}` : name,
        points: rate.count,
        // This library counts in seconds.
        duration: Math.max(1, Math.ceil(rate.perMs / 1_000)),
      };
      const own = new RateLimiterMemory(options);
      const shared = client && new RateLimiterRedis({ ...options, storeClient: client });
      const count = (ask: (limiter: RateLimiterAbstract) => Promise<unknown>) =>
        withRedis(
          () => ask(shared ?? own),
          () => ask(own),
        );
      const refund = async (hash: string) => void (await count((limiter) => limiter.reward(hash)));
      const queue = createKeyedQueue({
        atOnce: Math.max(1, Math.ceil(rate.count * IN_PROGRESS_SHARE)),
        waitingMax: WAITING_MAX,
        refusal: () => rateLimited('Too many requests. Try again in a moment.', WAITING_RETRY_MS),
      });
      return {
        async take(...key) {
          const hash = hashOf(key);
          try {
            await count((limiter) => limiter.consume(hash));
          } catch (error) {
            if (!(error instanceof RateLimiterRes)) throw error;
            // The library also counts rejected calls. Without this correction, refunds of earlier calls would not make
            // room again.
            await refund(hash);
            throw rateLimited(message, Math.ceil(error.msBeforeNext) + 1);
          }
        },
        refund: (...key) => refund(hashOf(key)),
        runLimited: (key, work) => queue.run(hashOf(key), work),
      };
    },
    memory(name, forMs) {
      if (forMs === undefined) return { has: async () => false, add: async () => {} };
      const own = createCache<true>(REMEMBERED_MAX, { ttl: forMs });
      const keyOf = (hash: string) => `${redis?.prefix}:${name}:${hash}`;
      return {
        async has(...key) {
          const hash = hashOf(key);
          const remembers = () => own.has(hash);
          return withRedis(async (redis) => (await redis.exists(keyOf(hash))) > 0 || remembers(), remembers);
        },
        async add(...key) {
          const hash = hashOf(key);
          own.set(hash, true);
          await withRedis(
            async (redis) => void (await redis.set(keyOf(hash), 1, 'PX', forMs)),
            () => {},
          );
        },
      };
    },
    close: () => client?.disconnect(),
  };
}

/** Opens a connection without offline queue and retries, so that commands fail at once while it is not connected. */
function connect(options: RedisOptions, state: RedisState, log: Logger): Redis {
  const client = new Redis({
    ...options,
    ...state.retries,
    connectionName: 'parley-rates',
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    commandTimeout: COMMAND_TIMEOUT_MS,
  });
  client.on('error', (error) => {
    log.debug({ err: error, role: 'rates' }, 'Redis error');
    state.failed(error);
  });
  return client;
}

/**
 * A rate limit that each node counts on its own, with a token bucket: it allows a burst of `count` calls, and refills
 * evenly.
 */
export interface NodeRate {
  /** Counts one call. Throws RATE_LIMITED with the time until the next call is allowed if the limit is exceeded. */
  take(key: string): void;
}

/**
 * Creates a token bucket per key with `count` tokens. This is not the library's implementation because it is used for
 * every message: it needs one number per key, and no promises or timers.
 */
export function createNodeRate(message: string, rate: Rate | undefined): NodeRate {
  if (!rate) return { take() {} };
  const { count, perMs } = rate;
  const each = perMs / count;
  /** The time at which the bucket of a key will be full again. */
  const fullAt = new Map<string, number>();
  let nextSweep = 0;
  return {
    take(key) {
      const now = performance.now();
      if (now >= nextSweep) {
        for (const [other, at] of fullAt) if (at <= now) fullAt.delete(other);
        nextSweep = now + perMs;
      }
      const full = Math.max(fullAt.get(key) ?? 0, now) + each;
      const waitMs = full - now - perMs;
      // Tolerates rounding errors of floating-point numbers.
      if (waitMs > each / 1_000) throw rateLimited(message, Math.ceil(waitMs));
      fullAt.set(key, full);
    },
  };
}
