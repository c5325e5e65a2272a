// Less than raw `ws.send`: each event is framed once, and the events of one tick go to a socket in one write, past
// `ws`. At most JOIN_MAX of them, so that it can be held against a server that has fewer to join.
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

/** A text frame as it goes over the wire, of 126 bytes to 64 KiB. */
function prepare(text) {
  const payload = Buffer.from(text);
  const head = Buffer.from([0x81, 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([head, payload]);
}
