import type { EventEngine } from '../infra/events.js';
import type { Logger } from '../infra/telemetry/log.js';

/**
 * Delivers short texts between nodes at most once: a node that cannot be reached misses what is published meanwhile.
 * Correctness must therefore not depend on the bus, only latency.
 */
export interface Bus {
  /** Whether this node receives what other nodes publish. Always true if there are no other nodes. */
  readonly connected: boolean;
  /**
   * Sends a text without line breaks to the subscribers of the channel on all other nodes. Never throws and never waits.
   * Texts that are published in the same turn of the event loop are sent as one message, in order.
   */
  publish(channel: string, text: string): void;
  /** Calls `listener` with what other nodes publish, whenever the bus is connected. */
  subscribe(channel: string, listener: (text: string) => void): void;
  /** Calls `listener` after each (re)connection, including the first: texts published before it may be lost. */
  onConnected(listener: () => void): void;
  /** Texts published by this node, texts received from others, and messages that could not be sent. */
  readonly counts: { readonly published: number; readonly received: number; readonly lost: number };
  close(): Promise<void>;
}

/**
 * The maximum length of one message in UTF-16 code units: Redis disconnects a subscriber for which some megabytes wait.
 */
const MESSAGE_MAX = 65_536;

/** Creates a bus on an engine. A node does not receive its own messages: it acts on them when it publishes them. */
export function createBus(engine: EventEngine, nodeId: string, log: Logger): Bus {
  const own = `${nodeId} `;
  /** The texts that were published in this turn of the event loop, by channel. */
  const collected = new Map<string, string>();
  const counts = { published: 0, received: 0, lost: 0 };
  const send = (channel: string, text: string) => {
    engine.publish(channel, own + text).catch((error: unknown) => {
      counts.lost += 1;
      log.debug({ err: error, channel }, 'message could not be published');
    });
  };
  const sendCollected = () => {
    for (const [channel, text] of collected) send(channel, text);
    collected.clear();
  };
  return {
    get connected() {
      return engine.connected;
    },
    counts,
    publish(channel, text) {
      counts.published += 1;
      if (collected.size === 0) queueMicrotask(sendCollected);
      const before = collected.get(channel);
      if (before === undefined) collected.set(channel, text);
      else if (before.length + text.length < MESSAGE_MAX) collected.set(channel, `${before}\n${text}`);
      else {
        send(channel, before);
        collected.set(channel, text);
      }
    },
    subscribe(channel, listener) {
      const receive = (message: string) => {
        if (message.startsWith(own)) return;
        for (const text of message.slice(message.indexOf(' ') + 1).split('\n')) {
          counts.received += 1;
          try {
            listener(text);
          } catch (error) {
            log.error({ err: error, channel }, 'message from another node could not be handled');
          }
        }
      };
      engine
        .subscribe(channel, receive)
        .catch((error: unknown) => log.error({ err: error, channel }, 'Redis channel could not be subscribed to'));
    },
    onConnected: (listener) => engine.onConnected(listener),
    close: () => engine.close(),
  };
}
