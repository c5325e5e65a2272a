import { memoryOf } from '../cpu.mjs';
import { startParley } from '../parley.mjs';
import { startPeer } from '../peers.mjs';
import { median, ratioOf } from '../statistics.mjs';
import { subscribe } from '../subscribers.mjs';

const names = { parley: '**Parley**', raw: 'raw `ws`', socketIo: 'Socket.IO', graphqlWs: 'graphql-ws by default' };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const connections = {
  key: 'connections',
  title: 'Connecting, and memory per connection',
  async measure(world, { audiences, runs, say }) {
    const count = audiences.at(-1);
    const seen = Object.fromEntries(Object.keys(names).map((key) => [key, []]));
    for (let run = 1; run <= runs; run += 1) {
      for (const key of Object.keys(names)) {
        const subject = key === 'parley' ? await startParley(world) : await startPeer(key, world);
        const result = await measure(subject, count);
        seen[key].push(result);
        say(
          `connections, run ${run}, ${names[key]}: ${result.ms.toFixed(0)} ms, ${result.bytes.toFixed(0)} bytes each`,
        );
      }
    }
    const of = (key, field) => seen[key].map((result) => result[field]);
    return {
      targets: [
        {
          what: `${count} clients connect, sign in and subscribe: time against raw \`ws\` clients`,
          atMost: 2,
          ...ratioOf(of('parley', 'ms'), of('raw', 'ms')),
        },
        {
          what: 'memory per idle connection with one subscription, against raw `ws`',
          atMost: 2,
          ...ratioOf(of('parley', 'bytes'), of('raw', 'bytes')),
        },
      ],
      tables: [
        {
          title: `${count} connections`,
          head: ['Server', 'ms until all are subscribed', 'ms of server CPU', 'KB each'],
          lines: Object.entries(names).map(([key, name]) => [
            name,
            median(of(key, 'ms')).toFixed(0),
            median(of(key, 'cpuMs')).toFixed(0),
            (median(of(key, 'bytes')) / 1_024).toFixed(1),
          ]),
        },
      ],
      notes: [
        'At most 256 connect at the same time, after a warm-up of 100 connections; raw `ws` clients only connect.',
        'Memory is the resident set size (RSS) of the process with the connections minus that without them, both after garbage collection.',
      ],
    };
  },
};

async function measure({ server, plans, stop }, count) {
  const warm = await subscribe(plans('full', 100));
  await warm.stop();
  await settled(server);
  const before = { memory: memoryOf(server.pid), cpu: server.cpu() };
  const subscribers = await subscribe(plans('full', count));
  const cpuMs = (server.cpu() - before.cpu) / 1_000;
  await settled(server);
  const bytes = (memoryOf(server.pid) - before.memory) / count;
  await subscribers.stop();
  await stop();
  return { ms: subscribers.connectMs, cpuMs, bytes };
}

/** Waits until the memory that a burst of connections used is no longer decreasing. */
async function settled(server) {
  let held = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 10; tries += 1) {
    await pause(700);
    await server.collectGarbage('last-resort');
    const now = memoryOf(server.pid);
    if (now > held * 0.99) return;
    held = now;
  }
}
