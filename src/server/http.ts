import { isUtf8 } from 'node:buffer';
import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { sendNodeResponse } from '@whatwg-node/server';
import { ChatError, type ErrorCode } from '../core/errors.js';
import { networkOf } from '../core/networks.js';
import { parseUrl } from '../core/urls.js';
import { presentError } from '../graphql/errors.js';
import type { Config } from '../infra/config/config.js';
import type { Logger } from '../infra/telemetry/log.js';
import { withRequest } from '../infra/telemetry/request.js';
import type { PageResponse } from '../platform/http-pages.js';
import type { HttpRoute } from '../platform/http-routes.js';
import type { AddressOf } from './addresses.js';
import { graphiqlPolicy } from './graphiql.js';
import { type Body, CSRF_HEADERS, GRAPHQL_PATH, type Yoga } from './graphql-http.js';
import { landingPage, landingPagePolicy } from './landing-page.js';
import { acceptedTypes, EVENT_STREAM, isJsonBody } from './media-types.js';
import { isAllowedOrigin } from './origins.js';
import type { RequestAccount, RequestTime } from './request-time.js';
import type { WebApp } from './web.js';

/**
 * Hooks for observing requests, and the handler of /metrics, which is absent if /metrics is not served on this port.
 */
export interface HttpHooks {
  onRequest(request: { method: string; path: string; status: number; seconds: number; isStream: boolean }): void;
  /** Called when a request was rejected before it reached GraphQL. */
  onErrors(errors: readonly ChatError[]): void;
  scrape?: ((req: IncomingMessage, res: ServerResponse) => Promise<void>) | undefined;
}

export interface Health {
  /** Whether this node should receive requests, and the state of its parts. */
  ready(): Promise<{ ready: boolean; parts: Record<string, string | number> }>;
}

/** The pages of features, by their paths. */
export type Pages = (
  path: string,
) => ((request: { method: 'GET' | 'POST'; query: URLSearchParams }) => Promise<PageResponse>) | undefined;

/** The route of a feature that serves a path, which begins with its prefix. */
export type Routes = (path: string) =>
  | (Pick<HttpRoute, 'methods' | 'exposedHeaders'> & {
      bytesPerSecondMin: number | undefined;
      respond(request: { req: IncomingMessage; res: ServerResponse; query: URLSearchParams }): Promise<void>;
    })
  | undefined;

/** The content security policy of a page that has only this style, and forms for its own server. */
const pagePolicy = (style: string): string =>
  [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');

/** The maximum size of all headers of a request in bytes. Larger ones are rejected with 431. */
const HEADERS_MAX_BYTES = 16_384;
/** How long browsers remember which requests of other origins are allowed, in seconds. */
const PREFLIGHT_SECONDS = 7_200;
/** The HTTP statuses of the errors of routes. */
const statuses: Record<ErrorCode, number> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  BAD_USER_INPUT: 400,
  CONFLICT: 409,
  RATE_LIMITED: 429,
  CURSOR_EXPIRED: 410,
  PAYLOAD_TOO_LARGE: 413,
  UNAVAILABLE: 503,
  INTERNAL_SERVER_ERROR: 500,
};
/** The maximum interval between checks for slow clients, in milliseconds. */
const LATE_CHECK_MS = 5_000;

/**
 * Creates the HTTP server: GraphQL, `/health` (liveness), `/ready` (readiness), `/metrics` if it is enabled, and the web
 * app at all other paths if there is one.
 */
export function createHttpServer(
  yoga: Yoga,
  web: WebApp | undefined,
  { pages, routes }: { pages: Pages; routes: Routes },
  health: Health,
  { onRequest, onErrors, scrape }: HttpHooks,
  requestTime: RequestTime,
  addressOf: AddressOf,
  config: Config,
  log: Logger,
): { server: Server /** Ends the streams over HTTP (SSE), so that their clients reconnect. */; cutStreams(): void } {
  /** The responses of GraphQL that have not ended. Streams among them are ended when the node stops. */
  const open = new Set<ServerResponse>();
  const headers = securityHeaders(config);
  const { headersTimeoutMs: headersTimeout } = config;
  const checkInterval = Math.min(LATE_CHECK_MS, headersTimeout / 2);
  const timing = {
    headersTimeout,
    // Not the one of Node.js, because uploads may take longer than other requests.
    requestTimeout: 0,
    connectionsCheckingInterval: checkInterval,
    keepAliveTimeout: config.keepAliveTimeoutMs,
    maxHeaderSize: HEADERS_MAX_BYTES,
  };
  const bodies = watchBodies(config.requestTimeoutMs, checkInterval);
  const server = createServer(timing, (req, res) => {
    const given = req.headers['x-request-id'];
    const requestId = typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
    res.setHeader('x-request-id', requestId);
    for (const [name, value] of headers) res.setHeader(name, value);
    const started = performance.now();
    const path = pathOf(req);
    bodies.begin(req, res, routes(path)?.bytesPerSecondMin);
    res.on('close', () => {
      bodies.end(req);
      const ms = Math.round((performance.now() - started) * 10) / 10;
      log.debug({ requestId, method: req.method, path, status: res.statusCode, ms }, 'request');
      const isStream = isEventStream(res);
      onRequest({ method: req.method ?? '', path, status: res.statusCode, seconds: ms / 1000, isStream });
    });
    const address = addressOf(req);
    withRequest({ id: requestId, address }, () => route(path, req, res, address)).catch((error: unknown) => {
      // The client has disconnected.
      if (res.destroyed || req.errored) {
        res.destroy();
        return;
      }
      const presented = presentError(error, log);
      if (res.headersSent) res.destroy();
      else answer(res, 500, { errors: [presented] });
    });
  });

  async function route(path: string, req: IncomingMessage, res: ServerResponse, address: string): Promise<void> {
    const isVisit = isBrowserVisit(req);
    if (path === GRAPHQL_PATH && (config.graphiql || !isVisit)) {
      await serveGraphql(req, res, address);
    } else if (path === '/health') {
      answer(res, 200, { status: 'ok' });
    } else if (path === '/ready') {
      const { ready, parts } = await health.ready();
      answer(res, ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', ...parts });
    } else if (path === '/metrics' && scrape) {
      await scrape(req, res);
    } else {
      // Charged like a refused request of GraphQL, because clients can send any number of them.
      const refused = await waitForTurn(requestTime.begin(networkOf(address), req.headers.authorization));
      if (refused) refuse(req, res, refused);
      else if (!(await serveRoute(path, req, res)) && !(await servePage(path, req, res))) {
        serveOther(path, req, res, isVisit);
      }
    }
  }

  /** Responds with the route of a feature. Returns whether there is one. */
  async function serveRoute(path: string, req: IncomingMessage, res: ServerResponse): Promise<boolean> {
    const route = routes(path);
    if (!route) return false;
    const { origin, host } = req.headers;
    res.setHeader('vary', 'Origin');
    if (origin !== undefined && isAllowedOrigin(config, origin, host)) {
      res.setHeader('access-control-allow-origin', origin);
      res.setHeader('access-control-expose-headers', ['x-request-id', ...route.exposedHeaders].join(', '));
    }
    if (req.method === 'OPTIONS') {
      req.resume();
      res.writeHead(204, {
        'access-control-allow-methods': route.methods.join(', '),
        'access-control-allow-headers': 'authorization, content-type, if-range, range, x-request-id',
        'access-control-max-age': String(PREFLIGHT_SECONDS),
      });
      res.end();
      return true;
    }
    try {
      await route.respond({ req, res, query: new URLSearchParams(req.url?.split('?')[1] ?? '') });
    } catch (error) {
      if (!(error instanceof ChatError) || res.headersSent) throw error;
      for (const name of ['etag', 'content-disposition', 'content-length', 'content-range', 'accept-ranges']) {
        res.removeHeader(name);
      }
      refuse(req, res, new Refused(statuses[error.code], error));
    }
    return true;
  }

  /** Responds with the page of a feature. Returns whether there is one. */
  async function servePage(path: string, req: IncomingMessage, res: ServerResponse): Promise<boolean> {
    const page = pages(path);
    if (!page) return false;
    const { method = '' } = req;
    if (method !== 'GET' && method !== 'POST') {
      res.setHeader('allow', 'GET, POST');
      answer(res, 405, { status: 'method not allowed' });
      return true;
    }
    // The body is ignored.
    req.resume();
    const query = new URLSearchParams(req.url?.split('?')[1] ?? '');
    const { status, html, style } = await page({ method, query });
    res.setHeader('content-security-policy', pagePolicy(style));
    const headers = { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' };
    res.writeHead(status, headers).end(html);
    return true;
  }

  function serveOther(path: string, req: IncomingMessage, res: ServerResponse, isVisit: boolean): void {
    const notFound = () => answer(res, 404, { status: 'not found' });
    if (path === '/metrics') notFound();
    else if (web && path === GRAPHQL_PATH) res.writeHead(302, { location: '/' }).end();
    else if (web) {
      if (!web.serve({ req, res, path, isVisit })) notFound();
    } else if (path === '/' && config.graphiql) res.writeHead(302, { location: GRAPHQL_PATH }).end();
    else if ((path === '/' || path === GRAPHQL_PATH) && isVisit) showLandingPage(res);
    else notFound();
  }

  /** Waits until a request may be processed. Returns the refusal if too many requests of its client are waiting. */
  async function waitForTurn(account: RequestAccount): Promise<Refused | undefined> {
    try {
      const turn = account.turn();
      if (turn) await turn;
      return undefined;
    } catch (error) {
      if (error instanceof ChatError) return new Refused(429, error);
      throw error;
    }
  }

  function showLandingPage(res: ServerResponse) {
    res.setHeader('content-security-policy', landingPagePolicy);
    res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(landingPage);
  }

  async function serveGraphql(req: IncomingMessage, res: ServerResponse, address: string): Promise<void> {
    // Responses contain tokens and private data.
    res.setHeader('cache-control', 'no-store');
    const account = requestTime.begin(networkOf(address), req.headers.authorization);
    let body: Body;
    try {
      // A preflight has no token: waiting for the address would delay users who have a valid one.
      const refused = req.method === 'OPTIONS' ? undefined : await waitForTurn(account);
      if (refused) return refuse(req, res, refused);
      checkHeaders(req, res);
      body = await readBody(req, account, config.bodyMaxBytes);
    } catch (error) {
      if (error instanceof Refused) return refuse(req, res, error);
      throw error;
    }
    open.add(res);
    res.once('close', () => open.delete(res));
    // Not with yoga's own listener, which responds to unexpected errors with a stack trace.
    const response = await yoga.handleRequest(requestOf(yoga, req, res), {
      req,
      res,
      body,
      account,
      waitUntil: yoga.waitUntil,
    });
    await sendNodeResponse(response, res, req, true);
  }

  /**
   * Rejects requests that yoga would otherwise reject in its own format.
   * @throws {Refused}
   */
  function checkHeaders(req: IncomingMessage, res: ServerResponse): void {
    const { method, headers } = req;
    if (!isAddressed(req)) throw badRequest('The URL or the Host header is not valid.');
    if (method !== 'GET' && method !== 'POST' && method !== 'OPTIONS') {
      res.setHeader('allow', 'GET, POST, OPTIONS');
      throw badRequest('GraphQL requests must use GET or POST.', 405);
    }
    const isPage = config.graphiql && method === 'GET' && /text\/html/i.test(headers.accept ?? '');
    if (isPage) {
      res.setHeader('content-security-policy', graphiqlPolicy());
      headers.accept = 'text/html';
    } else if (method !== 'OPTIONS') {
      if (method === 'GET' && !hasCsrfHeader(req)) {
        const message = `A GET request must have one of these headers, with any value: ${CSRF_HEADERS.join(', ')}.`;
        throw new Refused(403, new ChatError('FORBIDDEN', message));
      }
      const accepted = acceptedTypes(headers.accept);
      if (accepted.length === 0) {
        throw badRequest(
          `The Accept header must allow application/json, application/graphql-response+json or ${EVENT_STREAM}.`,
          406,
        );
      }
      headers.accept = accepted.join(',');
    }
    if (method === 'POST') {
      if (!isJsonBody(headers['content-type'])) {
        throw badRequest('The content type of a POST request must be application/json in UTF-8.', 415);
      }
      headers['content-type'] = 'application/json';
    }
  }

  function refuse(req: IncomingMessage, res: ServerResponse, { status, error }: Refused): void {
    req.resume();
    onErrors([error]);
    // The rest of the body does not have to be read.
    if (status === 413 || status === 429) res.setHeader('connection', 'close');
    const { origin, host } = req.headers;
    if (origin !== undefined && isAllowedOrigin(config, origin, host)) {
      // Otherwise a page of another origin could not read why it was refused.
      res.setHeader('access-control-allow-origin', origin);
      res.setHeader('access-control-expose-headers', 'x-request-id');
      res.setHeader('vary', 'Origin');
    }
    const { message, code, retryAfterMs } = error;
    if (retryAfterMs !== undefined) res.setHeader('retry-after', Math.ceil(retryAfterMs / 1_000));
    const extensions = { code, ...(retryAfterMs !== undefined && { retryAfterMs }) };
    answer(res, status, { errors: [{ message, extensions }] });
  }

  return {
    server,
    cutStreams() {
      for (const res of open) if (isEventStream(res)) res.destroy();
    },
  };
}

/** Disconnects clients that send the bodies of requests too slowly, with 408. */
function watchBodies(timeoutMs: number, intervalMs: number) {
  /** The requests whose bodies may not have arrived completely. */
  const arriving = new Map<
    IncomingMessage,
    { res: ServerResponse; began: number; bytesBefore: number; bytesPerSecondMin: number }
  >();
  let timer: NodeJS.Timeout | undefined;

  function check(): void {
    for (const [req, { res, began, bytesBefore, bytesPerSecondMin }] of arriving) {
      const { complete, destroyed, socket } = req;
      // The time for the bytes that have arrived so far is added to the timeout.
      const addedMs = ((socket.bytesRead - bytesBefore) / bytesPerSecondMin) * 1_000;
      const isLate = performance.now() - began > timeoutMs + addedMs;
      if (!complete && !destroyed && isLate) {
        if (!res.headersSent) socket.write('HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n');
        socket.destroySoon();
      }
      if (complete || destroyed || isLate) arriving.delete(req);
    }
    if (arriving.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  }

  return {
    /** @param bytesPerSecondMin the lowest rate after the timeout; undefined: nothing may arrive later. */
    begin(req: IncomingMessage, res: ServerResponse, bytesPerSecondMin = Number.POSITIVE_INFINITY): void {
      const { 'content-length': length, 'transfer-encoding': encoding } = req.headers;
      if (encoding === undefined && Number(length ?? 0) === 0) return;
      arriving.set(req, { res, began: performance.now(), bytesBefore: req.socket.bytesRead, bytesPerSecondMin });
      timer ??= setInterval(check, intervalMs).unref();
    },
    end(req: IncomingMessage): void {
      arriving.delete(req);
    },
  };
}

/**
 * The security headers of every response. Responses are not pages: they must not run scripts, be framed, or be loaded
 * by pages of other sites. CORS, which permits other origins, is not affected.
 */
function securityHeaders({ hstsMs }: Config): [string, string][] {
  return [
    ['x-content-type-options', 'nosniff'],
    ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
    ['x-frame-options', 'DENY'],
    ['referrer-policy', 'no-referrer'],
    ['cross-origin-resource-policy', 'same-origin'],
    ['cross-origin-opener-policy', 'same-origin'],
    ...(hstsMs === undefined
      ? []
      : [
          ['strict-transport-security', `max-age=${Math.round(hstsMs / 1_000)}; includeSubDomains`] as [string, string],
        ]),
  ];
}

const hasCsrfHeader = (req: IncomingMessage): boolean => CSRF_HEADERS.some((name) => req.headers[name] !== undefined);

/** Whether the URL of a request is valid and has the path that was requested. */
const isAddressed = ({ url, headers: { host } }: IncomingMessage): boolean =>
  !host || (/^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?$/i.test(host) && parseUrl(`http://${host}${url}`) !== undefined);

/** Whether a browser navigates to the URL. */
const isBrowserVisit = (req: IncomingMessage): boolean =>
  (req.method === 'GET' || req.method === 'HEAD') &&
  !hasCsrfHeader(req) &&
  /text\/html/i.test(req.headers.accept ?? '');

const isEventStream = (res: ServerResponse): boolean => String(res.getHeader('content-type')).startsWith(EVENT_STREAM);

/**
 * Converts a request of Node.js to one of the Fetch API, without its body. Its signal aborts when the client
 * disconnects.
 */
function requestOf(yoga: Yoga, req: IncomingMessage, res: ServerResponse): Request {
  const { method = 'GET', headers, url = '/' } = req;
  const aborted = new AbortController();
  const abort = () => aborted.abort();
  res.once('close', abort);
  res.once('finish', () => res.off('close', abort));
  return new yoga.fetchAPI.Request(`http://${headers.host || 'localhost'}${url}`, {
    method,
    headers: headers as Record<string, string>,
    signal: aborted.signal,
  });
}

/** A request that is rejected before it reaches yoga, with the status of the response. */
class Refused extends Error {
  readonly status: number;
  readonly error: ChatError;

  constructor(status: number, error: ChatError) {
    super(error.message);
    this.status = status;
    this.error = error;
  }
}

const badRequest = (message: string, status = 400) => new Refused(status, new ChatError('BAD_USER_INPUT', message));

/**
 * Reads and parses the body of a request.
 * @throws {Refused} if the body is larger than `max` bytes, or if that of a POST is not a JSON object.
 */
async function readBody(req: IncomingMessage, account: RequestAccount, max: number): Promise<Body> {
  const tooLarge = () =>
    new Refused(413, new ChatError('PAYLOAD_TOO_LARGE', `The request body is larger than ${max} bytes.`));
  if (Number(req.headers['content-length'] ?? 0) > max) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  // The request must not be destroyed if it is too large, because it needs a response.
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    account.chargeBytes(chunk.length);
    size += chunk.length;
    if (size > max) throw tooLarge();
    chunks.push(chunk);
  }
  const params = account.measure(() => {
    const body = Buffer.concat(chunks);
    if (!isUtf8(body)) throw badRequest('The request body is not valid UTF-8.');
    return req.method === 'POST' ? parseBody(body) : undefined;
  });
  return { bytes: size, params };
}

/** @throws {Refused} */
function parseBody(body: Buffer): object {
  if (body.length === 0) throw badRequest('The request body is empty.');
  let params: unknown;
  try {
    params = JSON.parse(body.toString());
  } catch {
    throw badRequest('The request body is not valid JSON.');
  }
  if (typeof params === 'object' && params !== null && !Array.isArray(params)) return params;
  throw badRequest('The request body must be a JSON object.');
}

/** The path of a request without its query. It never throws. */
export const pathOf = (req: IncomingMessage): string => (req.url ?? '/').split('?', 1)[0] ?? '/';

export function answer(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  res.end(JSON.stringify(body));
}
