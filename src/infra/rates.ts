import { Redis, type RedisOptions } from 'ioredis';
import { LRUCache } from 'lru-cache';
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { rateLimited } from '../core/errors.js';
import { createGates } from './async/gates.js';
import { sha256 } from './auth/tokens.js';
import type { Rate } from './config/kinds.js';
import { createRedisState, type RedisState } from './redis.js';
import type { Logger } from './telemetry/log.js';

/**
 * A rate that all nodes count together, in windows that begin with the first of them. What is counted before it is done
 * may be given back when it turns out well: so several at once cannot all pass before the first one is counted.
 */
export interface SharedRate {
  /** @throws {ChatError} RATE_LIMITED: over the rate, until the window ends. The refused call is not counted. */
  take(...key: string[]): Promise<void>;
  giveBack(...key: string[]): Promise<void>;
  /**
   * Runs work that is counted before it is done and perhaps given back. Only a part of the rate is in progress at once
   * for one key on this node; further calls wait for a moment, so that calls in progress are never taken for failures.
   * @throws {ChatError} RATE_LIMITED with a short wait: too many calls are waiting already.
   */
  inTurn<T>(key: readonly string[], work: () => Promise<T>): Promise<T>;
}

/** What is remembered for a time, by all nodes; a node may forget the oldest of much. */
interface SharedMemory {
  has(...key: string[]): Promise<boolean>;
  add(...key: string[]): Promise<void>;
}

/** Where rates are counted: in Redis; in this process without one, and for as long as that is out of reach. */
export interface RateStore {
  /** Whether all nodes count together at the moment. */
  readonly shared: boolean;
  /** @param message of the error. Without a rate nothing is limited. */
  rate(name: string, message: string, rate: Rate | undefined): SharedRate;
  /** Without a time nothing is remembered. */
  memory(name: string, forMs: number | undefined): SharedMemory;
  close(): void;
}

/** Milliseconds after which a node counts by itself what Redis has not counted: somebody waits for the answer. */
const COMMAND_TIMEOUT_MS = 500;
/**
 * The share of a rate that one node has in progress at once for one key. Several nodes together stay below the rate, so
 * calls in progress alone do not use it up.
 */
const IN_PROGRESS_SHARE = 1 / 8;
/** Calls that wait for one key on a node; a further one is refused, and may come again after that many milliseconds. */
const WAITING_MAX = 1_000;
const WAITING_RETRY_MS = 1_000;
/** What a node remembers by itself, those used last. */
const REMEMBERED_MAX = 100_000;

/** Keys are hashed: they hold names and addresses of people. */
const hashOf = (key: readonly string[]) => Buffer.from(sha256(JSON.stringify(key))).toString('base64url');

/** @param redis how to reach it and what keys begin with; undefined: this process is all there is. */
export function openRateStore(redis: { options: RedisOptions; prefix: string } | undefined, log: Logger): RateStore {
  const state = createRedisState('rates', log);
  const client = redis && connect(redis.options, state, log);

  /** Does it with Redis; otherwise as a node does by itself. */
  async function withRedis<T>(ask: (client: Redis) => Promise<T>, alone: () => T | Promise<T>): Promise<T> {
    // While it connects nothing is sent: a command would wait for that.
    if (client?.status !== 'ready') return alone();
    try {
      const answer = await ask(client);
      state.works();
      return answer;
    } catch (error) {
      // No failure but the answer: over the rate.
      if (error instanceof RateLimiterRes) throw error;
      state.away(error);
      // One that is frozen keeps its connections open: connected anew, it is not asked before it answers.
      if (error instanceof Error && /timed out/.test(error.message)) client.disconnect(true);
      return alone();
    }
  }

  return {
    get shared() {
      return client?.status === 'ready';
    },
    rate(name, message, rate) {
      if (!rate) return { take: async () => {}, giveBack: async () => {}, inTurn: (_key, work) => work() };
      const options = {
        keyPrefix: redis ? `${redis.prefix}:rate:${name}` : name,
        points: rate.count,
        // Redis counts in seconds here.
        duration: Math.max(1, Math.ceil(rate.perMs / 1_000)),
      };
      const own = new RateLimiterMemory(options);
      const shared = client && new RateLimiterRedis({ ...options, storeClient: client });
      const count = (ask: (limiter: RateLimiterAbstract) => Promise<unknown>) =>
        withRedis(
          () => ask(shared ?? own),
          () => ask(own),
        );
      const giveBack = async (hash: string) => void (await count((limiter) => limiter.reward(hash)));
      const gates = createGates({
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
            // The library counts refused calls too: without this, calls that are given back later would not open the
            // rate again.
            await giveBack(hash);
            throw rateLimited(message, Math.ceil(error.msBeforeNext) + 1);
          }
        },
        giveBack: (...key) => giveBack(hashOf(key)),
        inTurn: (key, work) => gates.run(hashOf(key), work),
      };
    },
    memory(name, forMs) {
      if (forMs === undefined) return { has: async () => false, add: async () => {} };
      const own = new LRUCache<string, true>({ max: REMEMBERED_MAX, ttl: forMs });
      const keyOf = (hash: string) => `${redis?.prefix}:${name}:${hash}`;
      return {
        async has(...key) {
          const hash = hashOf(key);
          const remembers = () => own.has(hash);
          return withRedis(async (asked) => (await asked.exists(keyOf(hash))) > 0 || remembers(), remembers);
        },
        async add(...key) {
          const hash = hashOf(key);
          own.set(hash, true);
          await withRedis(
            async (asked) => void (await asked.set(keyOf(hash), 1, 'PX', forMs)),
            () => {},
          );
        },
      };
    },
    close: () => client?.disconnect(),
  };
}

/** Never waits: what cannot be asked at once is counted without it. */
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
    state.away(error);
  });
  return client;
}

/** A rate that each node counts by itself: so many at once, and then evenly as many in that time. */
export interface NodeRate {
  /** @throws {ChatError} RATE_LIMITED with the moment at which the next one goes through. */
  take(key: string): void;
}

/**
 * A bucket for each key, that fills evenly and holds `count`. Own code and not the library's, for it stands on the way of
 * every message: a number in a map, instead of a promise and a timer each.
 */
export function createNodeRate(message: string, rate: Rate | undefined): NodeRate {
  if (!rate) return { take() {} };
  const { count, perMs } = rate;
  const each = perMs / count;
  /** When the bucket will be full again. */
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
      // Sums of fractions are not exact.
      if (waitMs > each / 1_000) throw rateLimited(message, Math.ceil(waitMs));
      fullAt.set(key, full);
    },
  };
}
