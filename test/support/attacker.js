// One attack of test/attacks/hostile.test.ts in a process of its own, so that its work delays neither the tests nor the
// calls that are measured. It is started with fork(), receives one message { kind, plan, url, ms, parallel }, and responds
// with { rounds } or { error } when the time is over.
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';

/**
 * The actions of each kind of attack, which several callers repeat at the same time until `over` aborts. A rejection by the
 * node is not a failure. Each action closes what it has opened before it resolves.
 */
const kinds = {
  /** Requests one after another. COUNT in a query is replaced by a number that is new each time; a text is sent as it is. */
  post({ token, requests }) {
    let count = 0;
    return async (url) => {
      const next = requests[count % requests.length];
      count += 1;
      const body =
        typeof next === 'string'
          ? next
          : JSON.stringify({ ...next, query: next.query.replaceAll('COUNT', `${count}`) });
      const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
      await (await fetch(url, { method: 'POST', headers, body })).text();
    };
  },
  longIds({ token, count }) {
    return async (url, over) => {
      const socket = await openSocket(url, token);
      const payload = { query: 'subscription { messages { type } }' };
      for (let at = 0; at < count && !over.aborted; at += 1) {
        // Data that the socket has not sent yet would only occupy memory of the attacker.
        while (socket?.readyState === WebSocket.OPEN && socket.bufferedAmount > 1_000_000) await delay(5);
        socket?.send(JSON.stringify({ id: `${at}`.padEnd(250_000, 'x'), type: 'subscribe', payload }));
      }
      await keepOpen([socket], over);
    };
  },
  connections({ count, payload }) {
    return async (url, over) => {
      const sockets = [];
      for (let at = 0; at < count && !over.aborted; at += 1) sockets.push(await openSocket(url, undefined, payload));
      await keepOpen(sockets, over);
    };
  },
  pings({ token, sockets: count }) {
    return async (url, over) => {
      const sockets = await Promise.all(Array.from({ length: count }, () => openSocket(url, token)));
      const text = JSON.stringify({ type: 'ping' });
      while (!over.aborted) {
        for (const socket of sockets) {
          if (socket?.readyState !== WebSocket.OPEN || socket.bufferedAmount > 100_000) continue;
          for (let at = 0; at < 100; at += 1) {
            socket.ping();
            socket.send(text);
          }
        }
        await delay(1);
      }
      await keepOpen(sockets, over);
    };
  },
  /** Subscriptions over POST with an Accept header that does not allow their answer. */
  unreadableStreams({ token }) {
    const body = JSON.stringify({ query: 'subscription { messages { type } }' });
    return (url) =>
      new Promise((resolve, reject) => {
        const headers = {
          'content-type': 'application/json',
          accept: 'application/graphql-response+json',
          authorization: `Bearer ${token}`,
        };
        const call = request(url, { method: 'POST', headers });
        call.on('error', reject);
        call.on('response', (response) => void response.resume().on('end', resolve));
        call.end(body);
      });
  },
  subscriptions({ token, payload, count }) {
    return async (url, over) => {
      const socket = await openSocket(url, token);
      for (let at = 0; at < count && !over.aborted; at += 1) {
        socket?.send(JSON.stringify({ id: `${at}`, type: 'subscribe', payload }));
        await delay(10);
      }
      socket?.terminate();
    };
  },
};

/** A socket whose session has begun; resolves with undefined where the node refuses it. */
function openSocket(url, token, payload = {}) {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), 'graphql-transport-ws');
  return new Promise((resolve) => {
    socket.once('error', () => resolve(undefined));
    socket.once('close', () => resolve(undefined));
    socket.once('message', () => resolve(socket));
    socket.once('open', () =>
      socket.send(
        JSON.stringify({ type: 'connection_init', payload: { ...payload, ...(token && { authorization: token }) } }),
      ),
    );
  });
}

/** Waits until the time is over, then closes all sockets and waits until they are closed. */
async function keepOpen(sockets, over) {
  if (!over.aborted) await new Promise((resolve) => over.addEventListener('abort', resolve, { once: true }));
  await Promise.all(
    sockets.map(async (socket) => {
      if (!socket || socket.readyState === WebSocket.CLOSED) return;
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.terminate();
      await closed;
    }),
  );
}

async function attack({ kind, plan, url, ms, parallel }) {
  const over = new AbortController();
  const run = kinds[kind](plan);
  setTimeout(() => over.abort(), ms);
  let rounds = 0;
  const caller = async () => {
    while (!over.signal.aborted) {
      await run(url, over.signal);
      rounds += 1;
    }
  };
  await Promise.all(Array.from({ length: parallel }, caller));
  return { rounds };
}

process.once('message', async (message) => {
  const answer = await attack(message).catch((error) => ({ error: String(error.stack) }));
  process.send(answer, () => process.exit());
});
