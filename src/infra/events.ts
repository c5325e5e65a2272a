import { RedisPubSub } from 'graphql-redis-subscriptions';
import { PubSub } from 'graphql-subscriptions';
import { Redis } from 'ioredis';
import type { Logger } from './log.js';

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

/** Events over Redis Pub/Sub. Channels carry `prefix`, for Pub/Sub does not heed database numbers. */
export function openRedisEvents(url: string, prefix: string, log: Logger): EventEngine {
  let closed = false;
  const connect = (role: 'publisher' | 'subscriber') => {
    const redis = new Redis(url, {
      connectionName: `parley-${role}`,
      // The subscriber's one command waits for as long as it takes. No ready check: its INFO fails when it comes after
      // the first SUBSCRIBE, and ioredis then connects anew and has forgotten what to subscribe to. A publish that has
      // no connection is lost at once: a queue would send it late and out of order.
      ...(role === 'subscriber'
        ? { maxRetriesPerRequest: null, enableReadyCheck: false }
        : { maxRetriesPerRequest: 0, enableOfflineQueue: false, commandTimeout: COMMAND_TIMEOUT_MS }),
      retryStrategy: (attempt) => Math.min(50 * 2 ** attempt, 1_000),
    });
    redis.on('error', (error) => log.debug({ err: error, role }, 'Redis'));
    redis.on('close', () => closed || log.warn({ role }, 'Redis is out of reach'));
    redis.on('ready', () => log.info({ role }, 'Redis is connected'));
    return redis;
  };
  const publisher = connect('publisher');
  const subscriber = connect('subscriber');
  // One that is frozen keeps its connections open and answers nothing: it is as good as gone, and is connected anew.
  const heartbeat = setInterval(() => {
    for (const redis of [publisher, subscriber]) {
      if (redis.status !== 'ready') continue;
      const answered = redis.ping();
      const silence = setTimeout(() => redis.disconnect(true), COMMAND_TIMEOUT_MS);
      answered.catch(() => {}).finally(() => clearTimeout(silence));
    }
  }, HEARTBEAT_MS);
  const isConnected = () => publisher.status === 'ready' && subscriber.status === 'ready';
  const text = (source: string | Buffer) => source.toString();
  const engine = new RedisPubSub({ publisher, subscriber, serializer: text, deserializer: text });
  return {
    get connected() {
      return isConnected();
    },
    publish: (channel, message) => engine.publish(`${prefix}:${channel}`, message),
    subscribe: (channel, listener) => engine.subscribe<string>(`${prefix}:${channel}`, listener),
    onConnected(listener) {
      const tell = () => {
        if (isConnected()) listener();
      };
      for (const redis of [publisher, subscriber]) redis.on('ready', tell);
      queueMicrotask(tell);
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
