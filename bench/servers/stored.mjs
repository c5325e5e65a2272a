// The minimum for a durable send: an insert, a round trip through Redis, and raw frames. A text received in the room
// `sender` is stored; the event has the structure of TEMPLATE.
import { Redis } from 'ioredis';
import pg from 'pg';
import { eventsLike } from '../event.mjs';
import { anySender, peerConversation, singleStatement } from '../single-statement.mjs';
import { frameOf } from './commands.mjs';
import { serveRooms } from './rooms.mjs';

const { DATABASE_URL, REDIS_URL, CHANNEL, TEMPLATE } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 });
const publisher = new Redis(REDIS_URL);
const subscriber = new Redis(REDIS_URL);
const statement = singleStatement({ conversation: peerConversation('1'), sender: anySender, text: '$1::text' });
const makeEvent = eventsLike(JSON.parse(TEMPLATE));

await subscriber.subscribe(CHANNEL);
const rooms = serveRooms((text) => void store(text));
subscriber.on('message', (_channel, message) => {
  const frame = frameOf(JSON.parse(message));
  for (const socket of rooms.in('full')) socket.send(frame);
});

async function store(text) {
  const { rows } = await pool.query({ name: 'store', text: statement, values: [text] });
  await publisher.publish(CHANNEL, JSON.stringify(makeEvent(rows[0].change_seq, text)));
}
