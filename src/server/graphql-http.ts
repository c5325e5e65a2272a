import type { ExecutionArgs } from 'graphql';
import { createYoga, type Plugin, type YogaInitialContext, type YogaServerInstance } from 'graphql-yoga';
import { ChatError, unauthenticated } from '../core/errors.js';
import type { Deps } from '../domain/deps.js';
import { authenticate } from '../domain/session/session.service.js';
import type { Context } from '../graphql/context.js';
import { presentError } from '../graphql/errors.js';
import type { Logger } from '../infra/log.js';
import type { Carrier } from '../infra/tracing.js';
import { schema } from '../schema.js';
import type { Documents } from './documents.js';
import { graphiqlOptions, graphiqlPage } from './graphiql.js';
import type { Operations } from './operations.js';
import { isAllowedOrigin } from './origins.js';
import { oneByOne, SharedSubscription, type Subscriptions } from './subscriptions.js';

export type Yoga = YogaServerInstance<object, Context>;

export const GRAPHQL_PATH = '/graphql';

/** GraphQL over HTTP, and over SSE for subscriptions; GraphiQL for browsers. */
export function createGraphqlHttp(
  documents: Documents,
  subscriptions: Subscriptions,
  operations: Operations,
  deps: Deps,
): Yoga {
  // There is nothing to close: the stream itself ends with an error.
  const cutOff = () => {
    subscriptions.counts.cutOffOverSse += 1;
  };
  const { config, log } = deps;
  return createYoga<object, Context>({
    schema,
    graphqlEndpoint: GRAPHQL_PATH,
    // Its logger gets every error unmasked, and with it what stood in the variables: presentError logs what is unexpected.
    logging: false,
    landingPage: false,
    graphiql: config.graphiql && graphiqlOptions,
    renderGraphiQL: graphiqlPage,
    multipart: false,
    batching: false,
    cors: (request) => {
      const origin = request.headers.get('origin') ?? undefined;
      return isAllowedOrigin(config, origin, request.headers.get('host') ?? undefined)
        ? {
            origin: origin ?? [],
            methods: ['GET', 'POST', 'OPTIONS'],
            allowedHeaders: ['content-type', 'authorization', 'x-request-id', 'apollo-require-preflight'],
            exposedHeaders: ['x-request-id'],
            credentials: false,
            maxAge: 600,
          }
        : false;
    },
    maskedErrors: {
      maskError: (error) => presentError(error, log),
    },
    // Errors of parsing are not remembered: nobody sends them often.
    parserAndValidationCache: { documentCache: documents.cache, errorCache: { get: () => undefined, set() {} } },
    context: async ({ request }) => {
      // Before who asks is looked up: reading that is part of the operation.
      const syncCursor = deps.feed.now.cursor;
      const asker = await identify(deps, request.headers.get('authorization') ?? undefined);
      return { deps, identity: asker, asker, syncCursor, signal: request.signal, cutOff };
    },
    plugins: [errorsOfOperations(operations, log), carryingOut(operations), sharingOf(subscriptions, operations, deps)],
  });
}

/**
 * Who a bearer token speaks for; null without one. What is wrong with it, or that it cannot be told at the moment
 * (UNAVAILABLE), is told to whoever needs the viewer.
 */
export async function identify(deps: Deps, authorization: string | undefined): Promise<Context['identity']> {
  if (authorization === undefined || authorization === '') return null;
  const token = /^(?:Bearer\s+)?([\w.~+/-]+={0,2})$/i.exec(authorization.trim())?.[1];
  if (token === undefined) return unauthenticated('The Authorization header is not `Bearer <token>`.');
  try {
    return await authenticate(deps, token);
  } catch (error) {
    if (error instanceof ChatError) return error;
    throw error;
  }
}

/** The trace that a request belongs to, if its client says so. */
const parentOf = ({ contextValue }: ExecutionArgs): Carrier => {
  const { headers } = (contextValue as YogaInitialContext).request;
  return {
    traceparent: headers.get('traceparent') ?? undefined,
    tracestate: headers.get('tracestate') ?? undefined,
  };
};

function carryingOut(operations: Operations): Plugin {
  return {
    onExecute: ({ executeFn, setExecuteFn }) =>
      setExecuteFn((args: ExecutionArgs) =>
        operations.carryOut(args, { transport: 'http', parent: parentOf(args) }, () => executeFn(args)),
      ),
  };
}

/** Over HTTP (SSE) subscriptions are asked for one answer after another. */
function sharingOf(subscriptions: Subscriptions, operations: Operations, { presence }: Deps): Plugin {
  return {
    onSubscribe: ({ setSubscribeFn }) =>
      setSubscribeFn(async (args: ExecutionArgs) => {
        const opened = await operations.carryOut(args, { transport: 'sse', parent: parentOf(args) }, () =>
          subscriptions.open(args),
        );
        if (!(opened instanceof SharedSubscription)) return opened;
        // A stream over HTTP is a connection of its person, as a WebSocket is.
        return oneByOne(opened, subscriptions.counts, presence.connect(opened.stream.userId));
      }),
  };
}

/** Errors of parsing and validation pass by the masking of execution: they get their code here. */
function errorsOfOperations(operations: Operations, log: Logger): Plugin {
  return {
    onParse: () => (payload) => {
      if (!(payload.result instanceof Error)) return;
      operations.failed([payload.result]);
      payload.replaceParseResult(presentError(payload.result, log));
    },
    onValidate: () => (payload) => {
      if (payload.valid) return;
      operations.failed(payload.result);
      payload.setResult(payload.result.map((error) => presentError(error, log)));
    },
  };
}
