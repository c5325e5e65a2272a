// GraphQL Yoga with graphql-ws as in its documentation.
import { setMaxListeners } from 'node:events';
import { createServer } from 'node:http';
import { useServer } from 'graphql-ws/use/ws';
import { createPubSub, createYoga } from 'graphql-yoga';
import { WebSocketServer } from 'ws';
import { obey, tellPort } from './commands.mjs';
import { eventSchema } from './event-schema.mjs';

const eventTarget = new EventTarget();
// By default, more than ten listeners cause a warning.
setMaxListeners(0, eventTarget);
const pubsub = createPubSub({ eventTarget });
const yoga = createYoga({ schema: eventSchema((room) => pubsub.subscribe(room)), logging: false });
const http = createServer(yoga);
const sockets = new WebSocketServer({ server: http, path: yoga.graphqlEndpoint });
useServer(
  {
    execute: (args) => args.rootValue.execute(args),
    subscribe: (args) => args.rootValue.subscribe(args),
    onSubscribe: async (context, _id, params) => {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        ...context,
        req: context.extra.request,
        socket: context.extra.socket,
        params,
      });
      const args = {
        schema,
        operationName: params.operationName,
        document: parse(params.query),
        variableValues: params.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      };
      const errors = validate(args.schema, args.document);
      return errors.length > 0 ? errors : args;
    },
  },
  sockets,
);
tellPort(http);
http.listen(0, '127.0.0.1', 4_096);
obey((room, event) => pubsub.publish(room, event));
