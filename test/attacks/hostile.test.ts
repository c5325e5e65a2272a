import { request as httpRequest } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { decodeGlobalId, encodeGlobalId, newId } from '../../src/core/ids.js';
import { type Attack, attackForm, runAttack, startProbe } from '../support/attack.js';
import { type Json, type Person, register, request, socketUrl } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { nodeProcess, within } from '../support/fleet.js';
import { heapOf, inspected } from '../support/inside.js';
import { footings, makePlace } from '../support/place.js';
import { freePort } from '../support/servers.js';
import { createGroup, insertGroups, send } from '../support/talk.js';

/** How long each attack lasts, in milliseconds. */
const LASTS_MS = attackForm(500, 20_000);
/** By how much the 99th percentile of somebody else's calls may rise, in milliseconds. */
const RISE_MAX_MS = 100;
/** How far the heap may stay above what it was before, as a factor. */
const HEAP_FACTOR = 1.2;
/** Most that a node may write to its log within one attack, in characters. */
const LOG_MAX_CHARS = 500_000;

/** A socket whose session has begun; resolves with undefined where the node refuses it. */
async function openSocket(url: string, token?: string, payload: Json = {}): Promise<WebSocket | undefined> {
  const socket = new WebSocket(socketUrl(url), 'graphql-transport-ws');
  return new Promise((resolve) => {
    socket.once('error', () => resolve(undefined));
    socket.once('close', () => resolve(undefined));
    socket.once('message', () => resolve(socket));
    socket.once('open', () =>
      socket.send(
        JSON.stringify({ type: 'connection_init', payload: { ...payload, ...(token && { authorization: token }) } }),
      ),
    );
  });
}

/** Waits until the time is up, then closes all of them and waits for that. */
async function keepOpen(sockets: (WebSocket | undefined)[], over: AbortSignal): Promise<void> {
  if (!over.aborted) await new Promise((resolve) => over.addEventListener('abort', resolve, { once: true }));
  await Promise.all(
    sockets.map(async (socket) => {
      if (!socket || socket.readyState === WebSocket.CLOSED) return;
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.terminate();
      await closed;
    }),
  );
}

/** A POST of a document; a document that the schema does not have would be no attack at all. */
const postAs =
  (token: string | undefined, query: () => string, variables: Json = {}) =>
  async (url: string): Promise<void> => {
    const { errors } = await request(url, query(), variables, token);
    const invalid = errors?.find(({ extensions }: Json) => extensions.code === 'GRAPHQL_VALIDATION_FAILED');
    if (invalid) throw new Error(invalid.message);
  };

/** A character of the common ones in Chinese texts. */
const han = (index: number) => String.fromCodePoint(0x4e00 + (index % 5_000));

const attacks: Attack[] = [
  {
    name: 'searches for many single characters in long Chinese messages',
    async prepare({ url }) {
      const attacker = await register(url, 'attacker');
      const group = await createGroup(attacker, [await register(url, 'friend')]);
      for (let message = 0; message < attackForm(5, 100); message += 1) {
        await send(attacker, group, Array.from({ length: 8_000 }, (_, at) => han(at * 7 + message)).join(''));
      }
      const query = Array.from({ length: 60 }, (_, at) => han(at * 7)).join(' ');
      return postAs(
        attacker.token,
        () => 'query ($query: String!) { searchMessages(query: $query, first: 100) { edges { snippet } } }',
        { query },
      );
    },
  },
  {
    name: 'subscriptions whose ids are as long as a frame allows',
    parallel: 28,
    async prepare({ url }) {
      const attacker = await register(url, 'attacker');
      return async (target, over) => {
        const socket = await openSocket(target, attacker.token);
        const payload = { query: 'subscription { messages { type } }' };
        for (let at = 0; at < attackForm(20, 200) && !over.aborted; at += 1) {
          // What the socket has not taken yet would be the attacker's own memory.
          while (socket?.readyState === WebSocket.OPEN && socket.bufferedAmount > 1_000_000) await delay(5);
          socket?.send(JSON.stringify({ id: `${at}`.padEnd(250_000, 'x'), type: 'subscribe', payload }));
        }
        await keepOpen([socket], over);
      };
    },
  },
  {
    name: 'connections by nobody whose first message is as long as a frame allows',
    async prepare() {
      const padding = 'x'.repeat(250_000);
      return async (target, over) => {
        const sockets: (WebSocket | undefined)[] = [];
        for (let at = 0; at < attackForm(25, 250) && !over.aborted; at += 1) {
          sockets.push(await openSocket(target, undefined, { padding }));
        }
        await keepOpen(sockets, over);
      };
    },
  },
  {
    name: 'documents by nobody with as many overlapping fields as fit, each of them new',
    async prepare() {
      let count = 0;
      return postAs(undefined, () => {
        count += 1;
        const fields = Array.from({ length: 400 }, () => '...on User { id username }').join(' ');
        return `query Q${count} { viewer { user { ${fields} } } }`;
      });
    },
  },
  {
    name: 'pings on as many sockets as one person may have',
    parallel: 1,
    async prepare({ url }) {
      const attacker = await register(url, 'attacker');
      return async (target, over) => {
        const sockets = await Promise.all(Array.from({ length: 50 }, () => openSocket(target, attacker.token)));
        const text = JSON.stringify({ type: 'ping' });
        while (!over.aborted) {
          for (const socket of sockets) {
            if (socket?.readyState !== WebSocket.OPEN || socket.bufferedAmount > 100_000) continue;
            for (let at = 0; at < 100; at += 1) {
              socket.ping();
              socket.send(text);
            }
          }
          await delay(1);
        }
        await keepOpen(sockets, over);
      };
    },
  },
  {
    name: 'subscriptions over POST whose answer the client says that it cannot read',
    async prepare({ url }) {
      const attacker = await register(url, 'attacker');
      const body = JSON.stringify({ query: 'subscription { messages { type } }' });
      return (target) =>
        new Promise<void>((resolve, reject) => {
          const call = httpRequest(target, {
            method: 'POST',
            headers: {
              'content-type': 'application/json',
              accept: 'application/graphql-response+json',
              authorization: `Bearer ${attacker.token}`,
            },
          });
          call.on('error', reject);
          call.on('response', (response) => void response.resume().on('end', resolve));
          call.end(body);
        });
    },
  },
  {
    name: 'profile changes of somebody in many conversations',
    async prepare({ url, deps }) {
      const [attacker, friend] = [await register(url, 'attacker'), await register(url, 'friend')];
      const userIds = [attacker, friend].map(({ id }) => decodeGlobalId(id, 'id').id);
      await insertGroups(deps.database.db, attackForm(200, 5_000), userIds);
      let count = 0;
      return postAs(attacker.token, () => {
        count += 1;
        return `mutation { updateProfile(input: { bio: "${count}" }) { viewer { id } } }`;
      });
    },
  },
  {
    name: 'messages with long tails of punctuation after mentions',
    async prepare({ url }) {
      const attacker = await register(url, 'attacker');
      const group = await createGroup(attacker, [await register(url, 'friend')]);
      return postAs(
        attacker.token,
        () => 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }',
        { input: { conversationId: group, text: `@a${'.'.repeat(7_000)}x ${'@a.!'.repeat(200)}` } },
      );
    },
  },
  ...[
    { name: 'one conversation a hundred times, each with the same list under 59 aliases', firstOf: () => 1 },
    { name: 'a hundred conversations, each with 59 lists of different lengths', firstOf: (alias: number) => alias + 1 },
  ].map(
    ({ name, firstOf }, kind): Attack => ({
      name,
      async prepare({ url, deps }) {
        const attacker = await register(url, 'attacker');
        const groups = await insertGroups(deps.database.db, 100, [decodeGlobalId(attacker.id, 'id').id]);
        const ids = groups.map((id) => encodeGlobalId('Conversation', kind === 0 ? (groups[0] ?? '') : id));
        const lists = Array.from({ length: 59 }, (_, at) => `a${at}: messages(first: ${firstOf(at)}) { nodes { id } }`);
        const query = `query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Conversation { ${lists.join(' ')} } } }`;
        // As many of them as one operation may cost: the node refuses more at once.
        let count = ids.length;
        while ((await request(url, query, { ids: ids.slice(0, count) }, attacker.token)).errors && count > 1) {
          count = Math.floor(count / 2);
        }
        return postAs(attacker.token, () => query, { ids: ids.slice(0, count) });
      },
    }),
  ),
  {
    name: 'summaries of one range after another of long Chinese messages',
    async prepare({ url }) {
      const attacker = await register(url, 'attacker');
      const group = await createGroup(attacker, [await register(url, 'friend')]);
      const count = attackForm(5, 100);
      for (let message = 0; message < count; message += 1) {
        await send(attacker, group, Array.from({ length: 8_000 }, (_, at) => han(at * 7 + message)).join(''));
      }
      const query =
        'mutation ($input: SummarizeConversationInput!) { summarizeConversation(input: $input) { summary { id } } }';
      let asked = 0;
      return (target) => {
        asked += 1;
        const fromSeq = 1 + (asked % count);
        const toSeq = fromSeq + (Math.floor(asked / count) % (count - fromSeq + 1));
        return postAs(attacker.token, () => query, { input: { conversationId: group, fromSeq, toSeq } })(target);
      };
    },
  },
  {
    name: 'streams of the presence of as many people as one may watch',
    parallel: 1,
    async prepare({ url, deps }) {
      const attacker = await register(url, 'attacker');
      const people = Array.from({ length: attackForm(100, 500) }, (_, at) => ({
        id: newId(),
        username: `watched_${newId().slice(0, 8)}${at}`,
      }));
      await deps.database.db.user.createMany({
        data: people.map((person) => ({ ...person, usernameKey: person.username, displayName: 'Watched' })),
      });
      await deps.database.db.contact.createMany({
        data: people.map(({ id }) => ({ ownerId: decodeGlobalId(attacker.id, 'id').id, userId: id })),
      });
      const userIds = people.map(({ id }) => encodeGlobalId('User', id));
      return async (target, over) => {
        const socket = await openSocket(target, attacker.token);
        for (let at = 0; at < 20 && !over.aborted; at += 1) {
          const payload = {
            query: 'subscription ($userIds: [ID!]) { presence(userIds: $userIds) { user { id } } }',
            variables: { userIds },
          };
          socket?.send(JSON.stringify({ id: `${at}`, type: 'subscribe', payload }));
          await delay(10);
        }
        socket?.terminate();
      };
    },
  },
  {
    name: 'documents and values of variables as long as a body allows',
    async prepare({ url }) {
      const attacker = await register(url, 'attacker');
      const group = await createGroup(attacker, []);
      const bodies = [
        // Names, comments and strings have no limit of their own; 262,144 bytes is that of a body.
        { query: `query ${'q'.repeat(250_000)} { viewer { user { id } } }` },
        { query: `{ viewer { user { id } } } #${'x'.repeat(250_000)}` },
        { query: `{ searchMessages(query: "${'y'.repeat(250_000)}", first: 1) { edges { snippet } } }` },
        {
          query: 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }',
          variables: { input: { conversationId: group, text: 'z'.repeat(250_000) } },
        },
        {
          query: 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }',
          variables: { ids: Array.from({ length: 20_000 }, (_, at) => `a${at}`) },
        },
      ];
      let asked = 0;
      return (target) => {
        asked += 1;
        const { query, variables } = bodies[asked % bodies.length] as { query: string; variables?: Json };
        return postAs(attacker.token, () => query, variables)(target);
      };
    },
  },
];

describe.each(footings)('one hostile user within the default limits (%s)', (footing) => {
  const runs = new Map<string, Awaited<ReturnType<Attack['prepare']>>>();
  let victim: Person;
  let node: ReturnType<typeof nodeProcess>;
  let inside: Awaited<ReturnType<typeof inspected>>;
  let baseline: number;

  // biome-ignore lint/correctness/noEmptyPattern: Vitest requires a destructured first parameter.
  beforeAll(async ({}, suite) => {
    const place = await makePlace(footing);
    const preparing = await place.start();
    // With `-t` only what the chosen attacks need is made, which takes most of the time.
    const chosen = suite.tasks.filter(({ mode }) => mode !== 'skip').map(({ name }) => name);
    for (const attack of attacks) {
      if (chosen.some((name) => name.startsWith(attack.name))) runs.set(attack.name, await attack.prepare(preparing));
    }
    victim = await register(preparing.url, 'victim');
    await preparing.stop();
    inside = await inspected();
    // A process of its own, with the limits that everybody gets: what the tests do does not slow it down.
    node = nodeProcess({ ...place.env, ...inside }, await freePort());
    atEnd(() => node.remove());
    await node.start();
    const probe = await startProbe(node.url, victim);
    await delay(attackForm(500, 5_000));
    const calm = await probe.stop();
    expect(calm.failures).toEqual([]);
    expect(calm.calls).toBeGreaterThan(0);
    baseline = calm.p99;
  }, 300_000);

  const tests = attacks.map(
    (attack) => [`${attack.name}: others are answered, and memory comes back`, attack] as const,
  );
  it.each(tests)('%s', { timeout: 120_000 }, async (_name, attack) => {
    const run = runs.get(attack.name);
    if (!run) throw new Error('not prepared');
    const [heapBefore, logged] = [await heapOf(inside), node.written()];
    const measured = await runAttack(run, { url: node.url, victim, ms: LASTS_MS, parallel: attack.parallel ?? 4 });
    let heap = 0;
    await within(
      20_000,
      () => `the heap is back: ${heapBefore} → ${heap}`,
      async () => {
        heap = await heapOf(inside);
        return heap <= heapBefore * HEAP_FACTOR;
      },
    );
    const { failures, ...figures } = measured;
    const heaps = [heapBefore, heap].map((bytes) => Number((bytes / 1e6).toFixed(1)));
    console.log(`${footing}, ${attack.name}: ${JSON.stringify({ baseline, ...figures, heaps })}`);
    expect(failures).toEqual([]);
    expect(measured.calls).toBeGreaterThan(0);
    expect(node.written() - logged).toBeLessThan(LOG_MAX_CHARS);
    // Only on a machine that does nothing else do latencies say something: the long form.
    expect(measured.p99).toBeLessThanOrEqual(attackForm(Number.POSITIVE_INFINITY, baseline + RISE_MAX_MS));
  });
});
