import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { type Answer, type Json, type Person, socketUrl } from './client.js';
import { atEnd } from './ending.js';
import { freePort, type OwnServers, startServers } from './servers.js';
import { openSse } from './sse.js';
import { SEND } from './talk.js';

/** The long form has the numbers of docs/FAULTS.md, the short one is quick: `FAULTS=long`. */
const longForm = process.env['FAULTS'] === 'long';
export const form = <Value>(short: Value, long: Value): Value => (longForm ? long : short);

/** Prints what was measured; the long form is what docs/FAULTS.md is written from. */
export function figure(fault: string, figures: Record<string, unknown>): void {
  console.log(`${form('short', 'long')} form, ${fault}: ${JSON.stringify(figures)}`);
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Resolves with the milliseconds that it took until `condition` was true; fails after `ms`. */
export async function within(ms: number, what: string | (() => string), condition: () => unknown): Promise<number> {
  for (const started = Date.now(); ; ) {
    if (await condition()) return Date.now() - started;
    if (Date.now() - started > ms) {
      throw new Error(`not within ${ms} ms: ${typeof what === 'string' ? what : what()}`);
    }
    await pause(10);
  }
}

// ── nodes ──

/** A node as a process of its own, always on the same port. */
export interface NodeProcess {
  readonly url: string;
  readonly child: ChildProcess;
  /** The end of what it has written to its output; `written`: how many characters it has written in all. */
  output(): string;
  written(): number;
  /** Resolves when it is ready. `build`: the folder of another build than this one. */
  start(build?: string): Promise<void>;
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with its status. */
  stop(): Promise<number | null>;
  exited(): Promise<number | null>;
}

/** Nodes on one database and one Redis. */
export interface Fleet {
  env: Record<string, string>;
  /** Starts one more node; `env` wins over the fleet's. */
  add(env?: Record<string, string>, build?: string): Promise<NodeProcess>;
}

/** Servers of a test's or a file's own; they are removed after it. */
export async function ownServers(): Promise<OwnServers> {
  const servers = await startServers();
  atEnd(() => servers.remove());
  return servers;
}

/** An empty database with nothing on it yet; its nodes are killed after the tests. */
export async function makeFleet({ postgres, redis }: OwnServers, more: Record<string, string> = {}): Promise<Fleet> {
  const name = `fleet_${randomBytes(4).toString('hex')}`;
  const env = {
    DATABASE_URL: await postgres.createDatabase(name),
    REDIS_URL: redis.url,
    REDIS_PREFIX: name,
    JWT_SECRET: 'a secret of the tests, the same for all nodes of a fleet',
    SYSTEM_MESSAGES: 'off',
    BCRYPT_COST: '4',
    // What is tried is how much may come, not what is refused.
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

/** One node as a process, not started yet; whoever makes it removes it. */
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
      // Who starts it anew when it ends may be told of the end only now: it never is ready.
      if (removed) return new Promise(() => {});
      const { PATH = '' } = process.env;
      child = spawn(process.execPath, ['dist/main.js'], {
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
        form(30_000, 120_000),
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

/** Whether a node says that it is ready. */
export const isReady = (url: string) =>
  fetch(url.replace('/graphql', '/ready')).then(
    ({ ok }) => ok,
    () => false,
  );

// ── who sends ──

/** One request, as `request` makes it; undefined when no answer came. */
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

/** A message as it was answered. */
export interface Sent {
  id: string;
  seq: number;
  text: string;
  /** How long the attempt that was answered took, and how many there were. */
  ms: number;
  attempts: number;
  at: number;
}

/** Sends as clients do: with a key of its own each, repeated on the next node until it is answered. */
export interface Sender {
  readonly answered: Sent[];
  /** The codes of errors that came, with how often; NONE is no answer at all. */
  readonly codes: Map<string, number>;
  /** Resolves when it is answered. An error that is not UNAVAILABLE is thrown. */
  send(text: string, key?: string): Promise<Sent>;
  /**
   * Sends about `perSecond` messages, of `text` and a number, until the returned function is called; that resolves when
   * all are answered.
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
      // By the clock: a timer that comes late sends what it owes.
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

// ── who listens ──

const EVENTS = `subscription ($conversationId: ID, $after: String) {
  messages(conversationId: $conversationId, after: $after) {
    type cursor changeSeq replayed
    message { id seq text conversation { id } }
  }
}`;

/**
 * A client as docs/PROTOCOL.md wants it, of graphql-ws's own: keeps the last cursor, comes back with it to any of its
 * nodes, drops what it has by conversation and change number. It keeps what came, so that a test can say that every
 * change came once and in order.
 */
export interface Subscriber {
  /** What came, without repeats; of a conversation the change numbers. */
  readonly events: Json[];
  changes(conversationId: string): number[];
  /** When a message came. */
  readonly cameAt: ReadonlyMap<string, number>;
  /** Changes that came again, and those that came after a later one of their conversation. */
  readonly repeats: number;
  readonly late: Json[];
  /** Connections that were acknowledged, CAUGHT_UPs, CHECKPOINTs. */
  readonly connections: number;
  /** When each connection was acknowledged. */
  readonly connectedAt: readonly number[];
  readonly caughtUp: number;
  readonly checkpoints: number;
  readonly cursor: string | undefined;
  /** Codes of errors of the stream; after one that is not UNAVAILABLE it stays ended. */
  readonly codes: string[];
  readonly closeCodes: number[];
  /** Cuts the connection as a broken network does. */
  cut(): void;
  /** The socket, once it is connected. */
  readonly socket: WebSocket | undefined;
}

/** What a client keeps of what came. */
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
  /** Keeps the code of what a stream ended with; whether it is one to come back after. */
  const failed = (errors: Json): boolean => {
    const code = errors?.[0]?.extensions?.code ?? String(errors?.message ?? errors);
    state.codes.push(code);
    return code === 'UNAVAILABLE';
  };
  return { state, connected, take, failed };
}

/** Subscribes; with `beside` to so many more of the same on the same socket, of which nothing is kept. */
export function subscribe(
  person: Person,
  nodeUrl: () => string,
  { conversationId, after, beside = 0 }: { conversationId?: string; after?: string; beside?: number } = {},
): Subscriber {
  const { state, connected, take, failed } = makeMemory(after);
  const client: Client = createClient({
    url: () => socketUrl(nodeUrl()),
    webSocketImpl: WebSocket,
    connectionParams: { authorization: person.token },
    retryAttempts: Number.POSITIVE_INFINITY,
    // Of itself it gives up where a connection is refused.
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
  // Read when it is sent, so that the client comes back with the cursor of then.
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
  for (const _ of range(1, beside)) {
    client.subscribe({ query: EVENTS, variables: { conversationId } }, { next() {}, error() {}, complete() {} });
  }
  atEnd(async () => {
    disposed = true;
    try {
      await client.dispose();
    } catch {
      // It was just then being refused.
    }
  });
  return state;
}

/** The same over SSE, all that the person is in: who is broken off comes back with the last cursor. */
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
        // It was refused.
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

/** 1, 2, 3 … as far as given, from `first`. */
export const range = (first: number, last: number) =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);

/** Whether a subscriber has everything that was answered. */
export const hasAll = (subscriber: Subscriber, sent: readonly Sent[]) =>
  sent.every(({ id }) => subscriber.cameAt.has(id));

/** Of the messages that were answered, how many a subscriber lacks. */
export const lacking = (subscriber: Subscriber, sent: readonly Sent[]) => () =>
  `${sent.filter(({ id }) => !subscriber.cameAt.has(id)).length} of ${sent.length} have not come; codes ${subscriber.codes}`;
