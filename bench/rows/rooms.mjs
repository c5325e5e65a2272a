import { sendSteadily } from '../drive.mjs';
import { makeRooms, startNode, startParley } from '../parley.mjs';
import { startPeer } from '../peers.mjs';
import { median, ratioOf } from '../statistics.mjs';
import { subscribe } from '../subscribers.mjs';

const SIZE = 5;
const PER_SECOND = 500;
const names = { parley: '**Parley**', socketIo: 'Socket.IO', raw: 'raw `ws.send`' };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const rooms = {
  key: 'rooms',
  title: 'Many small rooms',
  async measure(world, { quick, runs, seconds, warmUp, say }) {
    const count = quick ? 100 : 1_000;
    const node = await startNode(world.place);
    const full = await makeRooms(world, node.place, 'full', count);
    const empty = await makeRooms(world, node.place, 'empty', count);
    await node.stop();
    const seen = Object.fromEntries(Object.keys(names).map((key) => [key, []]));
    for (let run = 1; run <= runs; run += 1) {
      for (const key of Object.keys(names)) {
        const subject = key === 'parley' ? await startParley(world) : await startPeer(key, world);
        const result = await measure(subject, { full, empty, seconds, warmUp });
        seen[key].push(result);
        say(
          `rooms, run ${run}, ${names[key]}: ${result.cpu.toFixed(2)} µs a delivery, ${result.cpuPerSend.toFixed(0)} a send`,
        );
      }
    }
    const of = (key, field = 'cpu') => seen[key].map((result) => result[field]);
    return {
      targets: [
        {
          what: `${count} rooms of ${SIZE}: CPU per delivery against Socket.IO`,
          atMost: 1,
          ...ratioOf(of('parley'), of('socketIo')),
        },
      ],
      tables: [
        {
          title: `${count} rooms of ${SIZE}, ${PER_SECOND} messages/s; µs of server CPU`,
          head: ['Server', 'per delivery', 'vs. Socket.IO', 'per send (subtracted)'],
          lines: Object.entries(names).map(([key, name]) => [
            name,
            median(of(key)).toFixed(2),
            ratioOf(of(key), of('socketIo')).ratio.toFixed(2),
            median(of(key, 'cpuPerSend')).toFixed(0),
          ]),
        },
      ],
      notes: [
        'Sends to rooms with subscribers alternate with sends to as many rooms without, in slices of some seconds; the difference is the cost of the deliveries. It is a small difference of large numbers, so consider the individual runs.',
      ],
    };
  },
};

const SLICES = 4;

async function measure(subject, { full, empty, seconds, warmUp }) {
  const { server } = subject;
  const subscribers = await subscribe(full.flatMap((room) => subject.plans(room, SIZE)));
  await pause(500);
  const steady = { perSecond: PER_SECOND, seconds: seconds / 2 };
  const listened = { ...steady, rooms: full, audience: SIZE };
  const unheard = { ...steady, rooms: empty, audience: 0 };
  await sendSteadily(subject, subscribers, { ...listened, seconds: warmUp / 2 });
  await sendSteadily(subject, subscribers, { ...unheard, seconds: warmUp / 2 });
  await subscribers.stats();
  const sum = { sent: 0, cpu: 0, sends: 0 };
  for (let slice = 0; slice < SLICES; slice += 1) {
    await server.collectGarbage();
    const beforeBoth = server.cpu();
    sum.sent += await sendSteadily(subject, subscribers, listened);
    sum.cpu += server.cpu() - beforeBoth;
    await server.collectGarbage();
    const beforeSends = server.cpu();
    await sendSteadily(subject, subscribers, unheard);
    sum.sends += server.cpu() - beforeSends;
  }
  const stats = await subscribers.stats();
  if (stats.events !== sum.sent * SIZE || stats.disorder > 0 || stats.lost > 0) {
    throw new Error(`${subject.name}: ${sum.sent * SIZE} expected, came: ${JSON.stringify(stats)}`);
  }
  await subscribers.stop();
  await subject.stop();
  return { cpu: (sum.cpu - sum.sends) / (sum.sent * SIZE), cpuPerSend: sum.sends / sum.sent };
}
