import { Redis } from 'ioredis';
import { openDevice } from '../device.mjs';
import { ask, register, startNode } from '../parley.mjs';
import { median } from '../statistics.mjs';

const WATCHED = 20;
const TYPISTS = 50;
const TYPING_SECONDS = 5;

const PRESENCE = 'subscription ($userIds: [ID!]) { presence(userIds: $userIds) { user { id presence { status } } } }';
const MESSAGES = 'subscription ($id: ID!) { messages(conversationId: $id) { type cursor } }';
const RECEIPTS =
  'subscription ($id: ID!) { receipts(conversationId: $id) { type membership { readSeq user { id } } conversation { othersReadSeq } } }';
const TYPING = 'subscription ($id: ID!) { typing(conversationId: $id) { isTyping user { id } } }';
const MARK =
  'mutation ($id: ID!, $seq: Int!) { markRead(input: { conversationId: $id, seq: $seq }) { membership { id } } }';
const SET_TYPING = 'mutation ($id: ID!) { setTyping(input: { conversationId: $id, isTyping: true }) { accepted } }';
const SEND =
  'mutation ($id: ID!) { sendMessage(input: { conversationId: $id, text: "read this" }) { message { seq } } }';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const storms = {
  key: 'storms',
  title: 'Presence, receipts and typing',
  async measure({ place }, { quick, runs, say }) {
    const sizes = quick ? { crowd: 300, group: 100, idleSeconds: 5 } : { crowd: 5_000, group: 1_000, idleSeconds: 60 };
    const settings = { RECEIPT_MAX_MEMBERS: String(sizes.group), TYPING_MAX_MEMBERS: String(sizes.group) };
    const scene = await makeScene(place, sizes, settings);
    const seen = { presence: [], bare: [], receipts: [], typing: [] };
    for (let run = 1; run <= runs; run += 1) {
      seen.bare.push(await comeOnline(place, scene, sizes, { presence: false }));
      seen.presence.push(await comeOnline(place, scene, sizes, { presence: true }));
      seen.receipts.push(await readTogether(place, scene, sizes, settings));
      seen.typing.push(await typeTogether(place, scene, sizes, settings));
      const [{ cpuMs, settleMs }, bare] = [seen.presence.at(-1), seen.bare.at(-1)];
      say(
        `storms, run ${run}: presence ${cpuMs.toFixed(0)} ms of CPU (without ${bare.cpuMs.toFixed(0)}), all notified after ${settleMs.toFixed(0)} ms; ` +
          `marks ${seen.receipts.at(-1).cpuMs.toFixed(0)} ms of CPU, ${seen.receipts.at(-1).tookMs.toFixed(0)} ms; ` +
          `typing ${seen.typing.at(-1).cpuMs.toFixed(0)} ms of CPU`,
      );
    }
    const of = (row, field, digits = 0) => median(seen[row].map((result) => result[field])).toFixed(digits);
    const extra = (field) =>
      median(seen.presence.map((result, index) => ((result[field] - seen.bare[index][field]) * 1_000) / sizes.crowd));
    return {
      tables: [
        {
          title: `${sizes.crowd} users connect within 5 s, each watched by ${WATCHED} others; then ${sizes.idleSeconds} s without activity`,
          head: [
            '',
            'ms of server CPU',
            'Redis commands',
            'events',
            'ms until all events arrived',
            'ms of CPU without activity',
          ],
          lines: [
            [
              'with a `presence` stream each',
              ...['cpuMs', 'redis', 'events', 'settleMs', 'idleMs'].map((field) => of('presence', field)),
            ],
            [
              'with a `messages` stream instead',
              of('bare', 'cpuMs'),
              of('bare', 'redis'),
              '–',
              '–',
              of('bare', 'idleMs'),
            ],
          ],
        },
        {
          title: `All members of a group of ${sizes.group} read one message at the same time, and all subscribe to receipts`,
          head: [
            'ms until the last event arrived',
            'ms of server CPU',
            'transactions',
            'events delivered',
            'µs of CPU per event',
          ],
          lines: [
            [
              ...['tookMs', 'cpuMs', 'transactions', 'events'].map((field) => of('receipts', field)),
              of('receipts', 'perEvent', 2),
            ],
          ],
        },
        {
          title: `${TYPISTS} members of a group of ${sizes.group} call \`setTyping\` ten times a second for ${TYPING_SECONDS} s, and all subscribe to typing`,
          head: ['calls', 'events delivered', 'ms of server CPU', 'µs of CPU per event'],
          lines: [[...['calls', 'events', 'cpuMs'].map((field) => of('typing', field)), of('typing', 'perEvent', 2)]],
        },
      ],
      notes: [
        `A transition (a user connects) costs ${extra('cpuMs').toFixed(0)} µs with its ${WATCHED} watchers, in addition to a connection without presence streams.`,
        'Redis commands are those of the whole server in that time, with one node. Clients and harness have a core of their own but are a single Node process, which limits the rate of marks and events.',
      ],
    };
  },
};

/** Creates users with tokens in one large group, and a smaller group of the first of them. */
async function makeScene(place, { crowd, group }, settings) {
  const node = await startNode(place, settings);
  const url = node.place;
  const people = [];
  for (let from = 0; from < crowd; from += 50) {
    const some = Array.from({ length: Math.min(50, crowd - from) }, (_, index) =>
      register(url, `storm${from + index}`),
    );
    people.push(...(await Promise.all(some)));
  }
  const grow = async (members) => {
    const { createGroup } = await ask(
      url,
      'mutation { createGroup(input: { title: "A crowd" }) { conversation { id } } }',
      {},
      members[0].token,
    );
    const { id } = createGroup.conversation;
    for (let from = 1; from < members.length; from += 100) {
      await ask(
        url,
        'mutation ($input: AddMembersInput!) { addMembers(input: $input) { skippedUserIds } }',
        { input: { conversationId: id, userIds: members.slice(from, from + 100).map((person) => person.id) } },
        members[0].token,
      );
    }
    return id;
  };
  const scene = { people, crowd: await grow(people), group: await grow(people.slice(0, group)) };
  await node.stop();
  return scene;
}

const commandsOf = async (redis) => Number(/total_commands_processed:(\d+)/.exec(await redis.info('stats'))[1]);

async function comeOnline(place, { people, crowd }, { idleSeconds }, { presence }) {
  const node = await startNode(place);
  const redis = new Redis(place.redisUrl);
  const url = node.place;
  // A warm-up, so that compiling code does not count as connection time.
  const warm = await Promise.all(people.slice(0, 50).map(({ token }) => openDevice(url, token)));
  for (const device of warm) device.close();
  await pause(500);
  await node.collectGarbage();
  const before = { cpu: node.cpu(), redis: await commandsOf(redis) };
  const began = performance.now();
  const devices = [];
  let events = 0;
  let online = 0;
  const opening = people.map(async ({ token }, index) => {
    await pause((index / people.length) * 5_000);
    const device = await openDevice(url, token);
    devices.push(device);
    if (!presence) return void device.subscribe(MESSAGES, { id: crowd }, () => {});
    const userIds = Array.from({ length: WATCHED }, (_, step) => people[(index + 1 + step * 37) % people.length].id);
    device.subscribe(PRESENCE, { userIds }, ({ user }) => {
      events += 1;
      if (user.presence.status === 'ONLINE') online += 1;
    });
  });
  await Promise.all(opening);
  const opened = performance.now();
  while (presence && online < people.length * WATCHED) {
    if (performance.now() - opened > 60_000) throw new Error(`${online} of ${people.length * WATCHED} were notified`);
    await pause(5);
  }
  const settleMs = performance.now() - opened;
  if (!presence) await pause(500);
  const result = {
    cpuMs: (node.cpu() - before.cpu) / 1_000,
    redis: (await commandsOf(redis)) - before.redis,
    events,
    settleMs,
    tookMs: performance.now() - began,
  };
  const idle = node.cpu();
  await pause(idleSeconds * 1_000);
  result.idleMs = (node.cpu() - idle) / 1_000;
  for (const device of devices) device.close();
  redis.disconnect();
  await node.stop();
  return result;
}

/** Subscribes a device of every user to the group. */
async function openAll(url, people, id, query, onEvent) {
  const devices = [];
  for (let from = 0; from < people.length; from += 100) {
    const some = people.slice(from, from + 100).map(async ({ token }) => {
      const device = await openDevice(url, token);
      device.subscribe(query, { id }, onEvent);
      return device;
    });
    devices.push(...(await Promise.all(some)));
  }
  await pause(1_000);
  return devices;
}

async function readTogether(place, { people, group: id }, { group }, settings) {
  const node = await startNode(place, settings);
  const readers = people.slice(0, group);
  let events = 0;
  const last = new Map();
  const devices = await openAll(node.place, readers, id, RECEIPTS, ({ type, membership }) => {
    if (type !== 'MOVED') return;
    events += 1;
    last.set(membership.user.id, (last.get(membership.user.id) ?? 0) + 1);
  });
  const { seq } = (await devices[0].ask(SEND, { id })).sendMessage.message;
  const transactions = async () =>
    Number(
      (await place.query('SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()'))[0].xact_commit,
    );
  await pause(1_500);
  const before = { cpu: node.cpu(), transactions: await transactions() };
  const began = performance.now();
  await Promise.all(devices.map((device) => device.ask(MARK, { id, seq })));
  while (events < readers.length * readers.length && performance.now() - began < 60_000) await pause(5);
  const tookMs = performance.now() - began;
  const cpuMs = (node.cpu() - before.cpu) / 1_000;
  // PostgreSQL updates its statistics with a delay.
  await pause(1_500);
  const result = {
    tookMs,
    cpuMs,
    transactions: (await transactions()) - before.transactions,
    events,
    perEvent: (cpuMs * 1_000) / events,
  };
  for (const device of devices) device.close();
  await node.stop();
  return result;
}

async function typeTogether(place, { people, group: id }, { group }, settings) {
  const node = await startNode(place, settings);
  let events = 0;
  const devices = await openAll(node.place, people.slice(0, group), id, TYPING, () => {
    events += 1;
  });
  const cpu = node.cpu();
  const until = performance.now() + TYPING_SECONDS * 1_000;
  let calls = 0;
  await Promise.all(
    devices.slice(0, TYPISTS).map(async (device) => {
      while (performance.now() < until) {
        await device.ask(SET_TYPING, { id });
        calls += 1;
        await pause(100);
      }
    }),
  );
  await pause(500);
  const cpuMs = (node.cpu() - cpu) / 1_000;
  const result = { calls, events, cpuMs, perEvent: (cpuMs * 1_000) / events };
  for (const device of devices) device.close();
  await node.stop();
  return result;
}
