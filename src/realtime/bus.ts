import type { EventEngine } from '../infra/events.js';
import type { Logger } from '../infra/telemetry/log.js';

/**
 * Carries short texts between nodes. At most once: what is published while a node cannot be reached is lost to it,
 * so nothing may depend on the bus but how soon something is noticed.
 */
export interface Bus {
  /** True while what other nodes publish arrives here; always, when there are no others. */
  readonly connected: boolean;
  /**
   * Sends a text without line breaks to the listeners of the channel on all other nodes. Never throws and never waits;
   * what is published in one go travels together, in order.
   */
  publish(channel: string, text: string): void;
  /** Hears what other nodes publish, from the moment that the bus is connected and whenever it is again. */
  subscribe(channel: string, listener: (text: string) => void): void;
  /** Calls whenever the bus is connected, the first time too: what was published before may be lost. */
  onConnected(listener: () => void): void;
  /** Texts that were published here, that were heard from others, and the messages that could not be sent. */
  readonly counts: { readonly published: number; readonly heard: number; readonly lost: number };
  close(): Promise<void>;
}

/** Most UTF-16 units that travel together: Redis cuts off a subscriber for which some megabytes wait. */
const TOGETHER_MAX = 65_536;

/** A bus over an engine. What this node published itself is not heard again: it acts on that at once. */
export function createBus(engine: EventEngine, nodeId: string, log: Logger): Bus {
  const own = `${nodeId} `;
  /** What was published in this turn of the event loop, by channel. */
  const collected = new Map<string, string>();
  const counts = { published: 0, heard: 0, lost: 0 };
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
      else if (before.length + text.length < TOGETHER_MAX) collected.set(channel, `${before}\n${text}`);
      else {
        send(channel, before);
        collected.set(channel, text);
      }
    },
    subscribe(channel, listener) {
      const hear = (message: string) => {
        if (message.startsWith(own)) return;
        for (const text of message.slice(message.indexOf(' ') + 1).split('\n')) {
          counts.heard += 1;
          try {
            listener(text);
          } catch (error) {
            log.error({ err: error, channel }, 'message from another node could not be handled');
          }
        }
      };
      engine
        .subscribe(channel, hear)
        .catch((error: unknown) => log.error({ err: error, channel }, 'Redis channel could not be subscribed to'));
    },
    onConnected: (listener) => engine.onConnected(listener),
    close: () => engine.close(),
  };
}
