import { RedisPubSub } from 'graphql-redis-subscriptions';
import { PubSub } from 'graphql-subscriptions';
import { Redis, type RedisOptions } from 'ioredis';
import { createRedisState, type RedisState } from './redis.js';
import type { Logger } from './telemetry/log.js';

/** Milliseconds after which a command that Redis does not answer fails: a frozen Redis must not hold calls. */
const COMMAND_TIMEOUT_MS = 2_000;

/** How often a connection is asked whether anybody is there, in milliseconds. */
const HEARTBEAT_MS = 3_000;

/** An engine of graphql-subscriptions that carries texts, and whether others can be heard over it. */
export interface EventEngine {
  readonly connected: boolean;
  publish(channel: string, text: string): Promise<void>;
  subscribe(channel: string, listener: (text: string) => void): Promise<unknown>;
  /** Calls whenever others can be heard again, the first time too. */
  onConnected(listener: () => void): void;
  close(): Promise<void>;
}

/**
 * Events over Redis Pub/Sub. Channels carry `prefix`, for Pub/Sub does not heed database numbers. Whatever Redis refuses
 * (a password that was changed, channels that are not allowed) is as if it were out of reach, until it works again.
 */
export function openRedisEvents(options: RedisOptions, prefix: string, log: Logger): EventEngine {
  let closed = false;
  const connect = (role: 'publisher' | 'subscriber', state: RedisState) => {
    const redis = new Redis({
      ...options,
      ...state.retries,
      connectionName: `parley-${role}`,
      // The subscriber's one command waits for as long as it takes. No ready check: its INFO fails when it comes after
      // the first SUBSCRIBE, and ioredis then connects anew and has forgotten what to subscribe to. A publish that has
      // no connection is lost at once: a queue would send it late and out of order.
      ...(role === 'subscriber'
        ? // Its own resubscribing fails where nobody can catch it, and never tries again.
          { maxRetriesPerRequest: null, enableReadyCheck: false, enableOfflineQueue: false, autoResubscribe: false }
        : { maxRetriesPerRequest: 0, enableOfflineQueue: false, commandTimeout: COMMAND_TIMEOUT_MS }),
    });
    redis.on('error', (error) => {
      log.debug({ err: error, role }, 'Redis error');
      state.away(error);
    });
    redis.on('close', () => closed || state.away());
    return redis;
  };
  const states = { publisher: createRedisState('publisher', log), subscriber: createRedisState('subscriber', log) };
  const publisher = connect('publisher', states.publisher);
  const subscriber = connect('subscriber', states.subscriber);
  const listeners = new Set<() => void>();
  const channels = new Set<string>();
  /** Whether Redis takes what is published, and has all channels. */
  let takes = false;
  let hears = false;
  const isConnected = () => takes && hears && publisher.status === 'ready' && subscriber.status === 'ready';
  const tell = () => {
    if (isConnected()) for (const listener of listeners) listener();
  };

  /** Asks the publisher whether it may publish, which is what it is for; nobody hears it. */
  async function askPublisher(): Promise<void> {
    try {
      await publisher.publish(`${prefix}:probe`, '');
      const before = takes;
      takes = true;
      states.publisher.works();
      if (!before) tell();
    } catch (error) {
      takes = false;
      if (!closed) states.publisher.away(error);
    }
  }

  const subscribe = subscriber.subscribe.bind(subscriber);
  // RedisPubSub forgets a listener whose SUBSCRIBE failed: for it each one succeeds, and Redis is asked until it does.
  subscriber.subscribe = ((channel: string, done: (error: null) => void) => {
    channels.add(channel);
    void subscribeAll();
    done(null);
  }) as typeof subscriber.subscribe;

  /** Subscribes to all channels anew; what Redis refuses is tried again with the next heartbeat. */
  async function subscribeAll(): Promise<void> {
    if (subscriber.status !== 'ready') return;
    const names = [...channels];
    try {
      if (names.length > 0) await subscribe(...names);
      const before = hears;
      hears = names.length === channels.size;
      if (!hears) return await subscribeAll();
      states.subscriber.works();
      if (!before) tell();
    } catch (error) {
      hears = false;
      if (!closed) states.subscriber.away(error);
    }
  }

  publisher.on('ready', askPublisher);
  publisher.on('close', () => {
    takes = false;
  });
  subscriber.on('ready', subscribeAll);
  subscriber.on('close', () => {
    hears = false;
  });
  // One that is frozen keeps its connections open and answers nothing: it is as good as gone, and is connected anew.
  const heartbeat = setInterval(() => {
    for (const [redis, ask] of [
      [publisher, askPublisher],
      [subscriber, () => (hears ? subscriber.ping().catch(() => {}) : subscribeAll())],
    ] as const) {
      if (redis.status !== 'ready') continue;
      const silence = setTimeout(() => redis.disconnect(true), COMMAND_TIMEOUT_MS);
      ask().finally(() => clearTimeout(silence));
    }
  }, HEARTBEAT_MS);
  const text = (source: string | Buffer) => source.toString();
  const engine = new RedisPubSub({ publisher, subscriber, serializer: text, deserializer: text });
  return {
    get connected() {
      return isConnected();
    },
    publish: (channel, message) => engine.publish(`${prefix}:${channel}`, message),
    subscribe: (channel, listener) => engine.subscribe<string>(`${prefix}:${channel}`, listener),
    onConnected(listener) {
      listeners.add(listener);
      queueMicrotask(() => isConnected() && listener());
    },
    async close() {
      closed = true;
      clearInterval(heartbeat);
      publisher.disconnect();
      subscriber.disconnect();
    },
  };
}

/** Events within this process. */
export function openLocalEvents(): EventEngine {
  const engine = new PubSub();
  return {
    connected: true,
    onConnected() {},
    publish: (channel, message) => engine.publish(channel, message),
    subscribe: (channel, listener) => engine.subscribe(channel, listener),
    close: async () => {},
  };
}
