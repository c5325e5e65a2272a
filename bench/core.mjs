#!/usr/bin/env node
// How long a message takes from sendMessage to the subscriber, over HTTP and over WebSocket, and how much twenty
// registrations at once hold up everybody else. Starts nodes of its own and removes what it made:
//   node deploy/run.mjs prepare && node bench/core.mjs [--messages 1000] [--runs 3]
// With TEST_DATABASE_URL and TEST_REDIS_URL (or servers on 127.0.0.1) also on PostgreSQL with Redis.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient } from 'graphql-ws';
import pg from 'pg';
import { WebSocket } from 'ws';

const { values } = parseArgs({
  options: { messages: { type: 'string', default: '1000' }, runs: { type: 'string', default: '3' } },
});
const messages = Number(values.messages);
const runs = Number(values.runs);

const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const median = (numbers) =>
  percentile(
    [...numbers].sort((a, b) => a - b),
    0.5,
  );
const ms = (number) => `${number.toFixed(2)} ms`;

/** p50 and p99 of each run, then the median over the runs. */
function report(name, all) {
  const sorted = all.map((samples) => samples.sort((a, b) => a - b));
  const at = (share) => sorted.map((samples) => percentile(samples, share));
  console.log(
    `${name.padEnd(52)} p50 ${ms(median(at(0.5)))}  p99 ${ms(median(at(0.99)))}  (p99 of the runs: ${at(0.99).map(ms).join(', ')})`,
  );
}

const databaseUrl = process.env.TEST_DATABASE_URL ?? 'postgresql://postgres@127.0.0.1:5432/postgres';
const redisUrl = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379';
const name = `parley_bench_${process.pid}`;

const admin = async (sql) => {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 1_000 });
  await client.connect();
  await client.query(sql);
  await client.end();
};

console.log(
  `Node ${process.version}, ${availableParallelism()} processors, server and client side by side; ${runs} runs of ${messages} messages, one at a time\n`,
);
await onFooting('embedded', async (use) => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-bench-'));
  await use({ DATA_DIR: folder });
  await rm(folder, { recursive: true });
});
const servers = await admin(`CREATE DATABASE ${name}`).then(
  () => true,
  (error) => console.log(`PostgreSQL with Redis: not measured (${error.message})`),
);
if (servers) {
  await onFooting('PostgreSQL with Redis', async (use) => {
    const url = new URL(databaseUrl);
    url.pathname = `/${name}`;
    await use({ DATABASE_URL: url.href, REDIS_URL: redisUrl, REDIS_PREFIX: name, JWT_SECRET: 'x'.repeat(32) });
    await admin(`DROP DATABASE ${name} WITH (FORCE)`);
  });
}

async function onFooting(footing, place) {
  await place(async (env) => {
    const node = spawn(process.execPath, ['dist/main.js'], {
      env: { PATH: process.env.PATH, PORT: '0', LOG_LEVEL: 'info', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const url = await new Promise((resolve) => {
      node.stdout.on('data', (chunk) => {
        const found = /"url":"([^"]+)"/.exec(String(chunk));
        if (found) resolve(found[1]);
      });
    });
    try {
      await measure(footing, url);
    } finally {
      node.kill('SIGTERM');
      await once(node, 'exit');
    }
  });
}

async function measure(footing, url) {
  const [alice, bob] = [await register(url, 'alice'), await register(url, 'bob')];
  const opened = await ask(
    url,
    'mutation ($id: ID!) { openDirectConversation(input: { userId: $id }) { conversation { id } } }',
    { id: bob.id },
    alice.token,
  );
  const conversationId = opened.openDirectConversation.conversation.id;

  let arrived = () => {};
  const listener = socket(url, bob.token);
  await new Promise((resolve) => {
    listener.subscribe(
      {
        query:
          '{ messages { type cursor changeSeq message { id seq text createdAt sender { id displayName } conversation { id } } } }'.replace(
            '{',
            'subscription {',
          ),
      },
      {
        next: ({ data }) => (data.messages.type === 'CAUGHT_UP' ? resolve() : arrived()),
        error: console.error,
        complete: () => {},
      },
    );
  });
  const SEND = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id seq } } }';
  const sender = socket(url, alice.token);
  const ways = {
    HTTP: (variables) => ask(url, SEND, variables, alice.token),
    WebSocket: (variables) =>
      new Promise((resolve, reject) => {
        sender.subscribe(
          { query: SEND, variables },
          { next: ({ data, errors }) => (errors ? reject(errors) : resolve(data)), error: reject, complete: () => {} },
        );
      }),
  };
  for (const [way, send] of Object.entries(ways)) {
    const toDelivery = [];
    const toAnswer = [];
    for (let run = -1; run < runs; run += 1) {
      const delivered = [];
      const answered = [];
      for (let count = 0; count < (run < 0 ? 200 : messages); count += 1) {
        const started = performance.now();
        const seen = new Promise((resolve) => {
          arrived = resolve;
        }).then(() => delivered.push(performance.now() - started));
        await send({
          input: { conversationId, text: `message ${count} of run ${run}`, clientMessageId: `${way} ${run} ${count}` },
        });
        answered.push(performance.now() - started);
        await seen;
      }
      // The first run only warms up.
      if (run < 0) continue;
      toDelivery.push(delivered);
      toAnswer.push(answered);
    }
    report(`${footing}: send to receive, sent over ${way}`, toDelivery);
    report(`${footing}: send to answer, over ${way}`, toAnswer);
  }
  await Promise.all([listener.dispose(), sender.dispose()]);

  const alone = [];
  const beside = [];
  for (let run = 0; run < runs; run += 1) {
    alone.push(await pings(url, async () => new Promise((resolve) => setTimeout(resolve, 1_500))));
    beside.push(
      await pings(url, () =>
        Promise.all(Array.from({ length: 20 }, (_, index) => register(url, `many_${run}_${index}`))),
      ),
    );
  }
  report(`${footing}: { __typename } alone`, alone);
  report(`${footing}: { __typename } beside 20 registrations at once`, beside);
  console.log();
}

/** Asks `{ __typename }` again and again, one at a time, for as long as `meanwhile` takes. */
async function pings(url, meanwhile) {
  const samples = [];
  let over = false;
  const other = meanwhile().then(() => {
    over = true;
  });
  while (!over) {
    const started = performance.now();
    await ask(url, '{ __typename }');
    samples.push(performance.now() - started);
  }
  await other;
  return samples;
}

async function ask(url, query, variables = {}, token) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

async function register(url, username) {
  const input = { username, email: `${username}@example.com`, password: 'long enough' };
  const { register } = await ask(
    url,
    'mutation ($input: RegisterInput!) { register(input: $input) { tokens { accessToken } viewer { user { id } } } }',
    { input },
  );
  return { id: register.viewer.user.id, token: register.tokens.accessToken };
}

function socket(url, token) {
  return createClient({
    url: url.replace('http', 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { authorization: token },
    retryAttempts: 0,
  });
}
