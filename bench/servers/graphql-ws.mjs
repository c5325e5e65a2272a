// graphql-ws as in its documentation: graphql-js executes each subscription for each subscriber.
import { PubSub } from 'graphql-subscriptions';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { obey, tellPort } from './commands.mjs';
import { eventSchema } from './event-schema.mjs';

const pubsub = new PubSub();
// By default, more than ten listeners cause a warning.
pubsub.ee.setMaxListeners(0);
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, path: '/graphql', backlog: 4_096 });
tellPort(server);
useServer({ schema: eventSchema((room) => pubsub.asyncIterableIterator(room)) }, server);
obey((room, event) => void pubsub.publish(room, event));
