// The minimum that brings a signal of one device to another one: a round trip through Redis, and raw frames. With STORE=on,
// it is stored before. A text received in the room `sender` is delivered to the room `full`.
import { Redis } from 'ioredis';
import pg from 'pg';
import './commands.mjs';
import { serveRooms } from './rooms.mjs';

const { DATABASE_URL, REDIS_URL, CHANNEL, STORE } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 });
const publisher = new Redis(REDIS_URL);
const subscriber = new Redis(REDIS_URL);

await subscriber.subscribe(CHANNEL);
const rooms = serveRooms((text) => void relay(text));
subscriber.on('message', (_channel, message) => {
  for (const socket of rooms.in('full')) socket.send(message);
});

async function relay(text) {
  if (STORE === 'on') {
    const statement = "INSERT INTO relayed_signals (to_id, payload) VALUES ('full', $1)";
    await pool.query({ name: 'store', text: statement, values: [text] });
  }
  await publisher.publish(CHANNEL, text);
}
