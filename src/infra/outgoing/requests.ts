import { lookup as systemLookup } from 'node:dns/promises';
import http, { type IncomingHttpHeaders, type RequestOptions } from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
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
  const closing = new AbortController();
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
  // Separate agents, because a connection to a trusted origin must not be used for a public one.
  const options = { keepAlive: true, maxFreeSockets: atOncePerOrigin };
  const agents = {
    PUBLIC: new https.Agent({ ...options, lookup } as https.AgentOptions),
    TRUSTED: { 'https:': new https.Agent(options), 'http:': new http.Agent(options) },
  };

  function send(url: URL, headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<OutgoingResponse> {
    const reach = destinations.reachOf(url);
    if (!reach) throw new ForbiddenDestination(`requests to ${url.origin} are not allowed`);
    const address = url.hostname.replace(/^\[|\]$/g, '');
    // An address is not looked up.
    if (reach === 'PUBLIC' && isIP(address) !== 0 && !isPublic(address)) {
      throw new ForbiddenDestination(`${address} is not a public address`);
    }
    const isPlain = url.protocol === 'http:';
    const request: RequestOptions = {
      method: 'POST',
      headers: { ...headers, 'content-length': String(body.length) },
      agent: reach === 'PUBLIC' ? agents.PUBLIC : agents.TRUSTED[isPlain ? 'http:' : 'https:'],
      signal: AbortSignal.any([closing.signal, AbortSignal.timeout(timeoutMs)]),
    };
    return new Promise((done, fail) => {
      const sent = (isPlain ? http : https).request(url, request, (response) => {
        const { statusCode: status = 0, headers: received } = response;
        const chunks: Buffer[] = [];
        let bytes = 0;
        const finish = () => done({ status, headers: received, body: Buffer.concat(chunks).subarray(0, bodyMax) });
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          bytes += chunk.length;
          if (bytes <= bodyMax) return;
          finish();
          // Reading the rest would take longer than a new connection.
          response.destroy();
        });
        response.on('end', finish);
        response.on('error', fail);
      });
      sent.on('error', fail);
      sent.end(body);
    });
  }

  return {
    post: (url, headers, body) => queue.run(url.origin, async () => send(url, headers, body)),
    close() {
      closing.abort();
      agents.PUBLIC.destroy();
      for (const agent of Object.values(agents.TRUSTED)) agent.destroy();
    },
  };
}
