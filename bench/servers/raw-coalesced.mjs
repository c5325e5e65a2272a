// A faster baseline than raw `ws.send`: each event is framed once, and the events of one tick are written to a socket
// with one write, bypassing `ws`. JOIN_MAX limits how many are joined, for comparisons with servers that join fewer.
import { frameOf, obey } from './commands.mjs';
import { serveRooms } from './rooms.mjs';

const joinMax = Number(process.env.JOIN_MAX ?? Number.POSITIVE_INFINITY);
const rooms = serveRooms();
const waiting = new Map();

obey((room, event) => {
  if (waiting.size === 0) setImmediate(flush);
  if (!waiting.has(room)) waiting.set(room, []);
  waiting.get(room).push(prepare(frameOf(event)));
});

function flush() {
  for (const [room, frames] of waiting) {
    while (frames.length > 0) {
      const joined = Buffer.concat(frames.splice(0, joinMax));
      for (const socket of rooms.in(room)) socket._socket.write(joined);
    }
  }
  waiting.clear();
}

/** A text frame of 126 bytes to 64 KiB in wire format. */
function prepare(text) {
  const payload = Buffer.from(text);
  const head = Buffer.from([0x81, 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([head, payload]);
}
