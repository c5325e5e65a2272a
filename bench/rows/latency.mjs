import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { drive, sendSteadily } from '../drive.mjs';
import { stampedText } from '../event.mjs';
import { startParley } from '../parley.mjs';
import { startServer } from '../process.mjs';
import { makePeerConversations } from '../single-statement.mjs';
import { median, ratioOf } from '../statistics.mjs';
import { subscribe } from '../subscribers.mjs';

const PER_SECOND = 10;

export const latency = {
  key: 'latency',
  title: 'Latency from send to delivery at a steady rate',
  async measure(world, { audiences: [audience], runs, seconds, warmUp, say }) {
    await world.place.query(makePeerConversations(1));
    const seen = { parley: [], stored: [] };
    for (let run = 1; run <= runs; run += 1) {
      for (const [key, start] of Object.entries({ parley: startParley, stored: startStored })) {
        const stats = await measure(await start(world), { audience, seconds: seconds * 3, warmUp });
        seen[key].push(stats);
        say(`latency, run ${run}, ${key}: p50 ${ms(stats.p50)}, p99 ${ms(stats.p99)} ms`);
      }
    }
    const of = (key, field) => seen[key].map((stats) => stats[field]);
    const line = (name, key) => [name, ...['p50', 'p99', 'max'].map((field) => ms(median(of(key, field))))];
    const rate = `${audience} subscribers, ${PER_SECOND} messages/s (${audience * PER_SECOND} deliveries/s)`;
    return {
      targets: [
        {
          what: `${rate}: p99 against bare \`ws\` with the same insert and Redis round trip`,
          atMost: 1.3,
          ...ratioOf(of('parley', 'p99'), of('stored', 'p99')),
        },
      ],
      tables: [
        {
          title: `${rate}; ms`,
          head: ['Server', 'p50', 'p99', 'max'],
          lines: [line('**Parley**', 'parley'), line('bare `ws`: insert, Redis, raw `ws.send`', 'stored')],
        },
      ],
      notes: ['Measured for every delivery to every subscriber, from the moment when the sender created the text.'],
    };
  },
};

const ms = (microseconds) => (microseconds / 1_000).toFixed(2);

async function measure(subject, { audience, seconds, warmUp }) {
  const subscribers = await subscribe(subject.plans('full', audience));
  const steady = { rooms: ['full'], audience, perSecond: PER_SECOND };
  await drive(subject, subscribers, { inFlight: 1, seconds: warmUp });
  await sendSteadily(subject, subscribers, { ...steady, seconds: 1 });
  await subscribers.stats();
  await sendSteadily(subject, subscribers, { ...steady, seconds });
  const stats = await subscribers.stats();
  await subscribers.stop();
  await subject.stop();
  return stats;
}

async function startStored({ place, template, textLength }) {
  const server = await startServer(fileURLToPath(new URL('../servers/stored.mjs', import.meta.url)), {
    env: {
      DATABASE_URL: place.databaseUrl,
      REDIS_URL: place.redisUrl,
      CHANNEL: `${place.name}:stored`,
      TEMPLATE: JSON.stringify(template),
    },
  });
  const sender = new WebSocket(`ws://127.0.0.1:${server.place}/?room=sender`);
  await once(sender, 'open');
  return {
    name: 'bare ws',
    server,
    plans: (room, count) => [{ port: server.place, path: `/?room=${room}`, count }],
    send: async () => sender.send(stampedText(textLength)),
    settle: async () => {},
    async stop() {
      sender.terminate();
      await server.stop();
    },
  };
}
