import { AsyncLocalStorage } from 'node:async_hooks';

/** What is being served: one HTTP request, or one message of a WebSocket. */
export interface ServedRequest {
  /** Every line that is logged meanwhile carries it. */
  id: string;
  /** The client's IP address, as far as it can be told: see TRUSTED_PROXIES. IPv4 as such, also over IPv6. */
  address: string;
  /** Runs a statement of the database when the request may run one more; absent before it is known whose request it is. */
  limitStatement?: StatementLimit;
  /** The errors that were logged for it, by class, with the id that each has in the log. */
  loggedErrors?: Map<string, { errorId: string; at: number }>;
}

export type StatementLimit = <T>(work: () => Promise<T>) => Promise<T>;

const requests = new AsyncLocalStorage<ServedRequest>();

/** Runs what serves a request: however deep below, `currentRequest` tells which one it is. */
export function withRequest<T>(request: ServedRequest, serve: () => T): T {
  return requests.run(request, serve);
}

/** Runs what is done for several requests together, and so for none of them. */
export const withoutRequest = <T>(work: () => T): T => requests.exit(work);

/** Runs what is done later for a request that was served before; undefined: for none. */
export const continuingRequest = <T>(request: ServedRequest | undefined, work: () => T): T =>
  request ? requests.run(request, work) : withoutRequest(work);

/** The request that is being served; undefined in work of the node's own and in commands. */
export const currentRequest = (): ServedRequest | undefined => requests.getStore();
