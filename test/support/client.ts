import { type Client, createClient } from 'graphql-ws';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { insertAccount } from './accounts.js';
import { atFileEnd } from './ending.js';

/** The body of a GraphQL response, untyped: tests assert what they expect. */
// biome-ignore lint/suspicious/noExplicitAny: tests inspect arbitrary responses
export type Json = any;

export interface Answer {
  status: number;
  data?: Json;
  errors?: { message: string; path?: (string | number)[]; extensions: { code: string; field?: string } & Json }[];
}

/** Sends one GraphQL request over HTTP. */
export async function request(url: string, query: string, variables: Json = {}, token?: string): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify({ query, variables }),
  });
  return { status: response.status, ...((await response.json()) as object) };
}

/** Sends a request that must succeed, and returns its data. */
export async function ask(url: string, query: string, variables: Json = {}, token?: string): Promise<Json> {
  const { data, errors } = await request(url, query, variables, token);
  if (errors) throw new Error(`${query.trim().slice(0, 80)} … ${JSON.stringify(errors)}`);
  return data;
}

/** A user with an account, and the node that they use. */
export interface Person {
  id: string;
  username: string;
  email: string;
  password: string;
  token: string;
  refreshToken: string;
  ask(query: string, variables?: Json): Promise<Json>;
  request(query: string, variables?: Json): Promise<Answer>;
  /** The same user at another node. */
  at(url: string): Person;
}

let people = 0;

/** Registers a new user, without HTTP if that makes no difference. */
export async function register(url: string, name = 'person'): Promise<Person> {
  people += 1;
  const username = `${name}_${people}_${process.pid}`;
  const email = `${username}@example.com`;
  const password = `password of ${name}`;
  const account =
    (await insertAccount(url, { username, email, password })) ??
    (await registerByMutation(url, username, email, password));
  const at = (place: string): Person => ({
    id: account.id,
    username,
    email,
    password,
    token: account.accessToken,
    refreshToken: account.refreshToken,
    ask: (query, variables) => ask(place, query, variables, account.accessToken),
    request: (query, variables) => request(place, query, variables, account.accessToken),
    at,
  });
  return at(url);
}

async function registerByMutation(url: string, username: string, email: string, password: string) {
  const data = await ask(
    url,
    `mutation ($input: RegisterInput!) {
      register(input: $input) { tokens { accessToken refreshToken } viewer { user { id } } }
    }`,
    { input: { username, email, password } },
  );
  const { tokens, viewer } = data.register;
  return { id: viewer.user.id as string, ...(tokens as { accessToken: string; refreshToken: string }) };
}

/** Registers several users, in the order of their names. */
export const registerAll = <Names extends string[]>(url: string, ...names: Names) =>
  Promise.all(names.map((name) => register(url, name))) as Promise<{ [Index in keyof Names]: Person }>;

export const socketUrl = (url: string) => url.replace(/^http/, 'ws');

/** The client of graphql-ws, closed at the end of the file. It does not reconnect unless configured to. */
export function connect(
  url: string,
  token?: string,
  options: Partial<Parameters<typeof createClient>[0]> = {},
): Client {
  const client = createClient({
    url: socketUrl(url),
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    ...(token === undefined ? {} : { connectionParams: { authorization: token } }),
    ...options,
  });
  atFileEnd(() => client.dispose());
  return client;
}

/** The same, closed at the end of the current test. */
export function connectInTest(...args: Parameters<typeof connect>): Client {
  const client = connect(...args);
  onTestFinished(async () => {
    await client.dispose();
  });
  return client;
}

/** A subscription that stores its events. */
export interface Listening {
  /** The events received so far. */
  events: Json[];
  /** Resolves with the first past or future event that matches. Rejects if the stream ends without one. */
  until(fits: (event: Json) => boolean): Promise<Json>;
  /** Resolves when the stream has ended: with undefined, or with the error. */
  ended: Promise<unknown>;
  cancel(): void;
}

/**
 * How long tests wait for a condition, in milliseconds: long enough for a machine that is busy with several programs,
 * and shorter than the timeout of a test, so that the failure names the condition.
 */
const PATIENCE_MS = 30_000;

/** Subscribes and resolves after the first event. `field` is the name of the subscription field. */
export function listen(client: Client, query: string, variables: Json = {}, field = 'messages'): Listening {
  const events: Json[] = [];
  const waiters = new Set<() => void>();
  let over = false;
  let failure: unknown;
  const wake = () => {
    for (const waiter of [...waiters]) waiter();
  };
  let cancel = () => {};
  const ended = new Promise<unknown>((resolve) => {
    const end = (error?: unknown) => {
      over = true;
      failure = error;
      wake();
      resolve(error);
    };
    cancel = client.subscribe(
      { query, variables },
      {
        next({ data, errors }) {
          if (errors) end(errors);
          else events.push((data as Json)[field]);
          wake();
        },
        error: end,
        complete: () => end(failure),
      },
    );
  });
  return {
    events,
    ended,
    cancel: () => cancel(),
    until: (fits) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiters.delete(look);
          reject(new Error(`nothing of the kind came in time; what came: ${JSON.stringify(events)}`));
        }, PATIENCE_MS);
        const look = () => {
          const found = events.find(fits);
          if (found === undefined && !over) return;
          clearTimeout(timer);
          waiters.delete(look);
          if (found === undefined) reject(new Error(`the stream ended without it: ${JSON.stringify(failure)}`));
          else resolve(found);
        };
        waiters.add(look);
        look();
      }),
  };
}

/** Resolves when `condition` is true; fails with `what` if it does not become true in time. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  // Conditions are checked less often the longer they take, because some of them send a request.
  let pause = 10;
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; ) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause + 2, 40);
  }
  throw new Error(`did not happen in time: ${what}`);
}

/**
 * Measures up to five times, until a value is less than `limit`, and returns the smallest: other programs on the machine
 * can delay any single measurement.
 */
export async function smallest(limit: number, measure: () => Promise<number>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5 && least >= limit; round += 1) least = Math.min(least, await measure());
  return least;
}

/** How long it takes, in milliseconds. */
export async function durationOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
