import { parseQuery, rankTemplatesOf, templatesOf } from '../../dist/domain/search/search.query.js';
import { findMatches } from '../../dist/domain/search/search.store.js';
import { searchVectorOf } from '../../dist/domain/search/search.terms.js';
import { openPostgres } from '../../dist/infra/database/postgres.js';
import { ask, startNode } from '../parley.mjs';
import { median, percentile } from '../statistics.mjs';

const QUERY = `query ($query: String!, $after: String) {
  searchMessages(query: $query, first: 50, after: $after) {
    edges { snippet node { id seq text createdAt sender { username } conversation { id } } } pageInfo { endCursor hasNextPage }
  }
}`;

/**
 * The number of words. The frequency of a word decreases with its rank: half of the words of a message are among the
 * first 40.
 */
const WORDS = 20_000;
/**
 * The viewers, by what they can read: one conversation contains two fifths of the messages, a thousand others another
 * two fifths.
 */
const VIEWERS = [
  { name: 'one long conversation', kinds: ['long'] },
  { name: '1,000 conversations', kinds: ['many'] },
  { name: 'five small conversations', kinds: ['few'] },
  { name: 'all conversations', kinds: ['long', 'many', 'rest', 'few'] },
];
/** The search texts; `word(n)` is the n-th most common word. */
const searchesOf = (word) => [
  { kind: 'the most common word', query: word(1) },
  { kind: 'the same, second page', query: word(1), second: true },
  { kind: 'a common word', query: word(50) },
  { kind: 'a rare word', query: word(WORDS - 7) },
  { kind: 'a word that does not occur', query: 'qqqqqq' },
  { kind: 'a common and a rare word', query: `${word(1)} ${word(WORDS - 11)}` },
  { kind: 'a prefix of a word', query: `${word(2)} ${word(900).slice(0, 3)}` },
  { kind: 'a phrase of two common words', query: `"${word(1)} ${word(2)}"` },
  { kind: 'a rare word with `before:`', query: `${word(WORDS - 7)} before:2026-06` },
  { kind: 'a part of a Chinese text', query: '京大学' },
];

const SYLLABLES = 'ba ke lo mi nu ra ste tho vi wen zar dor fel gri hol ji ca pe sil or'.split(' ');
const wordOf = (number) => {
  let word = '';
  for (let rest = number; word === '' || rest > 0; rest = Math.floor(rest / SYLLABLES.length)) {
    word += SYLLABLES[rest % SYLLABLES.length];
  }
  return word;
};
/** A deterministic sequence of random numbers from 0 to 1. */
function random(seed) {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

export const search = {
  key: 'search',
  title: 'Searching a million messages',
  /** Only with --long, because filling the database takes minutes. */
  long: true,
  async measure(world, { quick, runs, say }) {
    const size = quick ? 50_000 : 1_000_000;
    const times = quick ? 5 : 30;
    const began = performance.now();
    const viewers = await fill(world, size);
    say(`search: ${size} messages there after ${((performance.now() - began) / 1_000).toFixed(0)} s`);
    const searches = searchesOf(wordOf);
    const seen = new Map();
    for (let run = 1; run <= runs; run += 1) {
      const results = await searchAll(world, viewers, searches, times);
      for (const [key, result] of results) seen.set(key, [...(seen.get(key) ?? []), result]);
      say(
        `search, run ${run}: the slowest p50 ${Math.max(...[...results.values()].map(({ p50 }) => p50)).toFixed(2)} ms`,
      );
    }
    const of = (key, field) => median(seen.get(key).map((result) => result[field]));
    const [{ index }] = await world.place.query(
      `SELECT pg_relation_size('messages_search_idx')::float / count(*) AS index FROM messages`,
    );
    return {
      targets: [
        {
          what: `the slowest kind of search among ${size} messages: median of \`findMatches\`, ms`,
          atMost: 50,
          ratio: Math.max(...[...seen.keys()].map((key) => of(key, 'p50'))),
        },
      ],
      tables: VIEWERS.map(({ name }) => ({
        title: `A user with access to ${name}: a page of 50, ${times} sequential requests; ms`,
        head: ['Search', 'found', '`findMatches` p50', 'p99', 'over HTTP p50', 'p99'],
        lines: searches.map(({ kind }) => {
          const key = `${name}: ${kind}`;
          return [
            kind,
            seen.get(key)[0].found,
            of(key, 'p50').toFixed(2),
            of(key, 'p99').toFixed(2),
            of(key, 'http50').toFixed(2),
            of(key, 'http99').toFixed(2),
          ];
        }),
      })),
      notes: [
        `Two fifths of the messages are in one conversation, two fifths in a thousand others, and the rest elsewhere. Each has 4 to 13 words out of ${WORDS}, with decreasing frequency; one in 500 is Chinese. Then VACUUM ANALYZE.`,
        `Search index per message: ${Math.round(index)} bytes.`,
      ],
    };
  },
};

/** Fills the database. Returns the users of VIEWERS with their tokens. */
async function fill({ place, people }, size) {
  const kinds = [
    { kind: 'long', conversations: 1, share: 0.4 },
    { kind: 'many', conversations: 1_000, share: 0.4 },
    { kind: 'rest', conversations: 200, share: 0.199 },
    { kind: 'few', conversations: 5, share: 0.001 },
  ];
  // Uses the first users of the world, who are also members of its almost empty rooms.
  const found = await place.query(`SELECT id::text, username FROM users WHERE username LIKE 'person%'`);
  const viewers = VIEWERS.map((viewer, index) => ({
    ...viewer,
    token: people[index].token,
    userId: found.find(({ username }) => username === `person${index}`).id,
  }));
  const next = random(7);
  const now = Date.UTC(2026, 10, 27);
  for (const { kind, conversations, share } of kinds) {
    const each = Math.round((size * share) / conversations);
    const rows = await place.query(
      `INSERT INTO conversations (id, kind, created_by_id, latest_seq, last_activity_at)
       SELECT gen_random_uuid(), 'GROUP', (SELECT id FROM users LIMIT 1), $1::int, $2::timestamptz - n * interval '1 minute'
       FROM generate_series(1, $3::int) AS n RETURNING id::text, last_activity_at AS at`,
      [each, new Date(now).toISOString(), conversations],
    );
    const ids = rows.map(({ id }) => id);
    for (const { userId } of viewers.filter((viewer) => viewer.kinds.includes(kind))) {
      await place.query(
        `INSERT INTO memberships (id, conversation_id, user_id)
         SELECT gen_random_uuid(), id, $2::uuid FROM unnest($1::uuid[]) AS id`,
        [ids, userId],
      );
    }
    let batch = [];
    const flush = async () => {
      await place.query(
        `INSERT INTO messages (id, conversation_id, seq, sender_id, text, created_at, search)
         SELECT gen_random_uuid(), id, seq, (SELECT id FROM users LIMIT 1), text, at::timestamptz, search::tsvector
         FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[]) AS given (id, seq, text, at, search)`,
        ['conversationId', 'seq', 'text', 'at', 'search'].map((field) => batch.map((one) => one[field])),
      );
      batch = [];
    };
    for (const { id: conversationId, at } of rows) {
      for (let seq = 1; seq <= each; seq += 1) {
        const words = Array.from({ length: 4 + Math.floor(next() * 10) }, () => wordOf(Math.floor(WORDS ** next())));
        const text = seq % 500 === 0 ? `我在北京大学学习${seq}` : words.join(' ');
        const message = { conversationId, seq, text, senderId: null, mentionedIds: [], mentionsEveryone: false };
        const sent = new Date(new Date(at).getTime() - ((each - seq) / each) * 365 * 86_400_000).toISOString();
        batch.push({ ...message, at: sent, search: searchVectorOf(message) });
        if (batch.length === 5_000) await flush();
      }
    }
    if (batch.length > 0) await flush();
  }
  for (const table of ['conversations', 'memberships', 'messages']) await place.query(`VACUUM ANALYZE ${table}`);
  return viewers;
}

/** Runs every kind of search this many times for each viewer, as a statement and as a request; the kinds alternate. */
async function searchAll({ place }, viewers, searches, times) {
  const node = await startNode(place);
  const driver = openPostgres(place.databaseUrl, { poolMax: 2, prepare: true, log: { warn() {} } });
  const database = {
    sql: {
      transaction: (work) =>
        driver.transaction((session) => work({ query: ({ text, values }, name) => session.query(text, values, name) })),
    },
  };
  const find = (userId, text, from) => {
    const query = parseQuery(text);
    const { since, until } = query;
    const request = {
      userId,
      within: undefined,
      notWithin: [],
      since,
      until,
      templates: templatesOf(query, [], []),
      rankTemplates: rankTemplatesOf(query),
      phraseBytesMax: 16_777_216,
    };
    return findMatches(database, request, { size: 50, backward: false, from });
  };
  const request = async (token, query, after) => (await ask(node.place, QUERY, { query, after }, token)).searchMessages;
  const results = new Map();
  for (let count = -2; count < times; count += 1) {
    for (const { name, userId, token } of viewers) {
      for (const { kind, query, second } of searches) {
        const key = `${name}: ${kind}`;
        const result = results.get(key) ?? { took: [], tookHttp: [], found: '' };
        results.set(key, result);
        const before = second ? (await find(userId, query))[49] : undefined;
        const from = before && [before.listedAt, before.rank, before.createdAt, before.id];
        const after = second ? (await request(token, query)).pageInfo.endCursor : undefined;
        const began = performance.now();
        await find(userId, query, from);
        const between = performance.now();
        const { edges, pageInfo } = await request(token, query, after);
        const ended = performance.now();
        result.found = `${edges.length}${pageInfo.hasNextPage ? '+' : ''}`;
        if (count < 0) continue;
        result.took.push(between - began);
        result.tookHttp.push(ended - between);
      }
    }
  }
  await driver.close();
  await node.stop();
  for (const [key, { took, tookHttp, found }] of results) {
    results.set(key, {
      found,
      p50: median(took),
      p99: percentile(took, 0.99),
      http50: median(tookHttp),
      http99: percentile(tookHttp, 0.99),
    });
  }
  return results;
}
