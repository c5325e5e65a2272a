import { AsyncLocalStorage } from 'node:async_hooks';

/** The operation that is being served: one HTTP request, or one message of a WebSocket. */
export interface ServedRequest {
  /** Included in every log line that is written while the request is served. */
  id: string;
  /**
   * The client's IP address, as far as it can be determined: see TRUSTED_PROXIES. IPv4 addresses are not mapped to
   * IPv6.
   */
  address: string;
  /** Runs a database statement within the limits of the request's caller. Undefined until the caller is known. */
  limitStatement?: StatementLimit;
  /** The errors logged for this request, by class, with the ids under which they were logged. */
  loggedErrors?: Map<string, { errorId: string; at: number }>;
}

export type StatementLimit = <T>(work: () => Promise<T>) => Promise<T>;

const requests = new AsyncLocalStorage<ServedRequest>();

/** Serves a request. Within `serve`, including asynchronous calls, `currentRequest` returns this request. */
export function withRequest<T>(request: ServedRequest, serve: () => T): T {
  return requests.run(request, serve);
}

/** Runs work that several requests share, outside of any request. */
export const withoutRequest = <T>(work: () => T): T => requests.exit(work);

/** Runs deferred work within the request that it belongs to, or outside of any request if that is undefined. */
export const continuingRequest = <T>(request: ServedRequest | undefined, work: () => T): T =>
  request ? requests.run(request, work) : withoutRequest(work);

/** The request that is being served. Undefined in background work and in commands. */
export const currentRequest = (): ServedRequest | undefined => requests.getStore();
