import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { CloseCode, handleProtocols, makeServer } from 'graphql-ws';
import { type WebSocket, WebSocketServer } from 'ws';
import { ChatError, unauthenticated } from '../core/errors.js';
import { networkOf } from '../core/networks.js';
import { sessionWatch } from '../domain/session/session.authentication.js';
import type { Context } from '../graphql/context.js';
import { createConcurrencyLimiter } from '../infra/async/concurrency-limiter.js';
import { withRequest } from '../infra/telemetry/request.js';
import type { Carrier } from '../infra/telemetry/tracing.js';
import type { Deps } from '../platform/deps.js';
import { connected } from '../platform/feature.js';
import type { Connection, Viewer } from '../platform/viewer.js';
import type { AddressOf } from './addresses.js';
import { GRAPHQL_PATH } from './graphql-http.js';
import { pathOf } from './http.js';
import type { MemoryLimits } from './memory-limits.js';
import { isAllowedOrigin } from './origins.js';
import { Outbox, WriteScheduler } from './outbox.js';
import {
  type AdmittedOperation,
  type GraphqlRequest,
  identify,
  isRefusal,
  type Pipeline,
  tooMany,
} from './pipeline.js';
import type { RequestTime } from './request-time.js';
import { SocketStream } from './socket-stream.js';
import { SharedSubscription, type Subscriptions } from './subscriptions.js';

/** The close codes of this server. The standard client reconnects after each of them. */
const closeCodes = {
  /** The session or its token has ended. The client reconnects with a new token. */
  forbidden: { code: 4403, reason: 'Forbidden' },
  /**
   * The client does not read responses, its session cannot be checked at the moment, or it has too many connections.
   */
  tryAgainLater: { code: 1013, reason: 'Try again later' },
  /** The server stops. The client reconnects, possibly to another node. */
  goingAway: { code: 1001, reason: 'Going away' },
  /** The database was replaced. The client reconnects and fetches all data again. */
  restart: { code: 1012, reason: 'Service restart' },
} as const;

/** The time that a client has to send `connection_init`, in milliseconds. */
const INIT_TIMEOUT_MS = 10_000;
/**
 * The maximum time that a new WebSocket waits because its address has used more than its share of the node's time, in
 * milliseconds. Its user may be somebody else, who is known only when the `connection_init` is read. With the maximum number
 * of sockets of an address, this keeps the work for clients that connect again and again at about the share of one.
 */
const CONNECT_WAIT_MAX_MS = 5_000;
/**
 * The interval between pings, in milliseconds. A client that has not answered a ping before the next one is
 * disconnected.
 */
const KEEP_ALIVE_MS = 12_000;

/** The interval between two batches of sockets that are closed while draining, in milliseconds. */
const DRAIN_SLICE_MS = 100;
/** The time that a client that does not read has to receive its close frame, in milliseconds. */
const SLOW_CONSUMER_CLOSE_MS = 2_000;

/**
 * The maximum length of an operation's id in bytes: each response contains it, and it is kept until the operation ends.
 */
const ID_MAX_BYTES = 128;
/** The maximum length of a ping's payload that is returned in the pong, in characters of JSON. */
const PING_PAYLOAD_MAX_CHARS = 1_024;
/**
 * The size up to which incomplete frames are not counted, in bytes: a complete frame of this size is processed
 * immediately.
 */
const PARTIAL_FREE_BYTES = 16_384;
/** The maximum number of frames of one message. */
const FRAGMENTS_MAX = 1_024;
/** The maximum length of the reason in a close frame, in bytes (RFC 6455, section 5.5). */
const REASON_MAX_BYTES = 123;
/** The version of the WebSocket protocol (RFC 6455). */
const WEBSOCKET_VERSION = 13;
const TOO_MANY_REQUESTS = '429 Too Many Requests';
/** The number of bytes of incomplete frames that are charged at once. */
const CHARGED_BYTES = 65_536;

/** The state of a socket from its `connection_init` on. */
interface SocketExtra extends Record<PropertyKey, unknown> {
  identity?: Context['identity'];
  socket: WebSocket;
  connection: Connection;
  outbox: Outbox;
  network: string;
  /** Ends a wait for the share of the address. From now on, the user is charged. */
  identified(): void;
  /** The number of open subscriptions. */
  streams: number;
}

/** The content of a `subscribe` message. */
interface SubscribePayload extends GraphqlRequest {
  query: string;
  /** The size of the message in bytes. */
  [size]?: number;
  /** Called when the message is no longer held in memory, except for the data that was kept of it. */
  [onReleased]?: () => void;
}
const size = Symbol('size');
const onReleased = Symbol('onReleased');

export interface GraphqlWebSocket {
  /** The number of open sockets. */
  readonly size: number;
  readonly counts: SocketCounts;
  /** Writes their responses. */
  readonly scheduler: WriteScheduler;
  /**
   * Rejects new sockets, closes the open ones in batches over `drainMs`, and resolves when all are closed. After
   * `timeoutMs`, the remaining ones are terminated. With `restart`, clients receive the close code for a service
   * restart.
   */
  close(options: { drainMs: number; timeoutMs: number; restart?: boolean }): Promise<void>;
}

/** Counters of sockets since the start. */
interface SocketCounts {
  opened: number;
  /**
   * Rejected upgrade requests: with another path, a foreign origin, an invalid handshake, too many connections, or while
   * the node stops.
   */
  refused: number;
  /** Clients that were disconnected with 1013 because they did not read. */
  slowConsumers: number;
  /** Clients that did not answer a ping. */
  silent: number;
  /**
   * The number of closed sockets by close code. Codes that are not part of the protocol count as `other`, because a
   * client can send any code.
   */
  readonly closed: Map<string, number>;
}

/** The close codes that docs/PROTOCOL.md documents, and those of WebSocket itself. */
const countedCodes = new Set([
  1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1011, 1012, 1013, 4004, 4400, 4401, 4403, 4406, 4408, 4409,
  4429, 4499, 4500, 4504,
]);

/** Serves GraphQL over WebSocket (graphql-transport-ws), with the same path and rules as over HTTP. */
export function serveWebSocket({
  server,
  pipeline,
  subscriptions,
  memoryLimits,
  requestTime,
  addressOf,
  refusedOrigin,
  deps,
}: {
  server: Server;
  pipeline: Pipeline;
  subscriptions: Subscriptions;
  memoryLimits: MemoryLimits;
  requestTime: RequestTime;
  addressOf: AddressOf;
  refusedOrigin: (origin: string) => void;
  deps: Deps;
}): GraphqlWebSocket {
  const { config, log } = deps;
  const scheduler = new WriteScheduler(subscriptions.counts.onTurn);
  const counts: SocketCounts = { opened: 0, refused: 0, slowConsumers: 0, silent: 0, closed: new Map() };
  const ofPerson = createConcurrencyLimiter(config.socketsPerPersonMax);
  const ofAddress = createConcurrencyLimiter(config.socketsPerAddressMax);
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: config.frameMaxBytes,
    maxFragments: FRAGMENTS_MAX,
    // Each frame is processed in its own turn of the event loop, so that other work can run in between.
    allowSynchronousEvents: false,
    perMessageDeflate: false,
    handleProtocols,
  });

  /** @throws {ChatError} RATE_LIMITED */
  function checkOpenOperations(open: number): void {
    if (open > config.socketOperationsMax) {
      throw tooMany(`One WebSocket can have at most ${config.socketOperationsMax} operations in progress.`);
    }
  }

  /** @throws {ChatError} RATE_LIMITED */
  function enterStream(extra: SocketExtra): () => void {
    const max = config.socketStreamsMax;
    if (extra.streams >= max)
      throw tooMany(`One WebSocket can have at most ${max} open subscriptions.`, 'socketStreamsMax');
    extra.streams += 1;
    return () => {
      extra.streams -= 1;
    };
  }

  const protocol = makeServer<Record<string, unknown>, SocketExtra>({
    connectionInitWaitTimeout: INIT_TIMEOUT_MS,
    async onConnect(context) {
      const { connectionParams, extra } = context;
      const { authorization, Authorization } = (connectionParams ?? {}) as Record<string, unknown>;
      // Otherwise, it would stay in memory as long as the socket.
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
      // The socket may have closed during the lookup, and its end would no longer be noticed.
      if (extra.socket.readyState !== extra.socket.OPEN) return false;
      // The socket is closed with 4403: the standard client then reconnects with new connectionParams.
      if (identity instanceof Error) return false;
      const leave = identity && !identity.isService ? ofPerson.enter(identity.userId) : () => {};
      if (!leave) {
        closeWith(extra.socket, closeCodes.tryAgainLater);
        return false;
      }
      extra.identity = identity;
      if (identity) {
        extra.identified();
        let unwatch = () => {};
        const watch = (viewer: Viewer) => {
          unwatch();
          extra.identity = viewer;
          unwatch = sessionWatch.of(deps).watch(viewer.sessionId, viewer.expiresAt, () => {
            // Until the client answers the close frame, its messages must not be executed on behalf of the user.
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
    onSubscribe({ extra, subscriptions: open }, _id, payload: SubscribePayload) {
      try {
        checkOpenOperations(Object.keys(open).length);
        const prepared = pipeline.prepare(payload);
        // If errors were thrown, the socket would be closed with all its other operations.
        if (isRefusal(prepared)) return prepared.errors;
        const admitted = pipeline.admit(
          prepared,
          {
            transport: 'websocket',
            parent: parentOf(payload.extensions),
            identity: extra.identity ?? null,
            syncCursor: deps.feed.now.cursor,
            connection: extra.connection,
          },
          {
            connection: extra.socket,
            length: Math.max(0, (payload[size] ?? 0) - payload.query.length),
            enter: () => enterStream(extra),
          },
        );
        if (isRefusal(admitted)) return admitted.errors;
        if (prepared.operation.operation === 'subscription') payload[onReleased]?.();
        return admitted;
      } catch (error) {
        return pipeline.refuse(error).errors;
      } finally {
        // graphql-ws keeps the message in memory until the operation ends.
        Object.assign(payload, { query: '', variables: null, extensions: null, documentId: null });
      }
    },
    execute: (args) => pipeline.run(args as AdmittedOperation),
    // The result is passed to onOperation, which handles shared subscriptions.
    subscribe: (args) => pipeline.subscribe(args as AdmittedOperation) as never,
    onOperation: ({ extra }, id, _payload, _args, result: unknown) =>
      result instanceof SharedSubscription ? new SocketStream(result, extra.outbox, id) : undefined,
  });

  // Not graphql-ws's own adapter: it logs errors that any client can cause to the console, and uses two timers per
  // socket.
  const unanswered = new WeakSet<WebSocket>();
  /** Sockets that are paused although their clients read. Their pongs cannot be received. */
  const heldBack = new WeakSet<WebSocket>();
  const serve = (socket: WebSocket, raw: Duplex, address: string) => {
    counts.opened += 1;
    const outbox = new Outbox(socket, raw, scheduler);
    /** The reasons for which the socket is paused. */
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
    /** Backpressure: pauses a socket whose client sends requests but does not read the responses. */
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
        onSlowConsumer() {
          // Each stream of the socket reports it, but it counts once.
          if (socket.readyState === socket.OPEN) counts.slowConsumers += 1;
          closeWith(socket, closeCodes.tryAgainLater, SLOW_CONSUMER_CLOSE_MS);
        },
        renew: () => {},
      },
      outbox,
      network: networkOf(address),
      identified: () => endWait(),
      streams: 0,
    };
    /** The number of received bytes that have not been charged yet. */
    let uncharged = 0;
    let waiting: NodeJS.Timeout | undefined;
    const waitFor = (ms: number) => {
      if (ms < 1 || waiting) return;
      hold('share');
      waiting = setTimeout(endWait, ms).unref();
    };
    const endWait = () => {
      clearTimeout(waiting);
      waiting = undefined;
      release('share');
    };
    /** Charges a frame. Sockets of clients that use more than their share of the node's time are paused for a while. */
    const charge = (ms = 0) => {
      const bytes = uncharged;
      uncharged = 0;
      waitFor(requestTime.chargeFrame(extra.identity, extra.network, { ms, bytes }));
    };
    /** The size of the messages in progress, in bytes. The socket is paused while it is too high. */
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
    /** The received bytes of an incomplete frame, and how many of them count against the limit of the network. */
    let partial = 0;
    let counted = 0;
    const onFrameComplete = () => {
      partial = 0;
      if (counted > 0) memoryLimits.countPartialFrame(extra.network, -counted);
      counted = 0;
    };
    raw.on('data', (chunk: Buffer) => {
      partial += chunk.length;
      uncharged += chunk.length;
      if (uncharged >= CHARGED_BYTES) charge();
      if (partial <= PARTIAL_FREE_BYTES) return;
      const more = partial - counted;
      counted = partial;
      if (memoryLimits.countPartialFrame(extra.network, more)) return;
      closeWith(socket, closeCodes.tryAgainLater, 0);
    });
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        // Not awaited while it can be buffered, so that responses of the same turn are sent in one write.
        send: (text) => {
          if (socket.readyState !== socket.OPEN) return;
          if (raw.writableCorked === 0) {
            raw.cork();
            setImmediate(() => raw.uncork());
          }
          socket.send(text);
          return socket.bufferedAmount > config.socketBufferMaxBytes ? untilRead() : undefined;
        },
        // ws rejects longer reasons, which can contain a long id.
        close: (code, reason) => socket.close(code, Buffer.byteLength(reason ?? '') <= REASON_MAX_BYTES ? reason : ''),
        onMessage: (receive) => {
          socket.on('message', (data) => {
            onFrameComplete();
            if (socket.readyState !== socket.OPEN) return charge();
            const began = performance.now();
            const text = String(data);
            const freeMessage = begin(text.length);
            const message = read(text, freeMessage);
            if (hasLongId(message)) {
              freeMessage();
              socket.close(CloseCode.BadRequest, `The id of an operation can have at most ${ID_MAX_BYTES} bytes.`);
            } else {
              withRequest({ id: randomUUID(), address }, () => receive(message as string))
                .catch((error: unknown) => {
                  log.error({ err: error }, 'WebSocket message could not be handled');
                  socket.close(CloseCode.InternalServerError, 'Internal server error');
                })
                .finally(freeMessage);
            }
            charge(performance.now() - began);
          });
        },
      },
      extra,
    );
    waitFor(Math.min(requestTime.chargeUpgrade(extra.network), CONNECT_WAIT_MAX_MS));
    socket.on('error', (error) => log.debug({ err: error }, 'socket error'));
    socket.on('ping', () => {
      onFrameComplete();
      charge();
    });
    socket.on('pong', () => {
      onFrameComplete();
      unanswered.delete(socket);
      charge();
    });
    socket.once('close', (code, reason) => {
      onFrameComplete();
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

  /** Rejects an upgrade request. It is charged and delayed like an HTTP request that is rejected. */
  async function refuseInTurn(request: IncomingMessage, socket: Duplex, status: string): Promise<void> {
    counts.refused += 1;
    try {
      await requestTime.begin(networkOf(addressOf(request)), undefined).turn();
    } catch {
      return refuse(socket, TOO_MANY_REQUESTS);
    }
    refuse(socket, status);
  }

  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    if (pathOf(request) !== GRAPHQL_PATH) return void refuseInTurn(request, socket, '404 Not Found');
    const { origin, host } = request.headers;
    if (!isAllowedOrigin(config, origin, host)) {
      if (origin !== undefined) refusedOrigin(origin);
      return void refuseInTurn(request, socket, '403 Forbidden');
    }
    const address = addressOf(request);
    const leave = ofAddress.enter(networkOf(address));
    if (!leave) return void refuseInTurn(request, socket, TOO_MANY_REQUESTS);
    socket.once('close', leave);
    sockets.handleUpgrade(request, socket, head, (webSocket) => serve(webSocket, socket, address));
  };
  // Without a listener, ws responds immediately.
  sockets.on('wsClientError', (_error, socket, request) => {
    void refuseInTurn(request, socket, `400 Bad Request\r\nSec-WebSocket-Version: ${WEBSOCKET_VERSION}`);
  });
  server.on('upgrade', upgrade);

  return {
    get size() {
      return sockets.clients.size;
    },
    counts,
    scheduler,
    async close({ drainMs, timeoutMs, restart = false }) {
      clearInterval(keepAlive);
      server.off('upgrade', upgrade);
      server.on('upgrade', (_request, socket) => {
        counts.refused += 1;
        refuse(socket, '503 Service Unavailable');
      });
      const termination = setTimeout(() => {
        for (const socket of sockets.clients) socket.terminate();
      }, timeoutMs);
      const gone = new Promise<void>((resolve) => sockets.close(() => resolve()));
      // In batches, to avoid a reconnect storm on the other nodes.
      const open = [...sockets.clients];
      const slice = Math.ceil((open.length * DRAIN_SLICE_MS) / Math.max(drainMs, DRAIN_SLICE_MS));
      while (open.length > 0) {
        for (const socket of open.splice(0, slice))
          closeWith(socket, restart ? closeCodes.restart : closeCodes.goingAway);
        if (open.length > 0) await new Promise((resolve) => setTimeout(resolve, DRAIN_SLICE_MS));
      }
      await gone;
      clearTimeout(termination);
    },
  };
}

/** The trace context of an operation, from the `extensions` of its message: a socket has no headers per operation. */
function parentOf(extensions: Record<string, unknown> | null | undefined): Carrier {
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  return { traceparent: text(extensions?.['traceparent']), tracestate: text(extensions?.['tracestate']) };
}

/**
 * Parses a message and removes everything that is not part of the protocol, because graphql-ws keeps the message until
 * the operation ends. Invalid JSON is returned unchanged, so that graphql-ws rejects it.
 */
function read(text: string, freeMessage: () => void): unknown {
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
  if (type !== 'subscribe') return { type, id, payload: isShort(payload) ? payload : undefined };
  const { query, documentId, operationName, variables, extensions } = payload;
  const request = { query, documentId, operationName, variables, extensions };
  return { type, id, payload: { ...request, [size]: text.length, [onReleased]: freeMessage } };
}

/**
 * Whether the payload of a ping is short enough to be returned. Payloads that are nested too deeply cannot be
 * serialized.
 */
function isShort(value: unknown): boolean {
  try {
    return JSON.stringify(value).length <= PING_PAYLOAD_MAX_CHARS;
  } catch {
    return false;
  }
}

/** Whether the id of a message is too long. */
const hasLongId = (message: unknown): boolean =>
  isRecord(message) && typeof message['id'] === 'string' && Buffer.byteLength(message['id']) > ID_MAX_BYTES;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Closes a socket. With a timeout, it is terminated if the client has not answered by then. */
function closeWith(socket: WebSocket, { code, reason }: { code: number; reason: string }, timeoutMs?: number): void {
  socket.close(code, reason);
  if (timeoutMs !== undefined) setTimeout(() => socket.terminate(), timeoutMs).unref();
}

function refuse(socket: Duplex, status: string): void {
  // Closes the connection even if the client keeps its side open.
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
