import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { type Answer, type Json, type Person, socketUrl } from './client.js';
import { atEnd } from './ending.js';
import { nodeFlags } from './environment.js';
import { freePort, type OwnServers, startServers } from './servers.js';
import { openSse } from './sse.js';
import { SEND } from './talk.js';

/** The long form uses the durations of docs/FAULTS.md, the short one is quick: `FAULTS=long`. */
const longForm = process.env['FAULTS'] === 'long';
/** Whether nodes are measured: then they run as in production. */
const measures = longForm || process.env['ATTACKS'] === 'long';
export const form = <Value>(short: Value, long: Value): Value => (longForm ? long : short);

/** Prints measurements; docs/FAULTS.md is based on those of the long form. */
export function figure(fault: string, figures: Record<string, unknown>): void {
  console.log(`${form('short', 'long')} form, ${fault}: ${JSON.stringify(figures)}`);
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The longest time to which the short form extends a limit, in milliseconds. */
const EXTENDED_MAX_MS = 60_000;

/**
 * Resolves with the milliseconds until `condition` became true; fails after `ms`. The short form, which runs
 * at the same time as other tests on a busy machine, waits four times as long: it asserts what happens, and the long form also how fast.
 */
export async function within(ms: number, what: string | (() => string), condition: () => unknown): Promise<number> {
  const limit = measures ? ms : Math.max(ms, Math.min(4 * ms, EXTENDED_MAX_MS));
  for (const started = performance.now(); ; ) {
    if (await condition()) return Math.round(performance.now() - started);
    if (performance.now() - started > limit) {
      throw new Error(`not within ${limit} ms: ${typeof what === 'string' ? what : what()}`);
    }
    await pause(10);
  }
}

// ── nodes ──

/** A node in a process of its own, always on the same port. */
export interface NodeProcess {
  readonly url: string;
  readonly child: ChildProcess;
  /** The end of its output. `written` is the total number of characters. */
  output(): string;
  written(): number;
  /** Resolves when the node is ready. `build` is the directory of another build. */
  start(build?: string): Promise<void>;
  /** Kills the process (`kill -9`); resolves when it has ended. */
  kill(): Promise<void>;
  /** Sends SIGTERM; resolves with the exit status. */
  stop(): Promise<number | null>;
  exited(): Promise<number | null>;
}

/** Nodes that share a database and Redis. */
export interface Fleet {
  env: Record<string, string>;
  /** Starts another node; `env` overrides the settings of the fleet. */
  add(env?: Record<string, string>, build?: string): Promise<NodeProcess>;
}

/** PostgreSQL and Redis servers for one test or file, which are removed afterwards. */
export async function ownServers(): Promise<OwnServers> {
  const servers = await startServers();
  atEnd(() => servers.remove());
  return servers;
}

/** A fleet on an empty database. Its nodes are killed after the tests. */
export async function makeFleet({ postgres, redis }: OwnServers, more: Record<string, string> = {}): Promise<Fleet> {
  const name = `fleet_${randomBytes(4).toString('hex')}`;
  const env = {
    DATABASE_URL: await postgres.createDatabase(name),
    REDIS_URL: redis.url,
    REDIS_PREFIX: name,
    JWT_SECRET: 'a secret of the tests, the same for all nodes of a fleet',
    SYSTEM_MESSAGES: 'off',
    BCRYPT_COST: '4',
    // The tests measure capacity, not rejections.
    RATE_LIMITS: 'off',
    SHUTDOWN_TIMEOUT: '2s',
    DRAIN_TIME: '50ms',
    ...more,
  };
  const nodes: ReturnType<typeof nodeProcess>[] = [];
  atEnd(() => Promise.all(nodes.map((node) => node.remove())));
  return {
    env,
    async add(own = {}, build) {
      const node = nodeProcess({ ...env, ...own }, await freePort());
      nodes.push(node);
      await node.start(build);
      return node;
    },
  };
}

/** A node as a process that is not started yet. The caller must remove it. */
export function nodeProcess(env: Record<string, string>, port: number): NodeProcess & { remove(): Promise<void> } {
  const url = `http://127.0.0.1:${port}/graphql`;
  let child: ChildProcess;
  let exited: Promise<number | null> = Promise.resolve(null);
  let output = '';
  let written = 0;
  let removed = false;
  const kill = async () => {
    child?.kill('SIGKILL');
    await exited;
  };
  const hear = (chunk: Buffer) => {
    const text = chunk.toString();
    written += text.length;
    output = (output + text).slice(-20_000);
  };
  return {
    url,
    get child() {
      return child;
    },
    output: () => output,
    written: () => written,
    exited: () => exited,
    async start(build) {
      // It was removed while a test restarted it, so it never becomes ready.
      if (removed) return new Promise(() => {});
      const { PATH = '' } = process.env;
      child = spawn(process.execPath, [...(measures ? [] : nodeFlags), 'dist/main.js'], {
        ...(build !== undefined && { cwd: build }),
        env: { PATH, PORT: String(port), ...env },
      });
      child.stdout?.on('data', hear);
      child.stderr?.on('data', hear);
      exited = new Promise((resolve) => child.once('exit', resolve));
      const killIt = () => child.kill('SIGKILL');
      process.once('exit', killIt);
      void exited.then(() => process.off('exit', killIt));
      await within(
        form(60_000, 120_000),
        () => `${url} is ready: ${output}`,
        () => child.exitCode !== null || isReady(url),
      );
      if (child.exitCode !== null) throw new Error(`the node ended with ${child.exitCode}: ${output}`);
    },
    kill,
    remove() {
      removed = true;
      return kill();
    },
    stop() {
      child.kill('SIGTERM');
      return exited;
    },
  };
}

/** Whether a node reports that it is ready. */
export const isReady = (url: string) =>
  fetch(url.replace('/graphql', '/ready')).then(
    ({ ok }) => ok,
    () => false,
  );

// ── senders ──

/** Sends one request like `request`; undefined if there was no response. */
async function attempt(url: string, token: string, variables: object): Promise<Answer | undefined> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query: SEND, variables }),
      signal: AbortSignal.timeout(30_000),
    });
    return { status: response.status, ...((await response.json()) as object) };
  } catch {
    return undefined;
  }
}

/** A message for which the mutation succeeded. */
export interface Sent {
  id: string;
  seq: number;
  text: string;
  /** The duration of the successful attempt, and the number of attempts. */
  ms: number;
  attempts: number;
  at: number;
}

/** Sends like a client: with an idempotency key, and with retries on the next node until it succeeds. */
export interface Sender {
  readonly answered: Sent[];
  /** The codes of errors and how often they occurred; NONE means no response. */
  readonly codes: Map<string, number>;
  /** Resolves when the message is stored. Errors other than UNAVAILABLE are thrown. */
  send(text: string, key?: string): Promise<Sent>;
  /**
   * Sends about `perSecond` messages of `text` and a number, until the returned function is called, which resolves when
   * all have succeeded.
   */
  steadily(perSecond: number, text?: string): () => Promise<void>;
}

export function makeSender(person: Person, conversationId: string, urls: readonly string[]): Sender {
  const answered: Sent[] = [];
  const codes = new Map<string, number>();
  let turn = 0;
  let steady = 0;
  const send = async (text: string, key = `key ${randomBytes(9).toString('base64url')}`): Promise<Sent> => {
    turn += 1;
    for (let attempts = 1, at = turn; ; attempts += 1, at += 1) {
      const began = Date.now();
      const variables = { input: { conversationId, text, clientMessageId: key } };
      const answer = await attempt(urls[at % urls.length] as string, person.token, variables);
      const code = answer ? answer.errors?.[0]?.extensions.code : 'NONE';
      if (code === undefined) {
        const sent = { ...answer?.data.sendMessage.message, ms: Date.now() - began, attempts, at: Date.now() } as Sent;
        answered.push(sent);
        return sent;
      }
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (code !== 'NONE' && code !== 'UNAVAILABLE') throw new Error(JSON.stringify(answer));
      await pause(50 + Math.random() * 100);
    }
  };
  return {
    answered,
    codes,
    send,
    steadily(perSecond, text = 'steady') {
      const open = new Set<Promise<unknown>>();
      let failure: unknown;
      const began = Date.now();
      let count = 0;
      // Uses the clock: after a delay of the timer, the missing messages are sent at once.
      const timer = setInterval(() => {
        for (; count < ((Date.now() - began) * perSecond) / 1_000; count += 1) {
          steady += 1;
          const sending: Promise<unknown> = send(`${text} ${steady}`)
            .catch((error: unknown) => {
              failure = error;
            })
            .finally(() => open.delete(sending));
          open.add(sending);
        }
      }, 10);
      return async () => {
        clearInterval(timer);
        await Promise.all(open);
        if (failure !== undefined) throw failure;
      };
    },
  };
}

// ── subscribers ──

const EVENTS = `subscription ($conversationId: ID, $after: String) {
  messages(conversationId: $conversationId, after: $after) {
    type cursor changeSeq replayed
    message { id seq text conversation { id } }
  }
}`;

/**
 * A client that follows docs/PROTOCOL.md, with the client of graphql-ws: it stores the last cursor, reconnects with it
 * to any of its nodes, and ignores duplicates by conversation and change number. It stores all events, so that tests
 * can assert that every change was received once and in order.
 */
export interface Subscriber {
  /** The events without duplicates; of a conversation, the change numbers. */
  readonly events: Json[];
  changes(conversationId: string): number[];
  /** The times at which messages were received. */
  readonly cameAt: ReadonlyMap<string, number>;
  /** The number of duplicates, and the number of changes received after a later one of their conversation. */
  readonly repeats: number;
  readonly late: Json[];
  /** The numbers of acknowledged connections, CAUGHT_UP events and CHECKPOINT events. */
  readonly connections: number;
  /** The times at which connections were acknowledged. */
  readonly connectedAt: readonly number[];
  readonly caughtUp: number;
  readonly checkpoints: number;
  readonly cursor: string | undefined;
  /** The codes of errors of the stream. After a code other than UNAVAILABLE, the stream is not resumed. */
  readonly codes: string[];
  readonly closeCodes: number[];
  /** Breaks the connection like a failed network. */
  cut(): void;
  /** The socket while connected. */
  readonly socket: WebSocket | undefined;
}

/** The state that a client keeps. */
function makeMemory(after: string | undefined) {
  const seen = new Map<string, Set<number>>();
  const highest = new Map<string, number>();
  const state = {
    events: [] as Json[],
    cameAt: new Map<string, number>(),
    repeats: 0,
    late: [] as Json[],
    connections: 0,
    connectedAt: [] as number[],
    caughtUp: 0,
    checkpoints: 0,
    codes: [] as string[],
    closeCodes: [] as number[],
    socket: undefined as WebSocket | undefined,
    cursor: after,
    changes: (id: string) => [...(seen.get(id) ?? [])],
    cut: () => state.socket?.terminate(),
  };
  const connected = () => {
    state.connections += 1;
    state.connectedAt.push(Date.now());
  };
  const take = (event: Json) => {
    state.cursor = event.cursor;
    if (event.type === 'CAUGHT_UP') state.caughtUp += 1;
    if (event.type === 'CHECKPOINT') state.checkpoints += 1;
    if (!event.message) return;
    const id = event.message.conversation.id as string;
    const numbers = seen.get(id) ?? new Set();
    seen.set(id, numbers);
    if (numbers.has(event.changeSeq)) {
      state.repeats += 1;
      return;
    }
    numbers.add(event.changeSeq);
    if (event.changeSeq < (highest.get(id) ?? 0)) state.late.push(event);
    else highest.set(id, event.changeSeq);
    state.events.push(event);
    state.cameAt.set(event.message.id, Date.now());
  };
  /** Stores the code of an error that ended the stream. Returns whether the client should reconnect. */
  const failed = (errors: Json): boolean => {
    const code = errors?.[0]?.extensions?.code ?? String(errors?.message ?? errors);
    state.codes.push(code);
    return code === 'UNAVAILABLE';
  };
  return { state, connected, take, failed };
}

/**
 * Subscribes. With `copies`, the same subscription is opened that many more times on the same socket, without storing
 * events.
 */
export function subscribe(
  person: Person,
  nodeUrl: () => string,
  { conversationId, after, copies = 0 }: { conversationId?: string; after?: string; copies?: number } = {},
): Subscriber {
  const { state, connected, take, failed } = makeMemory(after);
  const client: Client = createClient({
    url: () => socketUrl(nodeUrl()),
    webSocketImpl: WebSocket,
    connectionParams: { authorization: person.token },
    retryAttempts: Number.POSITIVE_INFINITY,
    // By default, the client gives up if a connection is refused.
    shouldRetry: () => true,
    retryWait: () => pause(50 + Math.random() * 200),
    on: {
      connected: (socket) => {
        connected();
        state.socket = socket as WebSocket;
      },
      closed: (event) => void state.closeCodes.push((event as { code: number }).code),
    },
  });
  // Evaluated when the subscription is sent, so that a reconnect uses the latest cursor.
  const variables = {
    conversationId,
    get after() {
      return state.cursor;
    },
  };
  let disposed = false;
  const follow = () => {
    let again = true;
    const end = () => {
      if (again && !disposed) setTimeout(follow, 100 + Math.random() * 200);
    };
    client.subscribe(
      { query: EVENTS, variables },
      {
        next({ data, errors }) {
          if (errors) again = failed(errors);
          else take((data as Json).messages);
        },
        error(errors) {
          again = failed(errors);
          end();
        },
        complete: end,
      },
    );
  };
  follow();
  for (const _ of range(1, copies)) {
    client.subscribe({ query: EVENTS, variables: { conversationId } }, { next() {}, error() {}, complete() {} });
  }
  atEnd(async () => {
    disposed = true;
    try {
      await client.dispose();
    } catch {
      // The connection was just being refused.
    }
  });
  return state;
}

/** The same over SSE, for all conversations of the user. After a disconnect it continues with the last cursor. */
export function subscribeOverSse(person: Person, nodeUrl: () => string): Subscriber {
  const { state, connected, take, failed } = makeMemory(undefined);
  let disposed = false;
  let again = true;
  const follow = async () => {
    while (again && !disposed) {
      try {
        const stream = await openSse(nodeUrl(), person.token, { after: state.cursor }, ({ data, errors }) => {
          if (errors) again = failed(errors);
          else take(data.messages);
        });
        state.cut = stream.cancel;
        connected();
        if (disposed) stream.cancel();
        await stream.ended;
      } catch {
        // The connection was refused.
      }
      await pause(50 + Math.random() * 200);
    }
  };
  void follow();
  atEnd(() => {
    disposed = true;
    state.cut();
  });
  return state;
}

/** The numbers from `first` to `last`. */
export const range = (first: number, last: number) =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);

/** Whether a subscriber has received all messages that were sent successfully. */
export const hasAll = (subscriber: Subscriber, sent: readonly Sent[]) =>
  sent.every(({ id }) => subscriber.cameAt.has(id));

/** The number of successfully sent messages that a subscriber has not received. */
export const lacking = (subscriber: Subscriber, sent: readonly Sent[]) => () =>
  `${sent.filter(({ id }) => !subscriber.cameAt.has(id)).length} of ${sent.length} have not come; codes ${subscriber.codes}`;
