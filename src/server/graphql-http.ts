import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ExecutionResult, GraphQLError } from 'graphql';
import { createYoga, type GraphQLParams, type Plugin, type YogaServerInstance } from 'graphql-yoga';
import { createConcurrencyLimiter } from '../infra/async/concurrency-limiter.js';
import type { Carrier } from '../infra/telemetry/tracing.js';
import type { Deps } from '../platform/deps.js';
import { connected } from '../platform/feature.js';
import { graphiqlOptions, graphiqlPage } from './graphiql.js';
import { EVENT_STREAM } from './media-types.js';
import { isAllowedOrigin, isFrom } from './origins.js';
import { identify, isRefusal, type Pipeline, tooMany } from './pipeline.js';
import type { RequestAccount } from './request-time.js';
import { resultsOf, SharedSubscription, type Subscriptions } from './subscriptions.js';

export type Yoga = YogaServerInstance<Served, object>;

/** The parsed body of a request. */
export interface Body {
  bytes: number;
  /** The JSON object in the body of a POST, or undefined for other methods. */
  params: object | undefined;
}

/** A request with its parsed body. */
interface Served {
  req: IncomingMessage;
  res: ServerResponse;
  body: Body;
  account: RequestAccount;
}

export const GRAPHQL_PATH = '/graphql';

/**
 * Headers that a page cannot send to another origin without a CORS preflight. Requests that would not need a preflight,
 * such as GET, must contain one of them with any value.
 */
export const CSRF_HEADERS = [
  'x-graphql-yoga-csrf',
  'apollo-require-preflight',
  'graphql-require-preflight',
  'x-apollo-operation-name',
];

/** Creates the handler of GraphQL over HTTP, of subscriptions over SSE, and of GraphiQL for browsers. */
export function createGraphqlHttp({
  pipeline,
  subscriptions,
  refusedOrigin,
  deps,
}: {
  pipeline: Pipeline;
  subscriptions: Subscriptions;
  refusedOrigin: (origin: string) => void;
  deps: Deps;
}): Yoga {
  const { config } = deps;
  return createYoga<Served>({
    graphqlEndpoint: GRAPHQL_PATH,
    // Yoga would log every error unmasked, including values of variables. `presentError` logs unexpected errors.
    logging: false,
    landingPage: false,
    graphiql: config.graphiql && graphiqlOptions,
    renderGraphiQL: graphiqlPage,
    multipart: false,
    batching: false,
    // The body has already been read, with the limit BODY_MAX_BYTES.
    maxRequestBodySize: false,
    cors: (request) => {
      const origin = request.headers.get('origin') ?? undefined;
      const host = request.headers.get('host') ?? undefined;
      const isAllowed = isAllowedOrigin(config, origin, host);
      // Pages of the same origin need no CORS permission.
      if (!isAllowed && origin !== undefined && !isFrom(origin, host)) refusedOrigin(origin);
      return isAllowed
        ? {
            origin: origin ?? [],
            methods: ['GET', 'POST', 'OPTIONS'],
            allowedHeaders: ['content-type', 'authorization', 'x-request-id', ...CSRF_HEADERS],
            exposedHeaders: ['x-request-id'],
            credentials: false,
            maxAge: 600,
          }
        : false;
    },
    // Only errors of reading the request; those of the operation have been presented already.
    maskedErrors: { maskError: (error) => pipeline.refuse(error).errors[0] as GraphQLError },
    parserAndValidationCache: false,
    extraParamNames: ['documentId'],
    plugins: [requestsTo(createServe(pipeline, subscriptions, deps))],
  });
}

type Serve = ReturnType<typeof createServe>;

/** Passes requests to `serve` instead of yoga's own execution. */
const requestsTo = (serve: Serve): Plugin<object, Served> => ({
  onRequestParse({ serverContext, requestParser, setRequestParser }) {
    const { params } = serverContext.body;
    if (params) setRequestParser(() => params);
    else if (requestParser) setRequestParser(async (request) => readUrl(() => requestParser(request)));
  },
  onParams({ params, request, context, setParams, setParamsHandler }) {
    const inUrl = request.method === 'GET' ? new URL(request.url).searchParams.get('documentId') : null;
    // Yoga requires a query, but the pipeline also accepts requests with only an id.
    setParams({ ...params, query: params.query ?? '', ...(inUrl !== null && { documentId: inUrl }) });
    setParamsHandler((handled) => serve(handled.params, request, context));
  },
});

/**
 * Creates the function that responds to GraphQL requests with a result, or with a stream of the results of a
 * subscription.
 */
function createServe(pipeline: Pipeline, subscriptions: Subscriptions, deps: Deps) {
  const { streamsPerPersonMax } = deps.config;
  const streams = createConcurrencyLimiter(streamsPerPersonMax);
  // There is no connection to close: the stream itself ends with an error.
  const onSlowConsumer = () => {
    subscriptions.counts.slowConsumersOverSse += 1;
  };
  const enter = (userId: string | undefined): (() => void) => {
    const leave = userId === undefined ? () => {} : streams.enter(userId);
    if (leave) return leave;
    throw tooMany(`You can have at most ${streamsPerPersonMax} open subscriptions. End one of them first.`);
  };

  return async (
    params: GraphQLParams,
    { method, headers }: Request,
    { res, body, account }: Served,
  ): Promise<ExecutionResult | AsyncIterable<ExecutionResult>> => {
    const prepared = account.measure(() => pipeline.prepare(params));
    if (isRefusal(prepared)) return prepared;
    const kind = prepared.operation.operation;
    const isStream = kind === 'subscription';
    if (kind === 'mutation' && method === 'GET') return pipeline.refuse(mutationByGet());
    if (isStream && !headers.get('accept')?.includes(EVENT_STREAM)) return pipeline.refuse(noEventStream());
    // Before the caller is looked up, because that is already part of the operation's reads.
    const syncCursor = deps.feed.now.cursor;
    const identity = await account.measure(() => identify(deps, headers.get('authorization') ?? undefined));
    account.identified(identity);
    const admitted = pipeline.admit(
      prepared,
      {
        transport: isStream ? 'sse' : 'http',
        parent: parentOf(headers),
        identity,
        syncCursor,
        connection: isStream ? { onSlowConsumer, signal: closeOf(res) } : { onSlowConsumer },
      },
      { connection: res, length: Math.max(0, body.bytes - (params.query?.length ?? 0)), enter },
    );
    if (isRefusal(admitted)) return admitted;
    if (!isStream) return pipeline.run(admitted);
    const opened = await pipeline.subscribe(admitted);
    if (!(opened instanceof SharedSubscription)) return opened;
    // A stream over HTTP counts as a connection of its user, like a WebSocket.
    const disconnect = connected(deps, { userId: opened.stream.userId });
    return resultsOf(opened, subscriptions.counts, disconnect);
  };
}

const mutationByGet = () =>
  new GraphQLError('Mutations must be sent by POST.', {
    extensions: { http: { status: 405, headers: { allow: 'POST' } } },
  });

const noEventStream = () =>
  new GraphQLError(`Subscriptions over HTTP are sent as ${EVENT_STREAM}, which the Accept header must allow.`, {
    extensions: { http: { status: 406 } },
  });

/** The trace context that the client sent, if any. */
const parentOf = (headers: Headers): Carrier => ({
  traceparent: headers.get('traceparent') ?? undefined,
  tracestate: headers.get('tracestate') ?? undefined,
});

/**
 * A signal that aborts when the response has ended or its connection has closed, also if the response waits behind
 * another one on the same connection.
 */
function closeOf(res: ServerResponse): AbortSignal {
  const closed = new AbortController();
  const { socket } = res.req;
  const close = () => {
    res.off('close', close);
    socket.off('close', close);
    closed.abort();
  };
  if (res.closed || socket.destroyed) closed.abort();
  res.once('close', close);
  socket.once('close', close);
  return closed.signal;
}

/**
 * Parses the parameters in the URL.
 * @throws {GraphQLError} if the variables or the extensions are not valid JSON.
 */
async function readUrl<Params>(parse: () => Params | PromiseLike<Params>): Promise<Params> {
  try {
    return await parse();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new GraphQLError('The variables or the extensions are not valid JSON.', {
      extensions: { http: { status: 400 } },
    });
  }
}
