import { once } from 'node:events';
import { WebSocket } from 'ws';

/**
 * Opens a WebSocket of a person to Parley. `subscribe` calls back for each event; `ask` resolves with the result of a
 * mutation.
 */
export async function openDevice(url, token) {
  const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws', { perMessageDeflate: false });
  const handlers = new Map();
  let ids = 0;
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: token } }));
  await once(socket, 'message');
  socket.on('message', (data) => {
    const { id, type, payload } = JSON.parse(String(data));
    if (type === 'next' || type === 'error') handlers.get(id)?.(payload);
  });
  socket.on('close', (code) => {
    for (const answer of handlers.values()) answer({ closed: code });
  });
  const start = (query, variables, onAnswer) => {
    ids += 1;
    const id = String(ids);
    handlers.set(id, onAnswer);
    socket.send(JSON.stringify({ id, type: 'subscribe', payload: { query, variables } }));
    return id;
  };
  return {
    subscribe: (query, variables, onEvent) =>
      start(query, variables, (payload) => {
        if (payload.closed) return;
        if (!payload.data) throw new Error(`a subscription failed: ${JSON.stringify(payload)}`);
        onEvent(Object.values(payload.data)[0]);
      }),
    ask: (query, variables) =>
      new Promise((resolve, reject) => {
        const id = start(query, variables, (payload) => {
          handlers.delete(id);
          if (payload.data) resolve(payload.data);
          else reject(new Error(`not answered: ${JSON.stringify(payload)}`));
        });
      }),
    close: () => socket.terminate(),
  };
}
