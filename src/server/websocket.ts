import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  GraphQLError,
  type OperationDefinitionNode,
} from 'graphql';
import { CloseCode, handleProtocols, makeServer } from 'graphql-ws';
import { type WebSocket, WebSocketServer } from 'ws';
import { schema } from '../app/schema.js';
import { badInput, ChatError, rateLimited, unauthenticated } from '../core/errors.js';
import { networkOf } from '../core/networks.js';
import { sessionWatch } from '../domain/session/session.authentication.js';
import type { Context } from '../graphql/context.js';
import { presentError } from '../graphql/errors.js';
import { createCounts } from '../infra/async/counts.js';
import { withRequest } from '../infra/telemetry/request.js';
import type { Carrier } from '../infra/telemetry/tracing.js';
import type { Deps } from '../platform/deps.js';
import { connected } from '../platform/feature.js';
import type { Connection, Viewer } from '../platform/viewer.js';
import type { AddressOf } from './addresses.js';
import type { Documents } from './documents.js';
import { GRAPHQL_PATH, identify, TOO_MANY_RETRY_MS } from './graphql-http.js';
import { pathOf } from './http.js';
import type { Kept } from './kept.js';
import type { Operations } from './operations.js';
import { isAllowedOrigin } from './origins.js';
import { Outbox, Postman } from './outbox.js';
import type { PersistedDocuments } from './persisted-documents.js';
import { createShares } from './shares.js';
import { SocketStream } from './socket-stream.js';
import { SharedSubscription, type Subscriptions } from './subscriptions.js';

/** Close codes of this server: the stock client comes back after each of them. */
const closeCodes = {
  /** The session or its token has ended: come back with a new token. */
  forbidden: { code: 4403, reason: 'Forbidden' },
  /** The client does not read what is sent to it, who it is cannot be looked up at the moment, or has too many open. */
  tryAgainLater: { code: 1013, reason: 'Try again later' },
  /** The server goes away: come back, perhaps to another node. */
  goingAway: { code: 1001, reason: 'Going away' },
  /** The database is another one than it was: come back, and fetch anew. */
  restart: { code: 1012, reason: 'Service restart' },
} as const;

/** Milliseconds that a client may take for its `connection_init`. */
const INIT_TIMEOUT_MS = 10_000;
/** Milliseconds between pings; a client that has not answered one by the next is gone. */
const KEEP_ALIVE_MS = 12_000;

/** Milliseconds between two slices of sockets that are closed while draining. */
const DRAIN_SLICE_MS = 100;
/** Milliseconds that a client which does not read is given for its close frame. */
const CUT_OFF_MS = 2_000;

/** Longest id of an operation, in bytes: it is kept for as long as the operation lasts. */
const ID_MAX_BYTES = 128;
/** Bytes of a frame that has come in part which count for nobody: a whole one that is as small is read at once. */
const PARTIAL_FREE_BYTES = 16_384;
/** Frames that one message may come in. */
const FRAGMENTS_MAX = 1_024;
/** Longest reason of a close frame, in bytes (RFC 6455, section 5.5). */
const REASON_MAX_BYTES = 123;
/** Milliseconds of the node's time that messages of one person or address may take at once. */
const SHARE_AT_ONCE_MS = 250;
/** What a frame costs that nothing comes of, and what a message costs beside what is measured of it, in milliseconds. */
const FRAME_MS = 0.05;

/** What a socket keeps from its `connection_init` on. */
interface SocketExtra extends Record<PropertyKey, unknown> {
  identity?: Context['identity'];
  socket: WebSocket;
  connection: Connection;
  outbox: Outbox;
  network: string;
  /** Subscriptions that are under way on it. */
  streams: number;
}

/** What an operation is carried out with, and on which socket. */
interface SocketArgs extends ExecutionArgs {
  extra: SocketExtra;
  /** Of a subscription: lets go of what is kept for it. */
  letGo?: () => void;
}

/** What is read of a `subscribe` message. */
interface Asked {
  query: string;
  documentId?: unknown;
  operationName?: string | null | undefined;
  variables?: Record<string, unknown> | null | undefined;
  extensions?: Record<string, unknown> | null | undefined;
  /** Bytes of the message. */
  [size]?: number;
  /** The message is held no more, but for what is kept of it. */
  [isHeard]?: () => void;
}
const size = Symbol('size');
const isHeard = Symbol('isHeard');

export interface GraphqlWebSocket {
  /** Sockets that are open. */
  readonly size: number;
  readonly counts: SocketCounts;
  /** Who writes to them. */
  readonly postman: Postman;
  /**
   * Refuses new sockets, closes those that are open in slices over `drainMs`, and resolves when they are gone; after
   * `timeoutMs` they are cut. With `restart` clients are told that the service begins anew.
   */
  close(options: { drainMs: number; timeoutMs: number; restart?: boolean }): Promise<void>;
}

/** What became of sockets since the start. */
interface SocketCounts {
  opened: number;
  /** Requests for one that were refused: another path, a foreign origin, too many from one address, the node stops. */
  refused: number;
  /** Clients that did not read, and were cut off with 1013. */
  cutOff: number;
  /** Clients that did not answer a ping. */
  silent: number;
  /** By close code: those of the protocol, and `other`, for a client may send any. */
  readonly closed: Map<string, number>;
}

/** Codes that docs/PROTOCOL.md names, and WebSocket's own. */
const countedCodes = new Set([
  1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1011, 1012, 1013, 4004, 4400, 4401, 4403, 4406, 4408, 4409,
  4429, 4499, 4500, 4504,
]);

/** GraphQL over WebSocket (graphql-transport-ws), on the path and with the rules of HTTP. */
export function serveWebSocket(
  server: Server,
  documents: Documents,
  persisted: PersistedDocuments,
  subscriptions: Subscriptions,
  operations: Operations,
  kept: Kept,
  addressOf: AddressOf,
  refusedOrigin: (origin: string) => void,
  deps: Deps,
): GraphqlWebSocket {
  const { config, log } = deps;
  const postman = new Postman(subscriptions.counts.onTurn);
  const counts: SocketCounts = { opened: 0, refused: 0, cutOff: 0, silent: 0, closed: new Map() };
  const ofPerson = createCounts(config.socketsPerPersonMax);
  const ofAddress = createCounts(config.socketsPerAddressMax);
  const shares = createShares({ share: config.timePerPersonPercent / 100, atOnceMs: SHARE_AT_ONCE_MS });
  const presented = (result: ExecutionResult): ExecutionResult =>
    result.errors
      ? { ...result, errors: result.errors.map((error) => presentError(error, log, documents.presenting)) }
      : result;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: config.frameMaxBytes,
    maxFragments: FRAGMENTS_MAX,
    // Each frame in a turn of its own: others have theirs between.
    allowSynchronousEvents: false,
    perMessageDeflate: false,
    handleProtocols,
  });

  const protocol = makeServer<Record<string, unknown>, SocketExtra>({
    connectionInitWaitTimeout: INIT_TIMEOUT_MS,
    async onConnect(context) {
      const { connectionParams, extra } = context;
      const { authorization, Authorization } = (connectionParams ?? {}) as Record<string, unknown>;
      // It would be kept for as long as the socket lasts.
      Object.assign(context, { connectionParams: undefined });
      const given = authorization ?? Authorization;
      if (given != null && typeof given !== 'string') return false;
      let identity: Context['identity'];
      try {
        identity = await identify(deps, given ?? undefined);
        if (identity instanceof ChatError && identity.code === 'UNAVAILABLE') throw identity;
      } catch (error) {
        log.warn({ err: error }, 'WebSocket client could not be authenticated');
        closeWith(extra.socket, closeCodes.tryAgainLater);
        return false;
      }
      // It may have gone while it was looked up: then nobody would hear of its end any more.
      if (extra.socket.readyState !== extra.socket.OPEN) return false;
      // Closed with 4403: the stock client comes back and asks its connectionParams anew.
      if (identity instanceof Error) return false;
      const leave = identity && !identity.isService ? ofPerson.enter(identity.userId) : () => {};
      if (!leave) {
        closeWith(extra.socket, closeCodes.tryAgainLater);
        return false;
      }
      extra.identity = identity;
      if (identity) {
        let unwatch = () => {};
        const watch = (viewer: Viewer) => {
          unwatch();
          extra.identity = viewer;
          unwatch = sessionWatch.of(deps).watch(viewer.sessionId, viewer.expiresAt, () => {
            // A client need not answer the close frame: what it sends meanwhile is not heard, and speaks for nobody.
            extra.identity = unauthenticated('The session has ended.');
            closeWith(extra.socket, closeCodes.forbidden);
          });
        };
        watch(identity);
        extra.connection.renew = watch;
        const disconnect = connected(deps, identity);
        extra.socket.once('close', () => {
          unwatch();
          disconnect();
          leave();
        });
      }
      return true;
    },
    async onSubscribe({ extra, subscriptions }, id, payload: Asked) {
      try {
        if (Buffer.byteLength(id) > ID_MAX_BYTES) {
          throw badInput('id', `The id of an operation can have at most ${ID_MAX_BYTES} bytes.`);
        }
        if (Object.keys(subscriptions).length > config.socketOperationsMax) {
          throw tooMany(`You can have at most ${config.socketOperationsMax} concurrent operations on one WebSocket.`);
        }
        const text = persisted.textOf(payload);
        if (text === undefined)
          throw new GraphQLError('The request must contain a query or the id of a persisted document.');
        const document = documents.read(text);
        if (isErrors(document)) {
          operations.failed(document);
          return document;
        }
        const { operationName, extensions } = payload;
        const operation = documents.operationOf(document, operationName);
        const variableValues = declaredOf(operation, payload.variables);
        const excess = documents.findExcess({ document, variableValues, operationName });
        if (excess) {
          operations.failed([excess]);
          return [excess];
        }
        const contextValue: SocketContext = {
          parent: parentOf(extensions),
          deps,
          identity: extra.identity ?? null,
          asker: extra.identity ?? null,
          syncCursor: deps.feed.now.cursor,
          ...extra.connection,
        };
        let letGo: (() => void) | undefined;
        if (operation.operation === 'subscription') {
          if (extra.streams >= config.socketStreamsMax) {
            throw tooMany(
              `One socket can have at most ${config.socketStreamsMax} streams at once.`,
              'socketStreamsMax',
            );
          }
          letGo = kept.keep(
            { connection: extra.socket, userId: limitedUserOf(extra), network: extra.network },
            { document, length: Math.max(0, (payload[size] ?? 0) - payload.query.length) },
          );
          if (!letGo)
            throw tooMany(
              'Your open subscriptions use too much memory. End some of them, or use smaller documents and variables.',
            );
          payload[isHeard]?.();
          // From here on `subscribe` is called, which lets go of it.
          extra.streams += 1;
        }
        return {
          schema,
          document,
          variableValues,
          operationName,
          contextValue,
          extra,
          letGo,
          ...documents.execution,
        } as SocketArgs;
      } catch (error) {
        operations.failed([error]);
        // Thrown, it would close the socket and with it every other operation.
        return [presentError(error, log)];
      } finally {
        // graphql-ws holds the message for as long as the operation lasts.
        Object.assign(payload, { query: '', variables: null, extensions: null, documentId: null });
      }
    },
    async execute(args) {
      try {
        return presented(await operations.carryOut(args, cameBy(args), () => execute(args)));
      } catch (error) {
        return { errors: [presentError(error, log)] };
      }
    },
    async subscribe(args) {
      const { extra, letGo } = args as SocketArgs;
      const leave = () => {
        extra.streams -= 1;
        letGo?.();
      };
      try {
        const opened = await operations.carryOut(args, cameBy(args), () => subscriptions.open(args));
        if (opened instanceof SharedSubscription) {
          opened.whenClosed(leave);
          // For onOperation, which knows where it goes.
          return opened as never;
        }
        leave();
        return presented(opened);
      } catch (error) {
        leave();
        return { errors: [presentError(error, log)] };
      }
    },
    onOperation: ({ extra }, id, _payload, _args, result: unknown) =>
      result instanceof SharedSubscription ? new SocketStream(result, extra.outbox, id, log) : undefined,
  });

  // Not graphql-ws's own adapter: that one writes to the console what any client can provoke, and keeps two timers a
  // socket.
  const unanswered = new WeakSet<WebSocket>();
  /** Sockets that are not read from although their clients read: no pong of theirs can come. */
  const heldBack = new WeakSet<WebSocket>();
  const serve = (socket: WebSocket, raw: Duplex, address: string) => {
    counts.opened += 1;
    const outbox = new Outbox(socket, raw, postman);
    /** Why the socket is not read from at present. */
    const reasons = new Set<'answers' | 'requests' | 'share'>();
    const hold = (reason: 'answers' | 'requests' | 'share') => {
      reasons.add(reason);
      if (reason !== 'answers') heldBack.add(socket);
      socket.pause();
    };
    const release = (reason: 'answers' | 'requests' | 'share') => {
      if (!reasons.delete(reason) || reasons.size > 0) return;
      heldBack.delete(socket);
      unanswered.delete(socket);
      socket.resume();
    };
    let reading: Promise<void> | undefined;
    /** Who asks without reading the answers is not heard meanwhile, lest these pile up. */
    const untilRead = (): Promise<void> => {
      hold('answers');
      reading ??= new Promise((resolve) => {
        const go = () => {
          raw.off('drain', go).off('close', go);
          reading = undefined;
          release('answers');
          resolve();
        };
        raw.on('drain', go).on('close', go);
      });
      return reading;
    };
    const extra: SocketExtra = {
      socket,
      connection: {
        cutOff() {
          // Each of its streams says so.
          if (socket.readyState === socket.OPEN) counts.cutOff += 1;
          closeWith(socket, closeCodes.tryAgainLater, CUT_OFF_MS);
        },
        renew: () => {},
      },
      outbox,
      network: networkOf(address),
      streams: 0,
    };
    /** Counts what its messages cost; who takes more than a share of the node's time is not read from for a while. */
    const spend = (ms: number) => {
      const identity = extra.identity;
      if (identity && !(identity instanceof Error) && identity.isService) return;
      const waitMs = shares.spend(identity && !(identity instanceof Error) ? identity.userId : extra.network, ms);
      if (waitMs < 1 || reasons.has('share')) return;
      hold('share');
      setTimeout(() => release('share'), waitMs).unref();
    };
    /** Bytes of messages that are being worked on; with too many no more is read. */
    let underWay = 0;
    const begin = (bytes: number): (() => void) => {
      underWay += bytes;
      if (underWay > config.socketBufferMaxBytes) hold('requests');
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        underWay -= bytes;
        if (underWay <= config.socketBufferMaxBytes) release('requests');
      };
    };
    /** Bytes that have come of a frame which is not whole yet, and those of them that count for the address. */
    let partial = 0;
    let counted = 0;
    const whole = () => {
      partial = 0;
      if (counted > 0) kept.partial(extra.network, -counted);
      counted = 0;
    };
    raw.on('data', (chunk: Buffer) => {
      partial += chunk.length;
      if (partial <= PARTIAL_FREE_BYTES) return;
      const more = partial - counted;
      counted = partial;
      if (kept.partial(extra.network, more)) return;
      closeWith(socket, closeCodes.tryAgainLater, 0);
    });
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        // Not waited for while it can be kept: what is answered in one go then goes out in one write.
        send: (text) => {
          if (socket.readyState !== socket.OPEN) return;
          if (raw.writableCorked === 0) {
            raw.cork();
            setImmediate(() => raw.uncork());
          }
          socket.send(text);
          return socket.bufferedAmount > config.socketBufferMaxBytes ? untilRead() : undefined;
        },
        // A reason that quotes a long id would be refused by ws.
        close: (code, reason) => socket.close(code, Buffer.byteLength(reason ?? '') <= REASON_MAX_BYTES ? reason : ''),
        onMessage: (receive) => {
          socket.on('message', (data) => {
            whole();
            if (socket.readyState !== socket.OPEN) return;
            const began = performance.now();
            const text = String(data);
            const over = begin(text.length);
            withRequest({ id: randomUUID(), address }, () => receive(read(text, over) as string))
              .catch((error: unknown) => {
                log.error({ err: error }, 'WebSocket message could not be handled');
                socket.close(CloseCode.InternalServerError, 'Internal server error');
              })
              .finally(over);
            spend(performance.now() - began + FRAME_MS);
          });
        },
      },
      extra,
    );
    socket.on('error', (error) => log.debug({ err: error }, 'socket error'));
    socket.on('ping', () => {
      whole();
      spend(FRAME_MS);
    });
    socket.on('pong', () => {
      whole();
      unanswered.delete(socket);
      spend(FRAME_MS);
    });
    socket.once('close', (code, reason) => {
      whole();
      const counted = countedCodes.has(code) ? String(code) : 'other';
      counts.closed.set(counted, (counts.closed.get(counted) ?? 0) + 1);
      outbox.close();
      void closed(code, String(reason));
    });
  };
  const keepAlive = setInterval(() => {
    for (const socket of sockets.clients) {
      if (heldBack.has(socket)) continue;
      if (unanswered.has(socket)) {
        counts.silent += 1;
        socket.terminate();
      } else if (socket.readyState === socket.OPEN) {
        unanswered.add(socket);
        socket.ping();
      }
    }
  }, KEEP_ALIVE_MS);

  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const refused = (status: string) => {
      counts.refused += 1;
      refuse(socket, status);
    };
    if (pathOf(request) !== GRAPHQL_PATH) return refused('404 Not Found');
    const { origin, host } = request.headers;
    if (!isAllowedOrigin(config, origin, host)) {
      if (origin !== undefined) refusedOrigin(origin);
      return refused('403 Forbidden');
    }
    const address = addressOf(request);
    const leave = ofAddress.enter(networkOf(address));
    if (!leave) return refused('429 Too Many Requests');
    socket.once('close', leave);
    sockets.handleUpgrade(request, socket, head, (webSocket) => serve(webSocket, socket, address));
  };
  server.on('upgrade', upgrade);

  return {
    get size() {
      return sockets.clients.size;
    },
    counts,
    postman,
    async close({ drainMs, timeoutMs, restart = false }) {
      clearInterval(keepAlive);
      server.off('upgrade', upgrade);
      server.on('upgrade', (_request, socket) => {
        counts.refused += 1;
        refuse(socket, '503 Service Unavailable');
      });
      const cutOff = setTimeout(() => {
        for (const socket of sockets.clients) socket.terminate();
      }, timeoutMs);
      const gone = new Promise<void>((resolve) => sockets.close(() => resolve()));
      // In slices: thousands that come back within one moment would take the other nodes' breath away.
      const open = [...sockets.clients];
      const slice = Math.ceil((open.length * DRAIN_SLICE_MS) / Math.max(drainMs, DRAIN_SLICE_MS));
      while (open.length > 0) {
        for (const socket of open.splice(0, slice))
          closeWith(socket, restart ? closeCodes.restart : closeCodes.goingAway);
        if (open.length > 0) await new Promise((resolve) => setTimeout(resolve, DRAIN_SLICE_MS));
      }
      await gone;
      clearTimeout(cutOff);
    },
  };
}

const tooMany = (message: string, limit?: string) => rateLimited(message, TOO_MANY_RETRY_MS, limit);

/** The context of an operation over a socket, with the trace that its client named. */
type SocketContext = Context & { parent: Carrier };

const cameBy = ({ contextValue }: ExecutionArgs) =>
  ({ transport: 'websocket', parent: (contextValue as SocketContext).parent }) as const;

/** A socket has no headers for each operation: what would be one is in the `extensions` of its message. */
function parentOf(extensions: Record<string, unknown> | null | undefined): Carrier {
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  return { traceparent: text(extensions?.['traceparent']), tracestate: text(extensions?.['tracestate']) };
}

/**
 * A message as the protocol has it, and nothing else of what the client sent: graphql-ws, which takes it as read, holds it
 * for as long as its operation lasts. What is no JSON stays as it is, for graphql-ws to refuse.
 */
function read(text: string, over: () => void): unknown {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return text;
  }
  if (!isRecord(message)) return message;
  const { type, id, payload } = message;
  if (!isRecord(payload)) return { type, id, payload };
  if (type === 'connection_init') {
    const { authorization, Authorization } = payload;
    return { type, payload: { authorization, Authorization } };
  }
  if (type !== 'subscribe') return { type, id, payload: isWritable(payload) ? payload : undefined };
  const { query, documentId, operationName, variables, extensions } = payload;
  const asked = { query, documentId, operationName, variables, extensions };
  return { type, id, payload: { ...asked, [size]: text.length, [isHeard]: over } };
}

/** Whether a value can be written as JSON, as graphql-ws writes the payload of a ping: one nested too deep cannot. */
function isWritable(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Of the values that came those of variables that the operation has. */
function declaredOf(
  { variableDefinitions = [] }: OperationDefinitionNode,
  values: Readonly<Record<string, unknown>> | null | undefined,
): Record<string, unknown> {
  const declared: Record<string, unknown> = {};
  if (!values) return declared;
  for (const { variable } of variableDefinitions) {
    const name = variable.name.value;
    if (Object.hasOwn(values, name)) declared[name] = values[name];
  }
  return declared;
}

/** Whose limits hold on a socket; undefined where nobody is signed in, and for the service's own bot. */
const limitedUserOf = ({ identity }: SocketExtra): string | undefined =>
  identity && !(identity instanceof Error) && !identity.isService ? identity.userId : undefined;

/** Closes a socket; with `patienceMs` it is cut when the client has not answered by then. */
function closeWith(socket: WebSocket, { code, reason }: { code: number; reason: string }, patienceMs?: number): void {
  socket.close(code, reason);
  if (patienceMs !== undefined) setTimeout(() => socket.terminate(), patienceMs).unref();
}

const isErrors = (read: DocumentNode | readonly GraphQLError[]): read is readonly GraphQLError[] => Array.isArray(read);

function refuse(socket: Duplex, status: string): void {
  // A client that keeps its half open must not keep ours.
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
