// The baseline: one prepared string is sent with `ws.send` to everyone in the room.
import { frameOf, obey } from './commands.mjs';
import { serveRooms } from './rooms.mjs';

const rooms = serveRooms();
obey((room, event) => {
  const frame = frameOf(event);
  for (const socket of rooms.in(room)) socket.send(frame);
});
