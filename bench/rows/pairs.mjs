import { measureDeliveries } from '../deliveries.mjs';
import { drive } from '../drive.mjs';
import { stampedText } from '../event.mjs';
import { makePair, register, startNode, startParley } from '../parley.mjs';
import { startPeer } from '../peers.mjs';
import { postgresCpu } from '../place.mjs';
import { openSender } from '../sender.mjs';
import { comparison, median, ratioOf } from '../statistics.mjs';
import { subscribe } from '../subscribers.mjs';

const PAIRS = 32;

export const pairs = {
  key: 'pairs',
  title: 'One to one',
  async measure(world, { audiences: [audience], runs, seconds, warmUp, before, say }) {
    const made = await makePairs(world);
    const seen = { parley: [], before: [], raw: [] };
    for (let run = 1; run <= runs; run += 1) {
      const ours = await measurePairs(world, made, { seconds, warmUp });
      if (before !== undefined) seen.before.push(await measurePairs(world, made, { seconds, warmUp }, before));
      const raw = await measureRaw(world, { audience, seconds, warmUp });
      seen.parley.push(ours);
      seen.raw.push(raw);
      say(
        `pairs, run ${run}: ${ours.perSecond.toFixed(0)} messages/s, server ${ours.server.toFixed(0)} + PostgreSQL ${ours.postgres?.toFixed(0) ?? '?'} µs; raw delivery ${raw.cpu.toFixed(2)} µs`,
      );
    }
    const of = (field, key = 'parley') => seen[key].map((result) => result[field]);
    const compare = (what, field, digits) => [what, of(field, 'before'), of(field), digits];
    const raw = seen.raw.map(({ cpu }) => cpu);
    const together = seen.parley.map(({ server, postgres }) => server + postgres);
    return {
      targets: [
        {
          what: `${PAIRS} pairs: CPU per message of server and PostgreSQL, as a multiple of a delivery by raw \`ws.send\``,
          atMost: 45,
          ...ratioOf(together, raw),
        },
      ],
      tables: [
        {
          title: 'Per message; each one is stored and received before the next is sent',
          head: ['messages/s', 'server µs', 'PostgreSQL µs', 'raw delivery µs', 'p50 ms', 'p99 ms'],
          lines: [
            [
              median(of('perSecond')).toFixed(0),
              median(of('server')).toFixed(0),
              median(of('postgres')).toFixed(0),
              median(raw).toFixed(2),
              (median(of('p50')) / 1_000).toFixed(2),
              (median(of('p99')) / 1_000).toFixed(2),
            ],
          ],
        },
        ...(before === undefined
          ? []
          : [
              comparison('Compared with an earlier build', [
                compare('messages/s', 'perSecond', 0),
                compare('server µs', 'server', 0),
                compare('PostgreSQL µs', 'postgres', 0),
              ]),
            ]),
      ],
      notes: [
        'PostgreSQL: the processes of this database’s connections, without the shared processes that write the WAL and the data files.',
        `A raw delivery: one message at a time to ${audience} subscribers, in the same round.`,
      ],
    };
  },
};

async function makePairs(world) {
  const node = await startNode(world.place);
  const made = [];
  for (let number = 0; number < PAIRS; number += 1) {
    const one = await register(node.place, `sender${number}`);
    made.push(await makePair(node.place, [one, await register(node.place, `receiver${number}`)]));
  }
  await node.stop();
  for (const [number, pair] of made.entries()) world.rooms[`pair ${number}`] = { ...pair, people: [pair.people[1]] };
  return made;
}

async function measurePairs(world, made, { seconds, warmUp }, build) {
  const subject = await startParley(world, build);
  const subscribers = await subscribe(made.flatMap((_, number) => subject.plans(`pair ${number}`, 1)));
  const senders = await Promise.all(made.map(({ people: [sender] }) => openSender(subject.url, sender.token)));
  const seenBy = made.map(() => () => {});
  subscribers.news.on('event', (socket) => seenBy[Number(socket)]());
  subscribers.tellEach(true);
  let sent = 0;
  const talk = (until) =>
    Promise.all(
      made.map(async ({ id }, number) => {
        while (performance.now() < until) {
          const seen = new Promise((resolve) => {
            seenBy[number] = resolve;
          });
          await Promise.all([senders[number].send(id, stampedText(world.textLength)), seen]);
          sent += 1;
        }
      }),
    );
  await talk(performance.now() + warmUp * 1_000);
  await subscribers.stats();
  sent = 0;
  const { server } = subject;
  const before = { server: server.cpu(), postgres: await postgresCpu(world.place), at: performance.now() };
  await talk(before.at + seconds * 1_000);
  const took = (performance.now() - before.at) / 1_000;
  const result = {
    perSecond: sent / took,
    server: (server.cpu() - before.server) / sent,
    postgres: ((await postgresCpu(world.place)) - before.postgres) / sent,
    ...(await subscribers.stats()),
  };
  for (const sender of senders) sender.close();
  await subscribers.stop();
  await subject.stop();
  return result;
}

async function measureRaw(world, { audience, seconds, warmUp }) {
  const subject = await startPeer('raw', world);
  const subscribers = await subscribe(subject.plans('full', audience));
  await drive(subject, subscribers, { inFlight: 1, seconds: warmUp });
  const result = await measureDeliveries(subject, subscribers, { inFlight: 1, seconds: seconds / 2 });
  await subscribers.stop();
  await subject.stop();
  return result;
}
