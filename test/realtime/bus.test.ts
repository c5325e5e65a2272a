import { PubSub } from 'graphql-subscriptions';
import { expect, it } from 'vitest';
import type { EventEngine } from '../../src/infra/events.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { createBus } from '../../src/realtime/bus.js';

function start() {
  const carried: string[] = [];
  const hub = new PubSub();
  const engine: EventEngine = {
    connected: true,
    onConnected() {},
    publish: (channel, text) => {
      carried.push(text);
      return hub.publish(channel, text);
    },
    subscribe: (channel, listener) => hub.subscribe(channel, listener),
    close: async () => {},
  };
  const log = createLog('silent');
  return { carried, one: createBus(engine, 'one', log), other: createBus(engine, 'other', log) };
}

it('the bus sends texts of the same turn as one message, and delivers them one by one in order', async () => {
  const { carried, one, other } = start();
  const received: string[] = [];
  one.subscribe('changes', (text) => received.push(`own ${text}`));
  other.subscribe('changes', (text) => {
    received.push(text);
    if (text === 'b') throw new Error('a listener that fails');
  });
  other.subscribe('sessions', (text) => received.push(`session ${text}`));
  for (const text of ['a', 'b', 'c d']) one.publish('changes', text);
  one.publish('sessions', 's');
  await new Promise(setImmediate);
  expect(carried).toEqual(['one a\nb\nc d', 'one s']);
  expect(received).toEqual(['a', 'b', 'c d', 'session s']);
  one.publish('changes', 'e');
  await new Promise(setImmediate);
  expect(received.at(-1)).toBe('e');
});

it('the bus limits the size of a message to 64 KB', async () => {
  const { carried, one, other } = start();
  const received: string[] = [];
  other.subscribe('changes', (text) => received.push(text));
  const texts = Array.from({ length: 20 }, (_, index) => `${index} ${'x'.repeat(10_000)}`);
  for (const text of texts) one.publish('changes', text);
  await new Promise(setImmediate);
  expect(received).toEqual(texts);
  expect(carried.length).toBeGreaterThan(2);
  for (const text of carried) expect(text.length).toBeLessThan(66_000);
});
