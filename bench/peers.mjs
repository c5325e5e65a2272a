import { fileURLToPath } from 'node:url';
import { eventsLike, graphqlSteps, stampedText } from './event.mjs';
import { startServer } from './process.mjs';

const file = (name) => fileURLToPath(new URL(`servers/${name}.mjs`, import.meta.url));
const rawPlan = (port, room) => ({ port, path: `/?room=${encodeURIComponent(room)}` });
// A pong proves that the subscription before the ping was accepted; these servers have no equivalent of CAUGHT_UP.
const graphqlPlan = (port, room) => ({
  port,
  path: '/graphql',
  protocol: 'graphql-transport-ws',
  steps: graphqlSteps({ conversationId: room, last: [{ send: '{"type":"ping"}' }, { await: 'pong' }] }),
});
const socketIoPlan = (port, room) => ({
  port,
  path: `/socket.io/?EIO=4&transport=websocket&room=${encodeURIComponent(room)}`,
  steps: [{ await: '0{' }, { send: '40' }, { await: '"joined"' }],
});

const graphqlEnvelope = '{"id":"1","type":"next","payload":{"data":{"messages":}}}'.length;
const socketIoEnvelope = '42["messages",]'.length;

const kinds = {
  raw: { name: 'raw `ws.send`', plan: rawPlan, file: 'raw' },
  coalesced: { name: 'raw coalesced frames', plan: rawPlan, file: 'raw-coalesced' },
  socketIo: {
    name: 'Socket.IO',
    plan: socketIoPlan,
    file: 'socket-io',
    longerText: graphqlEnvelope - socketIoEnvelope,
  },
  graphqlWs: { name: 'graphql-ws by default', plan: graphqlPlan, file: 'graphql-ws' },
  yoga: { name: 'yoga over graphql-ws by default', plan: graphqlPlan, file: 'yoga' },
};

/**
 * Starts a server that Parley is compared with, as the subject of a measurement (see parley.mjs). It has rooms, and
 * delivers what the harness sends to it.
 */
export async function startPeer(kind, { template, textLength }, env = {}) {
  const { name, plan, file: program, longerText = 0 } = kinds[kind];
  const server = await startServer(file(program), { env });
  const makeEvent = eventsLike(template);
  const sent = new Map();
  return {
    name,
    server,
    plans: (room, count) => [{ ...plan(server.place, room), count }],
    async send(room) {
      const seq = (sent.get(room) ?? 0) + 1;
      sent.set(room, seq);
      server.tell({ room, event: makeEvent(seq, stampedText(textLength + longerText)) });
    },
    settle: () => server.settle(),
    stop: () => server.stop(),
  };
}
