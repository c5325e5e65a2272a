import { measureDeliveries } from '../deliveries.mjs';
import { drive, sendToNobody } from '../drive.mjs';
import { startParley } from '../parley.mjs';
import { startPeer } from '../peers.mjs';
import { comparison, median, ratioOf } from '../statistics.mjs';
import { subscribe } from '../subscribers.mjs';

/** The number of messages in flight in a backlog. */
const BACKLOG = 64;
const modes = [
  { mode: 'single', inFlight: 1 },
  { mode: 'backlog', inFlight: BACKLOG },
];
const names = {
  parley: '**Parley**',
  before: 'Parley, the earlier build',
  raw: 'raw `ws.send`',
  coalesced: 'raw, coalesced without limit',
  joinedAlike: 'raw, coalesced as Parley does',
  socketIo: 'Socket.IO room',
  graphqlWs: 'graphql-ws by default',
  yoga: 'yoga over graphql-ws by default',
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const fanOut = {
  key: 'fan-out',
  title: 'CPU per delivery to one conversation',
  async measure(world, { audiences, runs, seconds, warmUp, servers = Object.keys(names), before, say }) {
    const keys = Object.keys(names).filter((key) => (key === 'before' ? before !== undefined : servers.includes(key)));
    const measured = [];
    for (const audience of audiences) {
      const seen = Object.fromEntries(Object.keys(names).map((key) => [key, []]));
      for (let run = 1; run <= runs; run += 1) {
        for (const key of keys) {
          const result = await measure(await start(world, key, seen.parley.at(-1), before), {
            audience,
            seconds,
            warmUp,
          });
          seen[key].push(result);
          const { single, backlog } = result;
          say(
            `${audience} subscribers, run ${run}, ${names[key]}: ${single.cpu.toFixed(2)} µs, with a backlog ${backlog.cpu.toFixed(2)} µs (${backlog.perWrite.toFixed(1)} a write)`,
          );
        }
      }
      measured.push({ audience, seen });
    }
    return {
      targets: measured.flatMap(targetsOf),
      tables: [...measured.map(tableOf), ...(before === undefined ? [] : measured.map(comparisonOf))],
      // The chart shows only the first table, to stay readable.
      bars: barsOf(measured[0]),
      notes: [
        `One at a time: the next message is sent when all subscribers have the last one. With a backlog: ${BACKLOG} are in flight, and the next is sent when all subscribers have one more.`,
        'CPU is the user and system time of the server process, minus that of the same number of sends to a room without subscribers, which is measured in between. PostgreSQL and Redis are separate processes and not included.',
        'The harness passes each message to a raw peer over a pipe. The peer has nothing to do before it delivers, so it finds the whole backlog in one tick: "coalesced without limit" joins nearly all of it into one write, "coalesced as Parley does" joins as many as Parley did in the same round.',
        'Every subscriber checks that it receives each message once and in order; all servers send frames of the same length.',
      ],
    };
  },
};

function start(world, key, parley, before) {
  if (key === 'parley') return startParley(world);
  if (key === 'before') return startParley(world, before);
  if (key !== 'joinedAlike') return startPeer(key, world);
  return startPeer('coalesced', world, { JOIN_MAX: String(Math.max(1, Math.round(parley?.backlog.perWrite ?? 1))) });
}

async function measure(subject, { audience, seconds, warmUp }) {
  const subscribers = await subscribe(subject.plans('full', audience));
  // graphql-ws does not acknowledge subscriptions; this also waits for the work of connecting to end.
  await pause(500);
  const result = {};
  for (const { mode, inFlight } of modes) {
    // A few messages at a time warm the server up as well as a backlog, but faster.
    await drive(subject, subscribers, { inFlight: Math.min(inFlight, 8), seconds: warmUp / 2 });
    await sendToNobody(subject, { inFlight, count: 50 });
    result[mode] = await measureDeliveries(subject, subscribers, { inFlight, seconds });
  }
  await subscribers.stop();
  await subject.stop();
  return result;
}

const measuredOf = (seen) => Object.entries(names).filter(([key]) => seen[key].length > 0);
const of = (seen, key, mode, field = 'cpu') => seen[key].map((result) => result[mode][field]);

function targetsOf({ audience, seen }) {
  const to = `${audience} subscribers`;
  const against = (key, mode, bound, words) => ({
    what: `${to}, ${words}`,
    ...bound,
    ...ratioOf(of(seen, 'parley', mode), of(seen, key, mode)),
  });
  const cheaper = (key, mode, bound, words) => ({
    what: `${to}, ${words}`,
    ...bound,
    ...ratioOf(of(seen, key, mode), of(seen, 'parley', mode)),
  });
  return [
    against('raw', 'single', { atMost: 1.25 }, 'one at a time: CPU against raw `ws.send`'),
    against('socketIo', 'single', { atMost: 1 }, 'one at a time: CPU against Socket.IO'),
    against('joinedAlike', 'backlog', { atMost: 1.5 }, 'backlog: CPU against raw frames coalesced as Parley does'),
    against('coalesced', 'backlog', { atMost: 1.5 }, 'backlog: CPU against raw frames coalesced without limit'),
    cheaper('graphqlWs', 'single', { atLeast: 4 }, 'one at a time: times cheaper than graphql-ws'),
    cheaper('graphqlWs', 'backlog', { atLeast: 15 }, 'backlog: times cheaper than graphql-ws'),
  ];
}

function tableOf({ audience, seen }) {
  const mid = (key, mode, field) => median(of(seen, key, mode, field));
  const ratio = (key, mode, base) => ratioOf(of(seen, key, mode), of(seen, base, mode)).ratio?.toFixed(2) ?? '–';
  return {
    title: `${audience} subscribers; µs of server CPU per delivery`,
    head: [
      'Server',
      'one at a time',
      'vs. raw',
      'with a backlog',
      'vs. raw',
      'events per write',
      'deliveries/s',
      'client µs',
      'µs per send (subtracted)',
    ],
    lines: measuredOf(seen).map(([key, name]) => [
      name,
      mid(key, 'single', 'cpu').toFixed(2),
      ratio(key, 'single', 'raw'),
      mid(key, 'backlog', 'cpu').toFixed(2),
      ratio(key, 'backlog', 'raw'),
      mid(key, 'backlog', 'perWrite').toFixed(1),
      mid(key, 'backlog', 'perSecond').toFixed(0),
      mid(key, 'backlog', 'clientCpu').toFixed(2),
      mid(key, 'backlog', 'cpuPerSend').toFixed(0),
    ]),
  };
}

const comparisonOf = ({ audience, seen }) =>
  comparison(
    `${audience} subscribers; µs of server CPU per delivery, compared with an earlier build`,
    modes.map(({ mode }) => [
      mode === 'single' ? 'one at a time' : 'with a backlog',
      of(seen, 'before', mode),
      of(seen, 'parley', mode),
      2,
    ]),
  );

function barsOf({ audience, seen }) {
  return modes.map(({ mode }) => ({
    title:
      mode === 'single'
        ? `One message at a time to ${audience} subscribers`
        : `With a backlog, ${audience} subscribers`,
    unit: 'µs of server CPU per delivery, less is better',
    bars: measuredOf(seen).map(([key, name]) => ({
      name: name.replaceAll('*', ''),
      value: median(of(seen, key, mode)),
      ours: key === 'parley',
    })),
  }));
}
