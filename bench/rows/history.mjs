import { ask, startNode } from '../parley.mjs';
import { median, percentile } from '../statistics.mjs';

const PAGE = 'first: 50, aroundSeq: $seq';
const QUERY = `query ($id: ID!, $seq: Int) { conversation(id: $id) { messages(${PAGE}) { nodes { id seq text createdAt sender { id username displayName } } pageInfo { hasPreviousPage } } } }`;
/** The number of conversations. The first one has half of the messages; its page is read. */
const CONVERSATIONS = 1_000;

export const history = {
  key: 'history',
  title: 'A page of a growing history',
  /** Only with --long, because filling the database takes minutes. */
  long: true,
  async measure(world, { quick, runs, say }) {
    const [few, many] = quick ? [10_000, 100_000] : [100_000, 10_000_000];
    const pages = quick ? 50 : 500;
    const seen = {};
    const sizes = { few, many };
    const [conversation] = await world.place.query(
      `SELECT id FROM conversations WHERE title = 'Nobody listens' ORDER BY created_at LIMIT 1`,
    );
    for (const [key, size] of Object.entries(sizes)) {
      const began = performance.now();
      await fill(world, conversation.id, size);
      say(`history: ${size} messages there after ${((performance.now() - began) / 1_000).toFixed(0)} s`);
      seen[key] = [];
      for (let run = 1; run <= runs; run += 1) {
        const result = await readPages(world, pages);
        seen[key].push(result);
        say(
          `history, run ${run}, ${size} messages: newest p50 ${result.newest.toFixed(2)}, anywhere ${result.anywhere.toFixed(2)} ms`,
        );
      }
    }
    const of = (key, field) => median(seen[key].map((result) => result[field]));
    const words = { newest: 'the newest page', anywhere: 'pages anywhere' };
    return {
      targets: Object.entries(words).map(([field, what]) => ({
        what: `${what} of 50 with senders: ${many} messages against ${few}`,
        atMost: 1.3,
        ratio: of('many', field) / of('few', field),
      })),
      tables: [
        {
          title: `${pages} sequential pages over HTTP; ms (p50; p99)`,
          head: ['Messages', ...Object.values(words)],
          lines: Object.entries(sizes).map(([key, size]) => [
            String(size),
            ...Object.keys(words).map((field) => `${of(key, field).toFixed(2)}; ${of(key, `${field}99`).toFixed(2)}`),
          ]),
        },
      ],
      notes: [
        `Half of the messages are in the conversation that is read, the others in ${CONVERSATIONS - 1} more; filled with generate_series, then VACUUM ANALYZE.`,
        'The two sizes cannot exist at the same time, so their runs do not alternate.',
      ],
    };
  },
};

/** Inserts messages until this number is reached, half of them in one conversation. */
async function fill({ place }, conversationId, size) {
  await place.query(
    `INSERT INTO conversations (id, kind, title, created_by_id)
     SELECT gen_random_uuid(), 'GROUP', 'history', (SELECT id FROM users LIMIT 1)
     FROM generate_series(1, ${CONVERSATIONS - 1}) WHERE NOT EXISTS (SELECT FROM conversations WHERE title = 'history')`,
  );
  const others = `(SELECT id, latest_seq, row_number() OVER () - 1 AS number FROM conversations WHERE title = 'history')`;
  const [{ there }] = await place.query('SELECT count(*)::int AS there FROM messages');
  const half = Math.max(0, Math.floor((size - there) / 2));
  const insert = `
    WITH people AS (SELECT array_agg(id) AS ids FROM users)
    INSERT INTO messages (id, conversation_id, seq, sender_id, text)
    SELECT gen_random_uuid(), c.id, c.latest_seq + n, ids[1 + n % array_length(ids, 1)], 'A message as people write them, number ' || n`;
  await place.query(
    `${insert} FROM people, (SELECT id, latest_seq FROM conversations WHERE id = $1) AS c, generate_series(1, $2::int) AS n`,
    [conversationId, half],
  );
  await place.query(`${insert} FROM people, ${others} AS c, generate_series(1, $1::int / ${CONVERSATIONS - 1}) AS n`, [
    half,
  ]);
  await place.query(
    `UPDATE conversations c SET latest_seq = m.seq FROM (SELECT conversation_id, max(seq) AS seq FROM messages GROUP BY 1) AS m
     WHERE m.conversation_id = c.id AND m.seq > c.latest_seq`,
  );
  await place.query('VACUUM ANALYZE messages');
}

async function readPages({ place, people: [reader], rooms }, pages) {
  const node = await startNode(place);
  const { id } = rooms.empty;
  const { conversation } = await ask(
    node.place,
    'query ($id: ID!) { conversation(id: $id) { latestSeq } }',
    { id },
    reader.token,
  );
  const ways = { newest: () => null, anywhere: () => 1 + Math.floor(Math.random() * conversation.latestSeq) };
  const result = {};
  for (const [way, seqOf] of Object.entries(ways)) {
    const took = [];
    for (let count = -50; count < pages; count += 1) {
      const began = performance.now();
      const answer = await ask(node.place, QUERY, { id, seq: seqOf() }, reader.token);
      if (answer.conversation.messages.nodes.length < 25) throw new Error('a page is too short');
      if (count >= 0) took.push(performance.now() - began);
    }
    result[way] = median(took);
    result[`${way}99`] = percentile(took, 0.99);
  }
  await node.stop();
  return result;
}
