import { lookup as systemLookup } from 'node:dns/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, type Dispatcher } from 'undici';
import { createKeyedQueue } from '../async/keyed-queue.js';
import { isPublicAddress } from './addresses.js';
import type { Destinations } from './destinations.js';

export interface OutgoingResponse {
  status: number;
  headers: IncomingHttpHeaders;
  /** The body, up to the maximum size; the rest of a longer body is not read. */
  body: Buffer;
}

/** The request was not sent, because its destination is not allowed. A retry fails in the same way. */
export class ForbiddenDestination extends Error {
  override name = 'ForbiddenDestination';
}

/**
 * Sends requests to URLs that users have chosen, so that they cannot reach what only this machine can reach: see
 * `Destinations`. A name is resolved once, all of its addresses must be allowed, and the connection is made to these
 * addresses. Redirects are not followed: they are ordinary responses. Connections are reused.
 */
export interface OutgoingRequests {
  /**
   * @throws {ForbiddenDestination} the URL, or an address of its host, is not allowed.
   * @throws {Error} the server cannot be reached, does not respond in time, or too many requests wait for it.
   */
  post(url: URL, headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<OutgoingResponse>;
  /** Closes all connections. Requests in progress fail. */
  close(): void;
}

type Resolve = (hostname: string) => Promise<{ address: string; family: number }[]>;

const resolveAll: Resolve = (hostname) => systemLookup(hostname, { all: true });

/**
 * @param timeoutMs the time limit of a request, from the connection to the end of the body.
 * @param bodyMax the maximum number of bytes that are read of a body.
 * @param atOncePerOrigin the maximum number of simultaneous requests to one origin.
 * @param waitingPerOriginMax the maximum number of requests that wait for one origin.
 * @param resolve looks up the addresses of a host.
 * @param isPublic whether an address belongs to the public internet.
 */
export function createOutgoingRequests({
  destinations,
  timeoutMs,
  bodyMax,
  atOncePerOrigin,
  waitingPerOriginMax,
  resolve = resolveAll,
  isPublic = isPublicAddress,
}: {
  destinations: Destinations;
  timeoutMs: number;
  bodyMax: number;
  atOncePerOrigin: number;
  waitingPerOriginMax: number;
  resolve?: Resolve;
  isPublic?: (address: string) => boolean;
}): OutgoingRequests {
  const queue = createKeyedQueue({
    atOnce: atOncePerOrigin,
    waitingMax: waitingPerOriginMax,
    refusal: () => new Error('Too many requests wait for this server.'),
  });
  const lookup: LookupFunction = (hostname, { all }, callback) => {
    resolve(hostname).then(
      (addresses) => {
        const [first] = addresses;
        const refused = addresses.find(({ address }) => !isPublic(address));
        if (refused || !first) callback(new ForbiddenDestination(`${hostname} has no public address`), '');
        else if (all) callback(null, addresses);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    );
  };
  // Separate agents, because a connection to a trusted origin must not be used for a public one. A timer of each request
  // replaces the time limits of the agents, which are for parts of a request.
  const options = { connections: atOncePerOrigin, headersTimeout: 0, bodyTimeout: 0 };
  const agents = {
    PUBLIC: new Agent({ ...options, connect: { lookup, timeout: timeoutMs } }),
    TRUSTED: new Agent({ ...options, connect: { timeout: timeoutMs } }),
  };

  function send(url: URL, headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<OutgoingResponse> {
    const reach = destinations.reachOf(url);
    if (!reach) throw new ForbiddenDestination(`requests to ${url.origin} are not allowed`);
    const address = url.hostname.replace(/^\[|\]$/g, '');
    // An address is not looked up.
    if (reach === 'PUBLIC' && isIP(address) !== 0 && !isPublic(address)) {
      throw new ForbiddenDestination(`${address} is not a public address`);
    }
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let response: Omit<OutgoingResponse, 'body'> | undefined;
      let bytes = 0;
      let running: Dispatcher.DispatchController | undefined;
      let failure: Error | undefined;
      const fail = (error: Error) => {
        clearTimeout(timer);
        reject(error);
      };
      const finish = () => {
        clearTimeout(timer);
        if (response) resolve({ ...response, body: Buffer.concat(chunks).subarray(0, bodyMax) });
      };
      const timer = setTimeout(() => {
        failure = new Error(`${url.origin} did not answer in time.`);
        running?.abort(failure);
        fail(failure);
      }, timeoutMs);
      const handler: Dispatcher.DispatchHandler = {
        onRequestStart(controller) {
          running = controller;
          // The time limit was exceeded before there was a connection.
          if (failure) controller.abort(failure);
        },
        onResponseStart(_controller, status, received) {
          response = { status, headers: received as IncomingHttpHeaders };
        },
        onResponseData(controller, chunk) {
          chunks.push(chunk);
          bytes += chunk.length;
          if (bytes <= bodyMax) return;
          finish();
          // Reading the rest would take longer than a new connection.
          controller.abort(new Error('The answer is too long.'));
        },
        // The agent uses the connection again in the next turn of the event loop. An earlier request would open another one.
        onResponseEnd: () => void setImmediate(setImmediate, finish),
        onResponseError: (_controller, error) => fail(error),
      };
      const path = `${url.pathname}${url.search}`;
      agents[reach].dispatch({ origin: url.origin, path, method: 'POST', headers, body }, handler);
    });
  }

  return {
    post: (url, headers, body) => queue.run(url.origin, async () => send(url, headers, body)),
    close() {
      for (const agent of Object.values(agents)) void agent.destroy();
    },
  };
}
