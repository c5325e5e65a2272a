import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { graphqlSteps, stampedText } from '../event.mjs';
import { ask, makePair, register, startNode } from '../parley.mjs';
import { httpSender, openSender } from '../sender.mjs';
import { comparison, median, percentile } from '../statistics.mjs';

export const lone = {
  key: 'lone',
  title: 'One sender and one receiver, in both modes',
  async measure({ place }, { quick, runs, before, say }) {
    const messages = quick ? 50 : 500;
    const folder = await mkdtemp(join(tmpdir(), 'parley-bench-'));
    const places = {
      embedded: (key) => ({ env: { DATA_DIR: join(folder, key) } }),
      'PostgreSQL with Redis': () => place,
    };
    const builds = before === undefined ? { now: undefined } : { now: undefined, before };
    const seen = { now: new Map(), before: new Map() };
    try {
      for (let run = 1; run <= runs; run += 1) {
        for (const [mode, where] of Object.entries(places)) {
          for (const [build, directory] of Object.entries(builds)) {
            const found = await measureMode(where(build), messages, `${build}${run}`, directory);
            for (const [what, samples] of Object.entries(found)) {
              const key = `${mode}: ${what}`;
              seen[build].set(key, [...(seen[build].get(key) ?? []), samples]);
              say(`lone, run ${run}, ${build}, ${key}: p50 ${percentile(samples, 0.5).toFixed(2)} ms`);
            }
          }
        }
      }
    } finally {
      await rm(folder, { recursive: true });
    }
    const middles = (all) => all.map((samples) => percentile(samples, 0.5));
    const at = (all, share) => median(all.map((samples) => percentile(samples, share))).toFixed(2);
    return {
      tables: [
        {
          title: `${messages} messages, each sent after the previous one was delivered and answered; ms`,
          head: ['', 'p50', 'p99'],
          lines: [...seen.now].map(([what, all]) => [what, at(all, 0.5), at(all, 0.99)]),
        },
        ...(before === undefined
          ? []
          : [
              comparison(
                'p50 in ms, compared with an earlier build',
                [...seen.now].map(([what, all]) => [what, middles(seen.before.get(what)), middles(all), 2]),
              ),
            ]),
      ],
      notes: [
        'A registration costs 2^10 rounds of bcrypt here, as by default; `{ __typename }` shows how much twenty concurrent ones delay everybody else.',
      ],
    };
  },
};

async function measureMode(place, messages, run, build) {
  const node = await startNode(place, { BCRYPT_COST: '10' }, build);
  const url = node.place;
  const name = `lone_${run}_`;
  const pair = [await register(url, `${name}alice`), await register(url, `${name}bob`)];
  const { id } = await makePair(url, pair);
  let arrived = () => {};
  const listener = await listen(url, pair[1].token, id, () => arrived());
  const overSocket = await openSender(url, pair[0].token);
  const agent = new Agent({ keepAlive: true });
  const ways = { WebSocket: overSocket, HTTP: httpSender(url, pair[0].token, agent) };
  const found = {};
  for (const [way, { send }] of Object.entries(ways)) {
    const delivered = [];
    const answered = [];
    for (let count = -Math.ceil(messages / 5); count < messages; count += 1) {
      const began = performance.now();
      const times = await Promise.all([
        new Promise((resolve) => {
          arrived = () => resolve(performance.now() - began);
        }),
        send(id, stampedText(60)).then(() => performance.now() - began),
      ]);
      // The first messages are a warm-up.
      if (count < 0) continue;
      delivered.push(times[0]);
      answered.push(times[1]);
    }
    found[`send to receive, sent over ${way}`] = delivered;
    found[`send to response, over ${way}`] = answered;
  }
  listener.terminate();
  overSocket.close();
  agent.destroy();
  found['`{ __typename }` alone'] = await pings(url, new Promise((resolve) => setTimeout(resolve, 1_500)));
  const many = Array.from({ length: 20 }, (_, index) => register(url, `${name}many${index}`));
  found['`{ __typename }` during 20 concurrent registrations'] = await pings(url, Promise.all(many));
  await node.stop();
  return found;
}

/** Opens a receiver that reads all events and calls back for each. */
async function listen(url, token, conversationId, onEvent) {
  const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws');
  await once(socket, 'open');
  const [init, , subscribe] = graphqlSteps({ token, conversationId, last: [] });
  socket.send(init.send);
  await once(socket, 'message');
  socket.send(subscribe.send);
  await once(socket, 'message');
  socket.on('message', (data) => {
    if (JSON.parse(String(data)).payload?.data.messages.type === 'SENT') onEvent();
  });
  return socket;
}

/** Sends `{ __typename }` repeatedly, one request at a time, until `meanwhile` resolves. */
async function pings(url, meanwhile) {
  const samples = [];
  let over = false;
  const ending = meanwhile.then(() => {
    over = true;
  });
  while (!over) {
    const began = performance.now();
    await ask(url, '{ __typename }');
    samples.push(performance.now() - began);
  }
  await ending;
  return samples;
}
