import { type Hashes, type Payload, payload, type TypedDocument } from './document.js';
import { type ParleyError, responseError, toError } from './errors.js';
import type { Result, Send } from './http.js';
import { HOPELESS, onWake, pause, retryDelay } from './pause.js';
import type { SessionManager } from './session.js';

/** Receives the results of a subscription. */
export interface Sink<Data> {
  next(data: Data): void;
  /** The subscription has ended with an error. */
  error?(error: ParleyError): void;
  /** The server has ended the subscription. */
  complete?(): void;
}

export interface SocketOptions {
  url: string;
  hashes: Hashes;
  /** After how many milliseconds without a message a ping is sent. */
  keepAlive: number;
  /** Resolves when it is known who is signed in. */
  loaded: () => Promise<void>;
  /** Called when the socket is open, when it is lost, and with the time of the next attempt. */
  onChange: (status: 'connecting' | 'syncing' | 'waiting', retryAt?: number) => void;
}

/** How many milliseconds it may take to open a connection. */
const CONNECT_TIMEOUT = 10_000;
/** How many milliseconds the server may take to answer a ping. */
const ANSWER_TIMEOUT = 5_000;
/** The same, if the device was asleep or offline and the connection is probably lost. */
const PROBE_TIMEOUT = 2_000;
/** Close codes after a violation of the protocol, by the client or by something between it and the server. */
const BUG_CODES = /^(100[27]|44(?!0[38]))/;
/** An operation that is in progress. */
interface Operation {
  body: Payload;
  sink: Sink<unknown>;
  /** Whether it must not be sent again after a reconnect. */
  isOnce: boolean;
}

/** A message of the protocol graphql-transport-ws. */
interface Frame {
  type: string;
  id?: string;
  payload?: unknown;
}

export type Socket = ReturnType<typeof createSocket>;

/**
 * The WebSocket of a tab, with the protocol of graphql-ws. It is open as long as there are operations, reconnects after
 * every failure, and then sends the operations again.
 */
export function createSocket(session: SessionManager, options: SocketOptions) {
  const operations = new Map<string, Operation>();
  let operationCount = 0;
  let current: WebSocket | undefined;
  let isReady = false;
  let isWaiting = false;
  let failures = 0;
  let isRefused = false;
  let sentToken: string | undefined;
  let silence: ReturnType<typeof setTimeout> | undefined;
  let ping: ReturnType<typeof setTimeout> | undefined;
  let renewal: ReturnType<typeof setTimeout> | undefined;
  // A device that was asleep or offline does not notice that its connection is lost, or that an attempt is in vain.
  const stopWaking = onWake(() => {
    if (current) sendPing(PROBE_TIMEOUT);
  });

  /**
   * Subscribes. After a reconnect, the operation is sent again with the current values of `variables`.
   * @returns a function that ends the subscription.
   */
  function subscribe<Data, Variables extends object>(
    document: string | TypedDocument<Data, Variables>,
    variables: Variables,
    sink: Sink<Data>,
    isOnce = false,
  ): () => void {
    const body = payload(document as TypedDocument<unknown, never>, variables, options.hashes);
    operationCount += 1;
    const id = `${operationCount}`;
    operations.set(id, { body, sink: sink as Sink<unknown>, isOnce });
    if (isReady) begin(id, body);
    else connect();
    return () => end(id);
  }

  /** Closes the connection; the operations continue on a new one. */
  function reconnect(): void {
    if (current) lost(current);
  }

  function close(): void {
    stopWaking();
    operations.clear();
    drop();
  }

  function begin(id: string, body: Payload): void {
    send({ id, type: 'subscribe', payload: body });
  }

  function end(id: string, isTold = false): void {
    if (!operations.delete(id)) return;
    if (!isTold && isReady) send({ id, type: 'complete' });
    if (operations.size === 0) drop();
  }

  function send(frame: Frame): void {
    if (current?.readyState === 1) current.send(JSON.stringify(frame));
  }

  function connect(): void {
    if (current || isWaiting) return;
    options.onChange('connecting');
    const socket = new WebSocket(options.url.replace(/^http/, 'ws'), 'graphql-transport-ws');
    current = socket;
    // The close event that follows is sufficient.
    socket.onerror = () => {};
    expectAnswer(CONNECT_TIMEOUT);
    socket.onopen = async () => {
      const authorization = await token();
      if (socket === current) {
        send({ type: 'connection_init', payload: authorization === undefined ? {} : { authorization } });
      }
    };
    socket.onmessage = ({ data }) => {
      if (socket === current) receive(JSON.parse(data as string) as Frame);
    };
    socket.onclose = ({ code }) => lost(socket, code);
  }

  /** The token for a new connection. */
  async function token(): Promise<string | undefined> {
    await options.loaded();
    const isDue = Date.now() >= (session.renewAt() ?? Number.POSITIVE_INFINITY);
    if (isRefused || (isDue && session.accessToken() === sentToken)) {
      // Without a connection to the server the token is kept, and the next attempt renews it.
      await session.renew(isRefused ? sentToken : session.accessToken()).catch(() => {});
    }
    isRefused = false;
    sentToken = session.accessToken();
    return sentToken;
  }

  function receive({ type, id = '', payload: content }: Frame): void {
    clearTimeout(silence);
    clearTimeout(ping);
    ping = setTimeout(() => sendPing(ANSWER_TIMEOUT), options.keepAlive);
    const operation = operations.get(id);
    if (type === 'ping') {
      send({ type: 'pong' });
    } else if (type === 'connection_ack') {
      isReady = true;
      failures = 0;
      for (const [each, { body }] of operations) begin(each, body);
      scheduleRenewal();
      options.onChange('syncing');
    } else if (operation) {
      const { sink } = operation;
      const isNext = type === 'next';
      const { data, errors } = (isNext ? content : { errors: content }) as Result;
      if (isNext && data && !errors) {
        sink.next(data);
      } else {
        end(id, !isNext);
        if (type === 'complete') sink.complete?.();
        else sink.error?.(responseError(errors ?? [], data));
      }
    }
  }

  function sendPing(timeout: number): void {
    send({ type: 'ping' });
    expectAnswer(timeout);
  }

  function expectAnswer(timeout: number): void {
    clearTimeout(silence);
    silence = setTimeout(reconnect, timeout);
  }

  /** Closes the connection without opening another one. */
  function drop(): void {
    const socket = current;
    current = undefined;
    isReady = false;
    for (const timer of [silence, ping, renewal]) clearTimeout(timer);
    socket?.close(1000);
  }

  function lost(socket: WebSocket, code?: number): void {
    if (socket !== current) return;
    drop();
    isRefused = code === 4403;
    // After a violation of the protocol, another attempt will hardly succeed.
    if (BUG_CODES.test(`${code}`)) failures = HOPELESS;
    for (const [id, { isOnce, sink }] of operations) {
      if (!isOnce) continue;
      operations.delete(id);
      sink.error?.(toError(undefined));
    }
    if (operations.size > 0) void retry();
  }

  async function retry(): Promise<void> {
    if (isWaiting) return;
    const delay = retryDelay(failures);
    isWaiting = true;
    options.onChange('waiting', Date.now() + delay);
    failures = (await pause(delay)) ? 0 : failures + 1;
    isWaiting = false;
    if (operations.size > 0) connect();
  }

  /** Renews the token over the open socket, whose subscriptions then continue. */
  function scheduleRenewal(): void {
    clearTimeout(renewal);
    const renewAt = session.renewAt();
    if (renewAt === undefined) return;
    const renew = async () => {
      try {
        await session.renew(session.accessToken(), sendOnce);
        sentToken = session.accessToken();
        if (isReady) scheduleRenewal();
      } catch {
        // The server closes the socket when the token expires, and the next connection renews it.
      }
    };
    // A longer time than setTimeout supports would end at once.
    renewal = setTimeout(renew, Math.min(2 ** 31 - 1, Math.max(0, renewAt - Date.now())));
  }

  /**
   * Sends a query or a mutation over the open socket, once: it fails with `NETWORK` when the socket is lost, because it is
   * unknown whether it was executed.
   */
  const sendOnce: Send = (document, variables) =>
    new Promise((resolve, error) => {
      subscribe(document, variables, { next: (data) => resolve({ data }), error }, true);
    });

  return { subscribe, sendOnce, reconnect, close, isReady: () => isReady };
}
