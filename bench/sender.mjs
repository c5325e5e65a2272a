import http from 'node:http';
import { openDevice } from './device.mjs';

const SEND = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id seq } } }';
let keys = 0;

const inputOf = (conversationId, text) => {
  keys += 1;
  return { conversationId, text, clientMessageId: `${process.pid}-${keys}` };
};

/** Opens a WebSocket of a user to Parley for sending. `send` resolves with the stored message. */
export async function openSender(url, token) {
  const { ask, close } = await openDevice(url, token);
  return {
    send: async (conversationId, text) =>
      (await ask(SEND, { input: inputOf(conversationId, text) })).sendMessage.message,
    close,
  };
}

/** The same over HTTP, with the connections of `agent`. */
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
