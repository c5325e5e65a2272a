#!/usr/bin/env node
// `npm run bench` compares Parley with other servers in one run. docs/BENCHMARKS.md describes the measurements.
import { parseArgs } from 'node:util';
import { endAll, isEnding } from './ending.mjs';
import { installPeers } from './install.mjs';
import { describeMachine, moveToClientCore } from './machine.mjs';
import { makeWorld } from './parley.mjs';
import { makePlace } from './place.mjs';
import { profileInto } from './process.mjs';
import { describe, write } from './report.mjs';
import { builds } from './rows/builds.mjs';
import { calls } from './rows/calls.mjs';
import { connections } from './rows/connections.mjs';
import { encryption } from './rows/encryption.mjs';
import { fanOut } from './rows/fan-out.mjs';
import { history } from './rows/history.mjs';
import { latency } from './rows/latency.mjs';
import { lone } from './rows/lone.mjs';
import { media } from './rows/media.mjs';
import { notifications } from './rows/notifications.mjs';
import { pairs } from './rows/pairs.mjs';
import { people } from './rows/people.mjs';
import { rooms } from './rows/rooms.mjs';
import { search } from './rows/search.mjs';
import { statuses } from './rows/statuses.mjs';
import { storms } from './rows/storms.mjs';
import { viewerFields } from './rows/viewer-fields.mjs';
import { writes } from './rows/writes.mjs';
import { clientKind } from './subscribers.mjs';

const { values } = parseArgs({
  options: {
    rows: { type: 'string' },
    runs: { type: 'string' },
    /** The sizes of the conversation, such as 1000,5000. */
    subscribers: { type: 'string' },
    /** The servers of the fan-out row: parley,raw,coalesced,joinedAlike,socketIo,graphqlWs,yoga. */
    servers: { type: 'string' },
    /** The duration of sending for each measurement. */
    seconds: { type: 'string' },
    /** Uses small numbers, to check that the benchmarks work. */
    quick: { type: 'boolean', default: false },
    /** A directory for the CPU profiles of the servers. */
    profile: { type: 'string' },
    /** The directory of another build, with which the rows builds, fan-out, writes, pairs and lone are compared. */
    before: { type: 'string' },
    /** Includes rows that take long. */
    long: { type: 'boolean', default: false },
    /** Writes docs/BENCHMARKS.md. */
    write: { type: 'boolean', default: false },
  },
});
const { quick, long, before } = values;
const rows = [
  ...[
    fanOut,
    viewerFields,
    latency,
    connections,
    writes,
    pairs,
    rooms,
    lone,
    storms,
    history,
    people,
    search,
    notifications,
    media,
    calls,
    statuses,
    encryption,
  ],
  ...(before === undefined ? [] : [builds]),
];
const keys = rows.map(({ key }) => key);
const wanted = values.rows?.split(',') ?? rows.filter((row) => long || !row.long).map(({ key }) => key);
const unknown = wanted.filter((key) => !keys.includes(key));
if (unknown.length > 0) {
  console.error(`bench: there is no row ${unknown.join(', ')}; there are ${keys.join(', ')}`);
  process.exit(2);
}
if (process.platform !== 'linux') {
  console.error('bench: only Linux is supported, because processor time is read from /proc');
  process.exit(2);
}
const options = {
  quick,
  long,
  before,
  runs: Number(values.runs ?? (quick ? 1 : 3)),
  seconds: Number(values.seconds ?? (quick ? 1 : 4)),
  /** The duration of the warm-up in seconds, after which the code is compiled. */
  warmUp: quick ? 1 : 6,
  audiences: (values.subscribers ?? (quick ? '200' : '1000,5000')).split(',').map(Number),
  servers: values.servers?.split(','),
  say: (text) => console.log(text),
};

installPeers();
if (values.profile) profileInto(values.profile);
moveToClientCore();
try {
  const conditions = describeMachine(clientKind);
  const place = await makePlace();
  conditions.push(...place.description);
  console.log(`${conditions.join('\n')}\n`);
  const world = await makeWorld(place);
  const found = [];
  for (const row of rows.filter(({ key }) => wanted.includes(key))) {
    const date = new Date().toISOString().slice(0, 16).replace('T', ' ');
    const result = await row.measure(world, options);
    found.push({ key: row.key, title: row.title, date: `${date} UTC`, runs: options.runs, conditions, ...result });
    console.log(`\n${describe(found.at(-1))}\n`);
    if (values.write) write(found, keys);
  }
} catch (error) {
  if (!isEnding()) console.error(error);
  process.exitCode = 1;
} finally {
  await endAll();
}
