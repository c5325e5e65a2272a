import { RedisPubSub } from 'graphql-redis-subscriptions';
import { PubSub } from 'graphql-subscriptions';
import { Redis, type RedisOptions } from 'ioredis';
import { createRedisState, type RedisState } from './redis.js';
import type { Logger } from './telemetry/log.js';

/**
 * Milliseconds after which a command that Redis does not answer fails, so that an unresponsive Redis does not block
 * callers.
 */
const COMMAND_TIMEOUT_MS = 2_000;

/** The interval of the checks of both connections, in milliseconds. */
const HEARTBEAT_MS = 3_000;

/** Publish and subscribe for text messages, based on graphql-subscriptions. */
export interface EventEngine {
  readonly connected: boolean;
  publish(channel: string, text: string): Promise<void>;
  subscribe(channel: string, listener: (text: string) => void): Promise<unknown>;
  /** Calls the listener whenever the connection to the other nodes is established, including the first time. */
  onConnected(listener: () => void): void;
  close(): Promise<void>;
}

/**
 * Events over Redis Pub/Sub. Channel names begin with `prefix`, because Pub/Sub ignores database numbers. If Redis
 * rejects commands (because a password was changed, or channels are not permitted), it is treated as disconnected until
 * it accepts them again.
 */
export function openRedisEvents(options: RedisOptions, prefix: string, log: Logger): EventEngine {
  let closed = false;
  const connect = (role: 'publisher' | 'subscriber', state: RedisState) => {
    const redis = new Redis({
      ...options,
      ...state.retries,
      connectionName: `parley-${role}`,
      // The subscriber's only command waits indefinitely. It has no ready check: its INFO fails if it is sent after the
      // first SUBSCRIBE, and ioredis then reconnects without restoring the subscriptions. A publish without a
      // connection fails at once, because a queue would send the message late and out of order.
      ...(role === 'subscriber'
        ? // ioredis' own resubscription causes a rejection that nobody can handle, and is not retried.
          { maxRetriesPerRequest: null, enableReadyCheck: false, enableOfflineQueue: false, autoResubscribe: false }
        : { maxRetriesPerRequest: 0, enableOfflineQueue: false, commandTimeout: COMMAND_TIMEOUT_MS }),
    });
    redis.on('error', (error) => {
      log.debug({ err: error, role }, 'Redis error');
      state.failed(error);
    });
    redis.on('close', () => closed || state.failed());
    return redis;
  };
  const states = { publisher: createRedisState('publisher', log), subscriber: createRedisState('subscriber', log) };
  const publisher = connect('publisher', states.publisher);
  const subscriber = connect('subscriber', states.subscriber);
  const listeners = new Set<() => void>();
  const channels = new Set<string>();
  /** Whether Redis accepts publishes, and whether all channels are subscribed. */
  let canPublish = false;
  let isSubscribed = false;
  const isConnected = () => canPublish && isSubscribed && publisher.status === 'ready' && subscriber.status === 'ready';
  const notify = () => {
    if (isConnected()) for (const listener of listeners) listener();
  };

  /** Publishes to a channel without subscribers, to check whether the publisher is permitted to publish. */
  async function probePublisher(): Promise<void> {
    try {
      await publisher.publish(`${prefix}:probe`, '');
      const before = canPublish;
      canPublish = true;
      states.publisher.succeeded();
      if (!before) notify();
    } catch (error) {
      canPublish = false;
      if (!closed) states.publisher.failed(error);
    }
  }

  const subscribe = subscriber.subscribe.bind(subscriber);
  // RedisPubSub drops a listener whose SUBSCRIBE failed. It therefore always receives the result that
  // SUBSCRIBE succeeded, and the actual SUBSCRIBE is retried until it does.
  subscriber.subscribe = ((channel: string, done: (error: null) => void) => {
    channels.add(channel);
    void subscribeAll();
    done(null);
  }) as typeof subscriber.subscribe;

  /** Subscribes to all channels. If Redis rejects this, it is retried with the next heartbeat. */
  async function subscribeAll(): Promise<void> {
    if (subscriber.status !== 'ready') return;
    const names = [...channels];
    try {
      if (names.length > 0) await subscribe(...names);
      const before = isSubscribed;
      isSubscribed = names.length === channels.size;
      if (!isSubscribed) return await subscribeAll();
      states.subscriber.succeeded();
      if (!before) notify();
    } catch (error) {
      isSubscribed = false;
      if (!closed) states.subscriber.failed(error);
    }
  }

  publisher.on('ready', probePublisher);
  publisher.on('close', () => {
    canPublish = false;
  });
  subscriber.on('ready', subscribeAll);
  subscriber.on('close', () => {
    isSubscribed = false;
  });
  // An unresponsive Redis keeps its connections open. They are closed and reopened if a check is not answered in time.
  const heartbeat = setInterval(() => {
    for (const [redis, ask] of [
      [publisher, probePublisher],
      [subscriber, () => (isSubscribed ? subscriber.ping().catch(() => {}) : subscribeAll())],
    ] as const) {
      if (redis.status !== 'ready') continue;
      const timeout = setTimeout(() => redis.disconnect(true), COMMAND_TIMEOUT_MS);
      ask().finally(() => clearTimeout(timeout));
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
