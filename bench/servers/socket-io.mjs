// Socket.IO with its defaults: the in-memory adapter, and a room. WebSocket only, without compression.
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { obey, tellPort } from './commands.mjs';

const http = createServer();
const io = new Server(http, { transports: ['websocket'] });
io.on('connection', (socket) => {
  socket.join(socket.handshake.query.room);
  socket.emit('joined');
});
tellPort(http);
http.listen(0, '127.0.0.1', 4_096);
obey((room, event) => io.to(room).emit('messages', event));
