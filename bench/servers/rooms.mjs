import { WebSocketServer } from 'ws';
import { tellPort } from './commands.mjs';

/**
 * A WebSocket server with raw `ws` without compression. The path of a connection names its room. `onText` receives the
 * texts from the room `sender`.
 */
export function serveRooms(onText) {
  const rooms = new Map();
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, backlog: 4_096 });
  tellPort(server);
  server.on('connection', (socket, request) => {
    const room = new URL(request.url, 'ws://127.0.0.1').searchParams.get('room');
    if (!rooms.has(room)) rooms.set(room, new Set());
    rooms.get(room).add(socket);
    if (room === 'sender') socket.on('message', (data) => onText(String(data)));
    socket.on('close', () => rooms.get(room).delete(socket));
  });
  return { in: (room) => rooms.get(room) ?? [] };
}
