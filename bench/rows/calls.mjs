import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { openDevice } from '../device.mjs';
import { graphqlSteps, stampedText } from '../event.mjs';
import { makeGroup, makePair, register, startNode } from '../parley.mjs';
import { startServer } from '../process.mjs';
import { median, percentile, ratioOf } from '../statistics.mjs';
import { subscribe } from '../subscribers.mjs';

/** The length of a signal with a few ICE candidates. */
const SIGNAL_CHARS = 400;
/** After how many signals the receiving device acknowledges them. */
const ACKNOWLEDGE_EVERY = 20;
/** How long work continues after the last delivery, in milliseconds, which counts as well. */
const TRAILING_MS = 300;
const DEVICES = 3;

const kinds = { parley: '**Parley**', relay: 'bare `ws` and Redis', stored: 'the same with an insert' };

export const calls = {
  key: 'calls',
  title: 'Calls: signals between devices, and ringing',
  async measure({ place }, { quick, runs, say }) {
    const signals = await measureSignals(place, quick ? 50 : 500, runs, say);
    const members = quick ? 50 : 1_000;
    const rings = await measureRings(place, { members, count: quick ? 3 : 15 }, runs, say);
    const of = (key, field) => signals[key].map((result) => result[field]);
    const audience = `${members} members with ${DEVICES} devices each`;
    const compared = (field) =>
      ratioOf(
        rings.ring.map((result) => result[field]),
        rings.sent.map((result) => result[field]),
      );
    return {
      targets: [
        {
          what: 'a signal to the other device: median time against bare `ws` and Redis, which stores nothing',
          atMost: 1.3,
          ...ratioOf(of('parley', 'p50'), of('relay', 'p50')),
        },
        {
          what: 'a signal to the other device: median time against bare `ws` and Redis with an insert',
          atMost: 1.3,
          ...ratioOf(of('parley', 'p50'), of('stored', 'p50')),
        },
        { what: `${audience}: time until all ring, against a SENT to all`, atMost: 2, ...compared('ms') },
        { what: `${audience}: CPU of a call that rings, against a SENT`, atMost: 2, ...compared('cpuMs') },
      ],
      tables: [
        {
          title: 'One signal at a time, from the request to its arrival; ms',
          head: ['Server', 'p50', 'p99', 'µs of server CPU'],
          lines: Object.entries(kinds).map(([key, name]) => [
            name,
            ...['p50', 'p99'].map((field) => median(of(key, field)).toFixed(2)),
            median(of(key, 'cpuUs')).toFixed(0),
          ]),
        },
        {
          title: `${audience}; medians of ${rings.count} in each run`,
          head: ['', 'ms until all have it', 'ms of server CPU'],
          lines: [
            ['`startCall`', rings.ring],
            ['`sendMessage`', rings.sent],
          ].map(([name, results]) => [
            name,
            ...['ms', 'cpuMs'].map((field) => median(results.map((result) => result[field])).toFixed(1)),
          ]),
        },
      ],
      notes: [
        `A signal has ${SIGNAL_CHARS} characters. Parley stores it before it is delivered, and the other device acknowledges every ${ACKNOWLEDGE_EVERY}; the bare servers check nothing, and the first one would lose a signal to a device that is not connected.`,
        `Every device has one stream: \`calls\` while calls ring, \`messages\` for the messages, with the fields that clients need. Time is from the request to the last of the deliveries; CPU includes the ${TRAILING_MS} ms after it, in which the notifier processes the change. No device receives pushes. The call is left afterwards, which is not included.`,
      ],
    };
  },
};

// ── signals ──

async function measureSignals(place, count, runs, say) {
  await place.query(
    'CREATE TABLE IF NOT EXISTS relayed_signals (seq bigserial PRIMARY KEY, to_id text NOT NULL, payload text NOT NULL)',
  );
  const seen = { parley: [], relay: [], stored: [] };
  for (let run = 1; run <= runs; run += 1) {
    for (const key of Object.keys(kinds)) {
      const subject = key === 'parley' ? await openCall(place, run) : await openRelay(place, key === 'stored');
      const exchange = async () => {
        const began = performance.now();
        const arrived = subject.next();
        await Promise.all([arrived, subject.send('x'.repeat(SIGNAL_CHARS))]);
        return (await arrived) - began;
      };
      for (let warm = 0; warm < count; warm += 1) await exchange();
      const times = [];
      const cpu = subject.server.cpu();
      for (let number = 0; number < count; number += 1) times.push(await exchange());
      const cpuUs = (subject.server.cpu() - cpu) / count;
      await subject.stop();
      const found = { p50: median(times), p99: percentile(times, 0.99), cpuUs };
      seen[key].push(found);
      say(
        `calls, run ${run}, signals, ${kinds[key]}: p50 ${found.p50.toFixed(2)}, p99 ${found.p99.toFixed(2)} ms, ${cpuUs.toFixed(0)} µs of CPU`,
      );
    }
  }
  return seen;
}

/** Resolves `next()` with the time at which `arrive` is called the next time. */
function arrivals() {
  let resolveNext = () => {};
  return {
    arrive: () => resolveNext(performance.now()),
    next: () =>
      new Promise((resolve) => {
        resolveNext = resolve;
      }),
  };
}

const SIGNAL = 'mutation ($input: SendCallSignalsInput!) { sendCallSignals(input: $input) { call { id } } }';
const START = 'mutation ($input: StartCallInput!) { startCall(input: $input) { partyId call { id } } }';
const LEAVE = 'mutation ($input: LeaveCallInput!) { leaveCall(input: $input) { call { id } } }';

/** A call of two users of Parley, with a device each. */
async function openCall(place, run) {
  const node = await startNode(place);
  const [one, other] = [await register(node.place, `signals${run}`), await register(node.place, `receives${run}`)];
  const { id: conversationId } = await makePair(node.place, [one, other]);
  const [sender, receiver] = [await openDevice(node.place, one.token), await openDevice(node.place, other.token)];
  const { startCall } = await sender.ask(START, { input: { conversationId, kind: 'VOICE', clientCallId: 'signals' } });
  const callId = startCall.call.id;
  const { acceptCall } = await receiver.ask(
    'mutation ($input: AcceptCallInput!) { acceptCall(input: $input) { partyId } }',
    { input: { callId } },
  );
  const [fromPartyId, toPartyId] = [startCall.partyId, acceptCall.partyId];
  const { arrive, next } = arrivals();
  let last = 0;
  const caughtUp = new Promise((resolve) => {
    receiver.subscribe(
      'subscription ($partyId: ID) { calls(partyId: $partyId) { type signal { seq fromPartyId payload } } }',
      { partyId: toPartyId },
      ({ type, signal }) => {
        if (type === 'CAUGHT_UP') resolve();
        if (!signal) return;
        last = signal.seq;
        arrive();
      },
    );
  });
  await caughtUp;
  return {
    server: node,
    next,
    async send(payload) {
      await sender.ask(SIGNAL, { input: { callId, fromPartyId, toPartyId, payloads: [payload] } });
      if (last % ACKNOWLEDGE_EVERY !== 0) return;
      const input = { callId, fromPartyId: toPartyId, toPartyId: fromPartyId, payloads: [], acknowledgedSeq: last };
      await receiver.ask(SIGNAL, { input });
    },
    async stop() {
      await sender.ask(LEAVE, { input: { callId, partyId: fromPartyId } });
      sender.close();
      receiver.close();
      await node.stop();
    },
  };
}

async function openRelay(place, isStored) {
  const server = await startServer(fileURLToPath(new URL('../servers/signals.mjs', import.meta.url)), {
    env: {
      DATABASE_URL: place.databaseUrl,
      REDIS_URL: place.redisUrl,
      CHANNEL: `${place.name}:signals`,
      STORE: isStored ? 'on' : 'off',
    },
  });
  const open = async (room) => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.place}/?room=${room}`, { perMessageDeflate: false });
    await once(socket, 'open');
    return socket;
  };
  const [sender, receiver] = [await open('sender'), await open('full')];
  const { arrive, next } = arrivals();
  receiver.on('message', (data) => JSON.parse(String(data)) && arrive());
  return {
    server,
    next,
    send: async (payload) => sender.send(JSON.stringify({ payload })),
    async stop() {
      sender.terminate();
      receiver.terminate();
      await server.stop();
    },
  };
}

// ── ringing ──

const CALLS = `subscription { calls { type call {
  id kind state startedAt ringUntil answeredAt endedAt endReason relayOnly conversation { id }
  startedBy { id username displayName avatarUrl }
  parties { id state microphoneOn cameraOn screenOn user { id username displayName avatarUrl } }
} } }`;
const SEND = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }';

async function measureRings(place, { members, count }, runs, say) {
  const node = await startNode(place);
  const url = node.place;
  const people = [];
  for (let number = 0; number < members; number += 1) people.push(await register(url, `rings${number}`));
  const { id: conversationId } = await makeGroup(url, people, 'Everybody is called');
  const sender = await openDevice(url, people[0].token);
  let keys = 0;
  const actions = {
    sent: {
      query: undefined,
      marker: '"SENT"',
      async act() {
        keys += 1;
        const input = { conversationId, text: stampedText(60), clientMessageId: `ring ${keys}` };
        await sender.ask(SEND, { input });
        return async () => {};
      },
    },
    ring: {
      query: CALLS,
      marker: '"RINGING"',
      async act() {
        keys += 1;
        const input = { conversationId, kind: 'VOICE', clientCallId: `ring ${keys}` };
        const { startCall } = await sender.ask(START, { input });
        return () => sender.ask(LEAVE, { input: { callId: startCall.call.id, partyId: startCall.partyId } });
      },
    },
  };
  const seen = { sent: [], ring: [] };
  for (let run = 1; run <= runs; run += 1) {
    for (const [key, { query, marker, act }] of Object.entries(actions)) {
      const plans = people.map(({ token }) => ({
        port: new URL(url).port,
        path: '/graphql',
        protocol: 'graphql-transport-ws',
        steps: graphqlSteps({ token, ...(query && { query }), last: [{ await: 'CAUGHT_UP' }] }),
        count: DEVICES,
      }));
      const subscribers = await subscribe(plans, { marker });
      subscribers.countBy(subscribers.count);
      await delay(1_000);
      const times = [];
      const cpus = [];
      for (let number = -3; number < count; number += 1) {
        const [cpu, began] = [node.cpu(), performance.now()];
        const delivered = once(subscribers.news, 'delivered').then(() => performance.now());
        const undo = await act();
        const ended = await Promise.race([delivered, subscribers.failed]);
        await delay(TRAILING_MS);
        // The first ones are a warm-up.
        if (number >= 0) {
          times.push(ended - began);
          cpus.push((node.cpu() - cpu) / 1_000);
        }
        await undo();
        await delay(TRAILING_MS);
      }
      await subscribers.stop();
      const found = { ms: median(times), cpuMs: median(cpus) };
      seen[key].push(found);
      say(`calls, run ${run}, ${key}: ${found.ms.toFixed(1)} ms, ${found.cpuMs.toFixed(1)} ms of CPU`);
    }
  }
  sender.close();
  await node.stop();
  return { ...seen, count };
}
