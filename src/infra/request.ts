import { AsyncLocalStorage } from 'node:async_hooks';

/** What is being served: one HTTP request, or one message of a WebSocket. */
export interface ServedRequest {
  /** Every line that is logged meanwhile carries it. */
  id: string;
  /** The client's IP address, as far as it can be told: see TRUSTED_PROXIES. IPv4 as such, also over IPv6. */
  address: string;
}

const requests = new AsyncLocalStorage<ServedRequest>();

/** Runs what serves a request: however deep below, `currentRequest` tells which one it is. */
export function withRequest<T>(request: ServedRequest, serve: () => T): T {
  return requests.run(request, serve);
}

/** The request that is being served; undefined in work of the node's own and in commands. */
export const currentRequest = (): ServedRequest | undefined => requests.getStore();
