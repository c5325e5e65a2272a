import { randomBytes, randomUUID } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { findFeed } from '../../dist/domain/status/status.store.js';
import { PrismaClient } from '../../dist/generated/prisma/client.js';
import { ask, register, startNode } from '../parley.mjs';
import { median, percentile, ratioOf } from '../statistics.mjs';

const POST = 'mutation ($input: PostStatusInput!) { postStatus(input: $input) { status { id } } }';
const SEND = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }';
const FEED =
  '{ viewer { statusFeed { author { id username } hasUnviewed statuses { id text createdAt expiresAt viewerHasViewed } } } }';

export const statuses = {
  key: 'statuses',
  title: 'Statuses of a user with many contacts',
  async measure({ place }, { quick, runs, say }) {
    const size = { contacts: quick ? 200 : 5_000, authors: quick ? 20 : 500, posts: quick ? 20 : 300 };
    const node = await startNode(place, { STATUSES_MAX: '1000' });
    const name = randomBytes(3).toString('hex');
    const [user, friend] = [await register(node.place, `user${name}`), await register(node.place, `friend${name}`)];
    for (const [one, other] of [
      [user, friend],
      [friend, user],
    ]) {
      const query = 'mutation ($input: AddContactInput!) { addContact(input: $input) { contact { id } } }';
      await ask(node.place, query, { input: { userId: other.id } }, one.token);
    }
    const userId = await fill(place, `user${name}`, size);
    const db = new PrismaClient({ adapter: new PrismaPg({ connectionString: place.databaseUrl }) });
    const sql = { query: (statement) => db.$queryRaw(statement) };
    const seen = { post: [], send: [], feed: [], http: [], posted: [], sent: [] };
    try {
      for (let run = 1; run <= runs; run += 1) {
        const { post, send, posted, sent } = await compare(node, user, friend, size.posts);
        const feed = await timesOf(size.posts, () => findFeed(sql, userId, false));
        const http = await timesOf(20, () => ask(node.place, FEED, {}, user.token));
        for (const [key, times] of Object.entries({ post, send, posted, sent, feed, http })) seen[key].push(times);
        await place.query('DELETE FROM statuses WHERE author_id = $1', [userId]);
        say(
          `statuses, run ${run}: post p50 ${median(post).toFixed(2)} ms (send ${median(send).toFixed(2)}), delivered after ` +
            `${median(posted).toFixed(2)} ms (message ${median(sent).toFixed(2)}), feed ${median(feed).toFixed(2)} ms`,
        );
      }
    } finally {
      await db.$disconnect();
      await node.stop();
    }
    const medians = (key) => seen[key].map(median);
    const p99 = (key) => median(seen[key].map((times) => percentile(times, 0.99)));
    const what = `${size.contacts} contacts`;
    return {
      targets: [
        {
          what: `\`postStatus\` with ${what}, against \`sendMessage\`: p50`,
          atMost: 1.5,
          ...ratioOf(medians('post'), medians('send')),
        },
        {
          what: `\`findFeed\` with ${what} of whom ${size.authors} have posted: p50, ms`,
          atMost: 10,
          ratio: median(medians('feed')),
          ratios: medians('feed'),
        },
        {
          what: `delivery of a status with ${what}, against a message: p50`,
          atMost: 1.2,
          ...ratioOf(medians('posted'), medians('sent')),
        },
      ],
      tables: [
        {
          title: `${size.posts} times in succession; ms`,
          head: ['', 'p50', 'p99'],
          lines: [
            ['`postStatus`', 'post'],
            ['`sendMessage`', 'send'],
            ['from `postStatus` to the event POSTED', 'posted'],
            ['from `sendMessage` to the event SENT', 'sent'],
            ['`findFeed`', 'feed'],
            ['`viewer.statusFeed` over HTTP', 'http'],
          ].map(([title, key]) => [title, median(medians(key)).toFixed(2), p99(key).toFixed(2)]),
        },
      ],
      notes: ['Statuses and messages alternate, and contain a text. One contact of the author is subscribed.'],
    };
  },
};

/** Gives a user mutual contacts, some of whom have posted a status. Returns the id of the user's row. */
async function fill(place, username, { contacts, authors }) {
  const [{ id }] = await place.query('SELECT id FROM users WHERE username = $1', [username]);
  await place.query(
    `WITH added AS (
       INSERT INTO users (id, username, username_key, display_name)
       SELECT gen_random_uuid(), $2 || '_' || n, lower($2 || '_' || n), 'Contact ' || n FROM generate_series(1, $3::int) AS n
       RETURNING id
     ), own AS (INSERT INTO contacts (owner_id, user_id) SELECT $1::uuid, id FROM added),
     others AS (INSERT INTO contacts (owner_id, user_id) SELECT id, $1::uuid FROM added)
     INSERT INTO statuses (id, author_id, client_status_id, input_hash, text, audience, created_at, expires_at)
     SELECT gen_random_uuid(), id, 'one', '', 'What I do today', 'CONTACTS', clock_timestamp(),
            clock_timestamp() + interval '1 day'
     FROM added LIMIT $4::int`,
    [id, username, contacts, authors],
  );
  await place.query('VACUUM ANALYZE users, contacts, statuses');
  return id;
}

/** Posts statuses and sends messages alternately, and measures the responses and the arrivals at a contact. */
async function compare(node, user, friend, count) {
  const open =
    'mutation ($input: OpenDirectConversationInput!) { openDirectConversation(input: $input) { conversation { id } } }';
  const { openDirectConversation } = await ask(node.place, open, { input: { userId: friend.id } }, user.token);
  const { id: conversationId } = openDirectConversation.conversation;
  const client = createClient({
    url: node.place.replace(/^http/, 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { authorization: friend.token },
  });
  const arrivals = [follow(client, 'statuses', 'type statusId'), follow(client, 'messages', 'type message { id }')];
  await Promise.all(arrivals.map(({ next }) => next()));
  const times = { post: [], send: [], posted: [], sent: [] };
  for (let number = 0; number < count; number += 1) {
    for (const [query, input, response, arrival, { next }] of [
      [POST, { clientStatusId: randomUUID(), text: 'What I do today' }, times.post, times.posted, arrivals[0]],
      [SEND, { conversationId, text: 'What I do today' }, times.send, times.sent, arrivals[1]],
    ]) {
      const arrived = next();
      const began = performance.now();
      await ask(node.place, query, { input }, user.token);
      response.push(performance.now() - began);
      await arrived;
      arrival.push(performance.now() - began);
    }
  }
  await client.dispose();
  return times;
}

function follow(client, field, selection) {
  let resolve = () => {};
  client.subscribe(
    { query: `subscription { ${field} { ${selection} } }` },
    {
      next: ({ data }) => {
        if (data[field].type !== 'CHECKPOINT') resolve();
      },
      error: (error) => console.error(error),
      complete() {},
    },
  );
  return { next: () => new Promise((done) => (resolve = done)) };
}

async function timesOf(count, work) {
  const times = [];
  for (let number = 0; number < count; number += 1) {
    const began = performance.now();
    await work();
    times.push(performance.now() - began);
  }
  return times;
}
