import { once } from 'node:events';
import http from 'node:http';
import { WebSocket } from 'ws';

const SEND = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id seq } } }';
let keys = 0;

const inputOf = (conversationId, text) => {
  keys += 1;
  return { conversationId, text, clientMessageId: `${process.pid}-${keys}` };
};

/** Somebody's open WebSocket to Parley, to send over: `send` resolves with the stored message. */
export async function openSender(url, token) {
  const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws', { perMessageDeflate: false });
  const waiting = new Map();
  let ids = 0;
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: token } }));
  await once(socket, 'message');
  socket.on('message', (data) => {
    const { id, type, payload } = JSON.parse(String(data));
    if (type !== 'next' && type !== 'error') return;
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (type === 'error' || payload.errors) reject(new Error(`not sent: ${JSON.stringify(payload)}`));
    else resolve(payload.data.sendMessage.message);
  });
  socket.on('close', (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`a sender's socket was closed with ${code}`));
  });
  return {
    send: (conversationId, text) =>
      new Promise((resolve, reject) => {
        ids += 1;
        const id = String(ids);
        waiting.set(id, { resolve, reject });
        const variables = { input: inputOf(conversationId, text) };
        socket.send(JSON.stringify({ id, type: 'subscribe', payload: { query: SEND, variables } }));
      }),
    close: () => socket.terminate(),
  };
}

/** The same over HTTP, on connections of `agent`. */
export const httpSender = (url, token, agent) => ({
  send: (conversationId, text) =>
    new Promise((resolve, reject) => {
      const body = JSON.stringify({ query: SEND, variables: { input: inputOf(conversationId, text) } });
      const request = http.request(
        url,
        {
          agent,
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
            authorization: `Bearer ${token}`,
          },
        },
        (response) => {
          let answer = '';
          response.on('data', (chunk) => {
            answer += chunk;
          });
          response.on('end', () => {
            const { data, errors } = JSON.parse(answer);
            if (errors) reject(new Error(`not sent: ${JSON.stringify(errors)}`));
            else resolve(data.sendMessage.message);
          });
        },
      );
      request.on('error', reject);
      request.end(body);
    }),
});
