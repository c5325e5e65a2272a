import { setTimeout as delay } from 'node:timers/promises';
import { parse, validate } from 'graphql';
import { beforeAll, describe, expect, it } from 'vitest';
import { schema } from '../../src/app/schema.js';
import { decodeGlobalId, encodeGlobalId, newId } from '../../src/core/ids.js';
import { type Attack, attackForm, type Plan, runAttack, startProbe } from '../support/attack.js';
import { type Person, register, request } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { nodeProcess, within } from '../support/fleet.js';
import { heapOf, inspected } from '../support/inside.js';
import { type Mode, makePlace, modes } from '../support/place.js';
import { freePort } from '../support/servers.js';
import { createGroup, insertGroups, send } from '../support/talk.js';

/** How long each attack lasts, in milliseconds. */
const LASTS_MS = attackForm(500, 20_000);
/** By how much the 99th percentile of another user's calls may increase, in milliseconds. */
const RISE_MAX_MS = 100;
/** The maximum factor by which the heap may remain larger than before. */
const HEAP_FACTOR = 1.2;
/** The maximum size of the log that a node writes during one attack, in characters. */
const LOG_MAX_CHARS = 500_000;

/** A common character of Chinese texts. */
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
      return {
        token: attacker.token,
        requests: [
          {
            query: 'query ($query: String!) { searchMessages(query: $query, first: 100) { edges { snippet } } }',
            variables: { query: Array.from({ length: 60 }, (_, at) => han(at * 7)).join(' ') },
          },
        ],
      };
    },
  },
  {
    name: 'subscriptions whose ids are as long as a frame allows',
    kind: 'longIds',
    parallel: 28,
    async prepare({ url }) {
      const attacker = await register(url, 'attacker');
      return { token: attacker.token, count: attackForm(20, 200) };
    },
  },
  {
    name: 'anonymous connections whose first message is as long as a frame allows',
    kind: 'connections',
    prepare: async () => ({ count: attackForm(25, 250), payload: { padding: 'x'.repeat(250_000) } }),
  },
  {
    name: 'new anonymous documents with as many overlapping fields as fit',
    async prepare() {
      const fields = Array.from({ length: 400 }, () => '...on User { id username }').join(' ');
      return { requests: [{ query: `query QCOUNT { viewer { user { ${fields} } } }` }] };
    },
  },
  {
    name: 'rejected anonymous requests: invalid JSON, unknown documents, and bodies that are too large',
    parallel: 16,
    async prepare() {
      return {
        requests: [
          `{"query":"${'x'.repeat(500_000)}`,
          JSON.stringify({ documentId: 'unknown' }),
          '{"query":"{"}',
          'x'.repeat(1_000_000),
        ],
      };
    },
  },
  {
    name: 'pings on as many sockets as one user may have',
    parallel: 1,
    kind: 'pings',
    prepare: async ({ url }) => ({ token: (await register(url, 'attacker')).token, sockets: 50 }),
  },
  {
    name: 'subscriptions over POST without an Accept header for event streams',
    kind: 'unreadableStreams',
    prepare: async ({ url }) => ({ token: (await register(url, 'attacker')).token }),
  },
  {
    name: 'profile changes of a user in many conversations',
    async prepare({ url, deps }) {
      const [attacker, friend] = [await register(url, 'attacker'), await register(url, 'friend')];
      const userIds = [attacker, friend].map(({ id }) => decodeGlobalId(id, 'id').id);
      await insertGroups(deps.database.db, attackForm(200, 5_000), userIds);
      return {
        token: attacker.token,
        requests: [{ query: 'mutation { updateProfile(input: { bio: "COUNT" }) { viewer { id } } }' }],
      };
    },
  },
  {
    name: 'messages with long tails of punctuation after mentions',
    async prepare({ url }) {
      const attacker = await register(url, 'attacker');
      const group = await createGroup(attacker, [await register(url, 'friend')]);
      return {
        token: attacker.token,
        requests: [
          {
            query: 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }',
            variables: { input: { conversationId: group, text: `@a${'.'.repeat(7_000)}x ${'@a.!'.repeat(200)}` } },
          },
        ],
      };
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
        // As many as the cost limit of an operation allows.
        let count = ids.length;
        while ((await request(url, query, { ids: ids.slice(0, count) }, attacker.token)).errors && count > 1) {
          count = Math.floor(count / 2);
        }
        return { token: attacker.token, requests: [{ query, variables: { ids: ids.slice(0, count) } }] };
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
      const ranges = Array.from({ length: count }, (_, length) =>
        Array.from({ length: count - length }, (__, from) => ({ fromSeq: from + 1, toSeq: from + 1 + length })),
      ).flat();
      return {
        token: attacker.token,
        requests: ranges.map((range) => ({ query, variables: { input: { conversationId: group, ...range } } })),
      };
    },
  },
  {
    name: 'streams of the presence of as many people as one may watch',
    kind: 'subscriptions',
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
      const payload = {
        query: 'subscription ($userIds: [ID!]) { presence(userIds: $userIds) { user { id } } }',
        variables: { userIds },
      };
      return { token: attacker.token, payload, count: 20 };
    },
  },
  {
    name: 'documents and values of variables as long as a body allows',
    async prepare({ url }) {
      const attacker = await register(url, 'attacker');
      const group = await createGroup(attacker, []);
      const requests = [
        // Names, comments and strings have no limit of their own. That of a body is 524,288 bytes.
        { query: `query ${'q'.repeat(500_000)} { viewer { user { id } } }` },
        { query: `{ viewer { user { id } } } #${'x'.repeat(500_000)}` },
        { query: `{ searchMessages(query: "${'y'.repeat(500_000)}", first: 1) { edges { snippet } } }` },
        {
          query: 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }',
          variables: { input: { conversationId: group, text: 'z'.repeat(500_000) } },
        },
        {
          query: 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }',
          variables: { ids: Array.from({ length: 20_000 }, (_, at) => `a${at}`) },
        },
      ];
      return { token: attacker.token, requests };
    },
  },
];

/** Throws if the document is invalid, because it would not be executed. */
function expectValid({ requests = [] }: Plan): void {
  const queries = new Set(requests.flatMap((request) => (typeof request === 'string' ? [] : [request.query])));
  for (const query of queries) expect(validate(schema, parse(query))).toEqual([]);
}

/** A node in a separate process with the default limits, and the prepared data of the attacks on it. */
interface Target {
  node: ReturnType<typeof nodeProcess>;
  inside: Awaited<ReturnType<typeof inspected>>;
  plans: ReadonlyMap<Attack, Plan>;
  victim: Person;
  /** The 99th percentile of the victim's calls without an attack, in milliseconds. */
  baseline: number;
}

async function startTarget(mode: Mode, attacksOnIt: readonly Attack[]): Promise<Target> {
  const place = await makePlace(mode);
  const preparing = await place.start();
  const plans = new Map<Attack, Plan>();
  for (const attack of attacksOnIt) {
    const plan = await attack.prepare(preparing);
    expectValid(plan);
    plans.set(attack, plan);
  }
  const victim = await register(preparing.url, 'victim');
  await preparing.stop();
  const inside = await inspected();
  const node = nodeProcess({ ...place.env, ...inside }, await freePort());
  atEnd(() => node.remove());
  await node.start();
  const probe = await startProbe(node.url, victim);
  await delay(attackForm(500, 5_000));
  const calm = await probe.stop();
  expect(calm.failures).toEqual([]);
  expect(calm.calls).toBeGreaterThan(0);
  return { node, inside, plans, victim, baseline: calm.p99 };
}

/** Decides at random which half of the attacks the short form runs in which mode. */
const turn = Math.round(Math.random());
/** Whether an attack runs in a mode. In the short form, each attack runs in one of the two modes. */
const runsIn = (mode: Mode, index: number) =>
  attackForm(modes.length === 1 || (index + turn) % modes.length === modes.indexOf(mode), true);

describe.each(modes)('one hostile user within the default limits (%s)', (mode) => {
  let shared: Target | undefined;

  // biome-ignore lint/correctness/noEmptyPattern: Vitest requires a destructured first parameter.
  beforeAll(async ({}, suite) => {
    // Starting a node for each attack would take longer than the short attacks.
    if (attackForm(false, true)) return;
    // With `-t`, only the data of the selected attacks is prepared.
    const chosen = suite.tasks.filter(({ mode }) => mode !== 'skip').map(({ name }) => name);
    shared = await startTarget(
      mode,
      attacks.filter((attack) => chosen.some((name) => name.startsWith(attack.name))),
    );
  }, 300_000);

  const tests = attacks
    .filter((_attack, index) => runsIn(mode, index))
    .map((attack) => [`${attack.name}: others are answered, and memory comes back`, attack] as const);
  it.each(tests)('%s', { timeout: 240_000 }, async (_name, attack) => {
    // In the long form each attack has a new database, so that rows of earlier attacks do not affect the measurement.
    const { node, inside, plans, victim, baseline } = shared ?? (await startTarget(mode, [attack]));
    const plan = plans.get(attack);
    if (!plan) throw new Error('not prepared');
    const [heapBefore, logged] = [await heapOf(inside), node.written()];
    const measured = await runAttack(attack, plan, { url: node.url, victim, ms: LASTS_MS });
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
    console.log(`${mode}, ${attack.name}: ${JSON.stringify({ baseline, ...figures, heaps })}`);
    expect(failures).toEqual([]);
    expect(measured.calls).toBeGreaterThan(0);
    expect(measured.rounds).toBeGreaterThan(0);
    expect(node.written() - logged).toBeLessThan(LOG_MAX_CHARS);
    // Latencies are only meaningful on an otherwise idle machine, as in the long form.
    expect(measured.p99).toBeLessThanOrEqual(attackForm(Number.POSITIVE_INFINITY, baseline + RISE_MAX_MS));
  });
});
