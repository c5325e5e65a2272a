import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stampedText } from '../event.mjs';
import { works } from '../machine.mjs';
import { makeRooms, startNode, startParley } from '../parley.mjs';
import { postgresCpu } from '../place.mjs';
import { startServer } from '../process.mjs';
import { httpSender } from '../sender.mjs';
import { anySender, makePeerConversations, peerConversation, singleStatement } from '../single-statement.mjs';
import { comparison, median, percentile, ratioOf } from '../statistics.mjs';

const IN_FLIGHT = 64;
const PGBENCH_CLIENTS = 16;
const hasPgbench = works('pgbench');

export const writes = {
  key: 'writes',
  title: 'Sends, stored and answered',
  async measure(world, { quick, runs, seconds, warmUp, before, say }) {
    const times = { seconds, warmUp };
    const many = quick ? 100 : 1_000;
    const node = await startNode(world.place);
    const spread = await makeRooms(world, node.place, 'empty', many);
    await node.stop();
    await world.place.query(makePeerConversations(many));
    // Otherwise nodes would add the peers' messages to the search index during the measurement, as after an upgrade.
    await world.place.query(`ALTER TABLE messages ALTER COLUMN search SET DEFAULT ''`);
    const places = [
      { key: 'hot', words: 'one hot conversation', rooms: ['empty'], count: 1 },
      { key: 'many', words: `${many} conversations`, rooms: spread, count: many },
    ];
    const seen = {};
    const note = (key, result) => {
      seen[key] ??= [];
      seen[key].push(result);
      say(
        `writes, ${key}: ${result.perSecond.toFixed(0)}/s, p50 ${result.p50.toFixed(2)} ms, p99 ${result.p99.toFixed(2)} ms`,
      );
    };
    const noteOurs = async (key, rooms, inFlight) => {
      for (const way of ['webSocket', 'http']) {
        note(`${way} ${key}`, await ours(world, way, rooms, inFlight, times));
        if (before === undefined) continue;
        note(`${way} before ${key}`, await ours(world, way, rooms, inFlight, times, before));
      }
    };
    for (let run = 1; run <= runs; run += 1) {
      for (const { key, rooms, count } of places) {
        await noteOurs(key, rooms, IN_FLIGHT);
        if (hasPgbench) note(`pgbench ${key}`, await pgbench(world, count, PGBENCH_CLIENTS, seconds));
        note(`prisma ${key}`, await prisma(world, count, IN_FLIGHT, times));
      }
      await noteOurs('lone', ['empty'], 1);
      if (hasPgbench) note('pgbench lone', await pgbench(world, 1, 1, seconds));
      note('prisma lone', await prisma(world, 1, 1, times));
    }
    const of = (key, field = 'perSecond') => (seen[key] ?? []).map((result) => result[field]);
    const cell = (key, field, digits) => {
      const values = of(key, field).filter(Number.isFinite);
      return values.length === 0 ? '–' : median(values).toFixed(digits);
    };
    const against = (key, base) => ratioOf(of(key), of(base)).ratio?.toFixed(2) ?? '–';
    const names = {
      webSocket: '**Parley**, `sendMessage` over WebSocket',
      http: '**Parley**, `sendMessage` over HTTP',
      pgbench: `pgbench -c ${PGBENCH_CLIENTS}, one prepared statement`,
      prisma: 'Prisma interactive transaction',
    };
    const compared = [...places, { key: 'lone', words: 'one at a time' }].flatMap(({ key, words }) =>
      ['webSocket', 'http'].map((way) => [
        `${words}, over ${way === 'http' ? 'HTTP' : 'WebSocket'}`,
        of(`${way} before ${key}`),
        of(`${way} ${key}`),
        0,
      ]),
    );
    return {
      targets: places.map(({ key, words }) => ({
        what: `answered sends/s over WebSocket, ${words}, ${IN_FLIGHT} in flight, against pgbench -c ${PGBENCH_CLIENTS}`,
        atLeast: key === 'hot' ? 2 : 0.6,
        ...ratioOf(of(`webSocket ${key}`), of(`pgbench ${key}`)),
      })),
      tables: [
        ...places.map(({ key, words }) => ({
          title: `${words}, ${IN_FLIGHT} in flight`,
          head: ['', 'sends/s', 'vs. pgbench', 'p50 ms', 'p99 ms', 'server µs', 'PostgreSQL µs'],
          lines: Object.entries(names).map(([who, name]) => [
            name,
            cell(`${who} ${key}`, 'perSecond', 0),
            against(`${who} ${key}`, `pgbench ${key}`),
            ...['p50', 'p99'].map((field) => cell(`${who} ${key}`, field, 1)),
            ...['server', 'postgres'].map((field) => cell(`${who} ${key}`, field, 0)),
          ]),
        })),
        {
          title: 'One send at a time',
          head: ['', 'sends/s', 'p50 ms', 'p99 ms'],
          lines: Object.entries(names).map(([who, name]) => [
            name.replace(`-c ${PGBENCH_CLIENTS}`, '-c 1'),
            cell(`${who} lone`, 'perSecond', 0),
            ...['p50', 'p99'].map((field) => cell(`${who} lone`, field, 2)),
          ]),
        },
        ...(before === undefined ? [] : [comparison('Sends/s, compared with an earlier build', compared)]),
      ],
      notes: [
        'Parley’s sends are complete: authenticated, authorized, idempotent by a key, and announced to Redis. Over WebSocket several users send, each over their own connection; over HTTP the same users, with as many connections as requests in flight.',
        'pgbench’s statement assigns the numbers and inserts message and change into the same tables, in separate conversations. It checks no permissions, detects no repetitions, and its messages are not indexed for search.',
        'PostgreSQL and its disk are the same for all, on both cores; pgbench runs on core 1 like the clients.',
        ...(hasPgbench ? [] : ['pgbench is not installed here.']),
      ],
    };
  },
};

/** Keeps this number of sends in flight until the time is over. */
async function keepSending(send, inFlight, seconds) {
  const began = performance.now();
  const took = [];
  const work = async () => {
    while (performance.now() - began < seconds * 1_000) {
      const start = performance.now();
      await send();
      took.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  return { took, seconds: (performance.now() - began) / 1_000 };
}

const summarize = (took, seconds) => ({
  perSecond: took.length / seconds,
  p50: median(took),
  p99: percentile(took, 0.99),
});

async function ours(world, way, rooms, inFlight, { seconds, warmUp }, build) {
  const subject = await startParley(world, build);
  const agent = new Agent({ keepAlive: true, maxSockets: inFlight });
  let turn = 0;
  const nextRoom = () => {
    turn += 1;
    return rooms[turn % rooms.length];
  };
  const overHttp = () => {
    const { id, person } = subject.next(nextRoom());
    return httpSender(subject.url, person.token, agent).send(id, stampedText(world.textLength));
  };
  const send = way === 'http' ? overHttp : () => subject.send(nextRoom());
  await keepSending(send, inFlight, warmUp);
  const before = { server: subject.server.cpu(), postgres: await postgresCpu(world.place) };
  const { took, seconds: passed } = await keepSending(send, inFlight, seconds);
  const result = {
    ...summarize(took, passed),
    server: (subject.server.cpu() - before.server) / took.length,
    postgres: ((await postgresCpu(world.place)) - before.postgres) / took.length,
  };
  agent.destroy();
  await subject.stop();
  return result;
}

async function prisma({ place }, conversations, inFlight, { seconds, warmUp }) {
  const server = await startServer(fileURLToPath(new URL('../servers/prisma-transactions.mjs', import.meta.url)), {
    env: { DATABASE_URL: place.databaseUrl },
  });
  const run = (time) => server.request({ conversations, inFlight, seconds: time }, 'took');
  await run(warmUp);
  const before = { server: server.cpu(), postgres: await postgresCpu(place) };
  const took = await run(seconds);
  const result = {
    ...summarize(took, seconds),
    server: (server.cpu() - before.server) / took.length,
    postgres: ((await postgresCpu(place)) - before.postgres) / took.length,
  };
  await server.stop();
  return result;
}

async function pgbench({ place }, conversations, clients, seconds) {
  const folder = await mkdtemp(join(tmpdir(), 'parley-bench-'));
  const script = join(folder, 'send.sql');
  const statement = singleStatement({
    conversation: peerConversation(':n'),
    sender: anySender,
    text: `'a message as people write them'`,
  });
  await writeFile(script, `\\set n random(1, ${conversations})\n${statement.replaceAll('\n', ' ')};\n`);
  const args = [
    '-n',
    '-l',
    '-M',
    'prepared',
    '-f',
    script,
    '-c',
    String(clients),
    '-j',
    '1',
    '-T',
    String(Math.ceil(seconds)),
  ];
  const { stdout } = await promisify(execFile)('pgbench', [...args, place.databaseUrl], { cwd: folder });
  // One line per transaction: client, number, microseconds, …
  const logs = (await readdir(folder)).filter((name) => name.startsWith('pgbench_log'));
  const lines = (await Promise.all(logs.map((name) => readFile(join(folder, name), 'utf8'))))
    .join('')
    .trim()
    .split('\n');
  await rm(folder, { recursive: true });
  return {
    ...summarize(
      lines.map((line) => Number(line.split(' ')[2]) / 1_000),
      seconds,
    ),
    perSecond: Number(/tps = ([\d.]+)/.exec(stdout)[1]),
  };
}
