import type { IncomingMessage, ServerResponse } from 'node:http';
import { type DocumentNode, type ExecutionArgs, type ExecutionResult, GraphQLError, type Source } from 'graphql';
import { createYoga, type Plugin, type YogaInitialContext, type YogaServerInstance } from 'graphql-yoga';
import { schema } from '../app/schema.js';
import { ChatError, rateLimited, unauthenticated } from '../core/errors.js';
import { networkOf } from '../core/networks.js';
import { authenticate } from '../domain/session/session.authentication.js';
import type { Context } from '../graphql/context.js';
import { presentError } from '../graphql/errors.js';
import { createCounts } from '../infra/async/counts.js';
import { currentRequest } from '../infra/telemetry/request.js';
import type { Carrier } from '../infra/telemetry/tracing.js';
import type { Deps } from '../platform/deps.js';
import { connected } from '../platform/feature.js';
import type { Documents } from './documents.js';
import { graphiqlOptions, graphiqlPage } from './graphiql.js';
import type { Kept } from './kept.js';
import { EVENT_STREAM } from './media-types.js';
import type { Operations } from './operations.js';
import { isAllowedOrigin, isFrom } from './origins.js';
import type { PersistedDocuments } from './persisted-documents.js';
import { oneByOne, SharedSubscription, type Subscriptions } from './subscriptions.js';

export type Yoga = YogaServerInstance<Served, Context>;

/** What is served, as Node knows it. */
interface Served {
  req: IncomingMessage & { bodyBytes: number };
  res: ServerResponse;
}

export const GRAPHQL_PATH = '/graphql';

/**
 * Headers that no page can send to another site without asking first (CORS). A request that a page could make without,
 * a GET, has to carry one of them, whatever its value.
 */
export const CSRF_HEADERS = [
  'x-graphql-yoga-csrf',
  'apollo-require-preflight',
  'graphql-require-preflight',
  'x-apollo-operation-name',
];

/** When what was one too many may be tried again: others end meanwhile, or the client ends some. */
export const TOO_MANY_RETRY_MS = 1_000;

/** GraphQL over HTTP, and over SSE for subscriptions; GraphiQL for browsers. */
export function createGraphqlHttp(
  documents: Documents,
  persisted: PersistedDocuments,
  subscriptions: Subscriptions,
  operations: Operations,
  kept: Kept,
  refusedOrigin: (origin: string) => void,
  deps: Deps,
): Yoga {
  // There is nothing to close: the stream itself ends with an error.
  const cutOff = () => {
    subscriptions.counts.cutOffOverSse += 1;
  };
  const { config, log } = deps;
  return createYoga<Served, Context>({
    schema,
    graphqlEndpoint: GRAPHQL_PATH,
    // Its logger gets every error unmasked, and with it what stood in the variables: presentError logs what is unexpected.
    logging: false,
    landingPage: false,
    graphiql: config.graphiql && graphiqlOptions,
    renderGraphiQL: graphiqlPage,
    multipart: false,
    batching: false,
    // The body was read already, within BODY_MAX_BYTES.
    maxRequestBodySize: false,
    cors: (request) => {
      const origin = request.headers.get('origin') ?? undefined;
      const host = request.headers.get('host') ?? undefined;
      const isAllowed = isAllowedOrigin(config, origin, host);
      // A page that came from this very host needs no permission.
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
    maskedErrors: {
      maskError: (error) => presentError(error, log, documents.presenting),
    },
    parserAndValidationCache: false,
    extraParamNames: ['documentId'],
    context: async ({ request }) => {
      // Before who asks is looked up: reading that is part of the operation.
      const syncCursor = deps.feed.now.cursor;
      const asker = await identify(deps, request.headers.get('authorization') ?? undefined);
      return { deps, identity: asker, asker, syncCursor, cutOff };
    },
    plugins: [
      documentsOf(documents, persisted, operations),
      carryingOut(operations),
      streamsAskedFor(operations),
      sharingOf(subscriptions, operations, kept, deps),
    ],
  });
}

/**
 * Who a bearer token speaks for; null without one. What is wrong with it, or that it cannot be told at the moment
 * (UNAVAILABLE), is told to whoever needs the viewer.
 */
export async function identify(deps: Deps, authorization: string | undefined): Promise<Context['identity']> {
  if (authorization === undefined || authorization === '') return null;
  const token = /^(?:Bearer\s+)?([\w.~+/-]+={0,2})$/i.exec(authorization.trim())?.[1];
  if (token === undefined) return unauthenticated('The Authorization header must be `Bearer <token>`.');
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

/**
 * A subscription begins only where its events can be answered, and ends with the answer: whatever becomes of a request,
 * nothing of it goes on.
 */
function streamsAskedFor(operations: Operations): Plugin {
  return {
    onSubscribe({ args, setResultAndStopExecution }) {
      const context = args.contextValue as YogaInitialContext & Served & Context;
      if (context.request.headers.get('accept')?.includes(EVENT_STREAM)) {
        Object.assign(context, { signal: closeOf(context.res) });
        return;
      }
      const refused = new GraphQLError(
        `Subscriptions over HTTP are sent as ${EVENT_STREAM}, which the Accept header must allow.`,
        {
          extensions: { code: 'BAD_USER_INPUT', http: { status: 406 } },
        },
      );
      operations.failed([refused]);
      setResultAndStopExecution({ errors: [refused] });
    },
  };
}

/** Aborts when an answer is over or its connection is gone, also of one that waits behind another on its connection. */
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

/** Over HTTP (SSE) subscriptions are asked for one answer after another. */
function sharingOf(subscriptions: Subscriptions, operations: Operations, kept: Kept, deps: Deps): Plugin {
  const { config } = deps;
  const streams = createCounts(config.streamsPerPersonMax);
  return {
    onSubscribe: ({ setSubscribeFn }) =>
      setSubscribeFn(async (args: ExecutionArgs) => {
        const opened = await operations.carryOut(args, { transport: 'sse', parent: parentOf(args) }, () =>
          subscriptions.open(args),
        );
        if (!(opened instanceof SharedSubscription)) return opened;
        const { userId } = opened.stream;
        const { asker } = args.contextValue as Context;
        const isService = asker !== null && !(asker instanceof Error) && asker.isService;
        const { req, res } = args.contextValue as unknown as Served;
        const letGo = kept.keep(
          {
            connection: res,
            userId: isService ? undefined : userId,
            network: networkOf(currentRequest()?.address ?? ''),
          },
          { document: args.document, length: req.bodyBytes },
        );
        const leave = isService ? () => {} : letGo && streams.enter(userId);
        if (!leave || !letGo) {
          letGo?.();
          await opened.stream.return();
          const message = letGo
            ? `You can have at most ${config.streamsPerPersonMax} open subscriptions. End one of them first.`
            : 'Your open subscriptions use too much memory. End some of them, or use smaller documents and variables.';
          const refused = new GraphQLError(message, { originalError: rateLimited(message, TOO_MANY_RETRY_MS) });
          operations.failed([refused]);
          return { errors: [refused] };
        }
        // A stream over HTTP is a connection of its person, as a WebSocket is.
        const disconnect = connected(deps, { userId });
        return oneByOne(opened, subscriptions.counts, () => {
          leave();
          letGo();
          disconnect();
        });
      }),
  };
}

/** Operations are read as they are over WebSocket, and their errors told alike. */
function documentsOf(documents: Documents, persisted: PersistedDocuments, operations: Operations): Plugin {
  const stopExcess = ({ args, setResultAndStopExecution }: Stoppable) => {
    const excess = documents.findExcess(args);
    if (excess) {
      operations.failed([excess]);
      setResultAndStopExecution({ errors: [excess] });
    }
    Object.assign(args, documents.execution);
  };
  return {
    onRequestParse({ requestParser, setRequestParser }) {
      if (requestParser) setRequestParser(async (request) => readable(() => requestParser(request)));
    },
    onParams({ params, request, setParams }) {
      // Anything else is refused by yoga.
      if (typeof params !== 'object' || params === null || Array.isArray(params)) return;
      const inUrl = request.method === 'GET' ? new URL(request.url).searchParams.get('documentId') : null;
      const query = persisted.textOf(inUrl === null ? params : { ...params, documentId: inUrl });
      if (query !== undefined && query !== params.query) setParams({ ...params, query });
    },
    onParse({ setParseFn }) {
      setParseFn((source: string | Source) => documents.parse(typeof source === 'string' ? source : source.body));
      return ({ result }) => {
        if (result instanceof Error) operations.failed([result]);
      };
    },
    onValidate({ setValidationFn }) {
      setValidationFn((_schema: unknown, document: DocumentNode) => documents.errorsOf(document));
      return ({ valid, result }) => {
        if (!valid) operations.failed(result);
      };
    },
    onExecute: stopExcess,
    onSubscribe: stopExcess,
  };
}

interface Stoppable {
  args: ExecutionArgs;
  setResultAndStopExecution(result: ExecutionResult): void;
}

/** What cannot be read of a request is the client's fault, whatever it accepts: yoga says so of some of it only. */
async function readable<Params>(parse: () => Params | PromiseLike<Params>): Promise<Params> {
  try {
    return await parse();
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof GraphQLError)) throw error;
    const message =
      error instanceof GraphQLError ? error.message : 'The variables or the extensions are not valid JSON.';
    throw new GraphQLError(message, { extensions: { http: { status: 400 } } });
  }
}
