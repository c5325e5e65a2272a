import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { sendNodeResponse } from '@whatwg-node/server';
import { ChatError } from '../core/errors.js';
import { parseUrl } from '../core/urls.js';
import { presentError } from '../graphql/errors.js';
import type { Config } from '../infra/config/config.js';
import type { Logger } from '../infra/telemetry/log.js';
import { withRequest } from '../infra/telemetry/request.js';
import type { AddressOf } from './addresses.js';
import { graphiqlPolicy } from './graphiql.js';
import { CSRF_HEADERS, GRAPHQL_PATH, type Yoga } from './graphql-http.js';
import { landingPage, landingPagePolicy } from './landing-page.js';
import { acceptedTypes, EVENT_STREAM, isJsonBody } from './media-types.js';

/** What is to be told of requests, and where /metrics is answered: absent where it is not to be found. */
export interface Watch {
  onRequest(request: { method: string; path: string; status: number; seconds: number; isStream: boolean }): void;
  /** It was answered with errors before it came to GraphQL. */
  onErrors(errors: readonly ChatError[]): void;
  scrape?: ((req: IncomingMessage, res: ServerResponse) => Promise<void>) | undefined;
}

export interface Health {
  /** Whether this node should get requests, and what of it works. */
  ready(): Promise<{ ready: boolean; parts: Record<string, string | number> }>;
}

/** Bytes of all headers of a request together; more answers 431. */
const HEADERS_MAX_BYTES = 16_384;
/** How often it is looked for clients that take too long, at the least, in milliseconds. */
const LATE_CHECK_MS = 5_000;

/** The HTTP server: GraphQL, `/health` (the process lives), `/ready` (send it requests), and `/metrics` if it is here. */
export function createHttpServer(
  yoga: Yoga,
  health: Health,
  { onRequest, onErrors, scrape }: Watch,
  addressOf: AddressOf,
  config: Config,
  log: Logger,
): { server: Server /** Breaks off what streams over HTTP (SSE), so that clients come back. */; cutStreams(): void } {
  /** Answers of GraphQL that are not over: those that stream are cut off when the node stops. */
  const open = new Set<ServerResponse>();
  const headers = securityHeaders(config);
  const { headersTimeoutMs: headersTimeout, requestTimeoutMs: requestTimeout } = config;
  const timing = {
    headersTimeout,
    requestTimeout,
    connectionsCheckingInterval: Math.min(LATE_CHECK_MS, headersTimeout / 2),
    keepAliveTimeout: config.keepAliveTimeoutMs,
    maxHeaderSize: HEADERS_MAX_BYTES,
  };
  const server = createServer(timing, (req, res) => {
    const given = req.headers['x-request-id'];
    const requestId = typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
    res.setHeader('x-request-id', requestId);
    for (const [name, value] of headers) res.setHeader(name, value);
    const started = performance.now();
    const path = pathOf(req);
    res.on('close', () => {
      const ms = Math.round((performance.now() - started) * 10) / 10;
      log.debug({ requestId, method: req.method, path, status: res.statusCode, ms }, 'request');
      const isStream = isEventStream(res);
      onRequest({ method: req.method ?? '', path, status: res.statusCode, seconds: ms / 1000, isStream });
    });
    withRequest({ id: requestId, address: addressOf(req) }, () => route(path, req, res)).catch((error: unknown) => {
      // The client has gone while it was being heard or answered: there is nobody to tell.
      if (res.destroyed || req.errored) {
        res.destroy();
        return;
      }
      const presented = presentError(error, log);
      if (res.headersSent) res.destroy();
      else answer(res, 500, { errors: [presented] });
    });
  });

  async function route(path: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (!config.graphiql && (path === GRAPHQL_PATH || path === '/') && isBrowserVisit(req)) {
      showLandingPage(res);
    } else if (path === GRAPHQL_PATH) {
      await serveGraphql(req, res);
    } else if (path === '/health') {
      answer(res, 200, { status: 'ok' });
    } else if (path === '/ready') {
      const { ready, parts } = await health.ready();
      answer(res, ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', ...parts });
    } else if (path === '/metrics' && scrape) {
      await scrape(req, res);
    } else if (path === '/' && config.graphiql) {
      res.writeHead(302, { location: GRAPHQL_PATH }).end();
    } else {
      answer(res, 404, { status: 'not found' });
    }
  }

  function showLandingPage(res: ServerResponse) {
    res.setHeader('content-security-policy', landingPagePolicy);
    res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(landingPage);
  }

  /** What yoga is given is of few kinds, so that nothing is left to it to refuse in a way of its own. */
  async function serveGraphql(req: IncomingMessage, res: ServerResponse): Promise<void> {
    // With tokens and what people wrote in it.
    res.setHeader('cache-control', 'no-store');
    const { method, headers } = req;
    if (!isAddressed(req)) {
      return refuse(req, res, 400, new ChatError('BAD_USER_INPUT', 'The URL or the Host header is not valid.'));
    }
    if (method !== 'GET' && method !== 'POST' && method !== 'OPTIONS') {
      res.setHeader('allow', 'GET, POST, OPTIONS');
      return refuse(req, res, 405, new ChatError('BAD_USER_INPUT', 'GraphQL requests must use GET or POST.'));
    }
    const isPage = config.graphiql && method === 'GET' && /text\/html/i.test(headers.accept ?? '');
    if (isPage) {
      res.setHeader('content-security-policy', graphiqlPolicy());
      headers.accept = 'text/html';
    } else if (method !== 'OPTIONS') {
      if (method === 'GET' && !hasCsrfHeader(req)) {
        const message = `A GET request must have one of these headers, with any value: ${CSRF_HEADERS.join(', ')}.`;
        return refuse(req, res, 403, new ChatError('FORBIDDEN', message));
      }
      const accepted = acceptedTypes(headers.accept);
      if (accepted.length === 0) {
        const message = `The Accept header must allow application/json, application/graphql-response+json or ${EVENT_STREAM}.`;
        return refuse(req, res, 406, new ChatError('BAD_USER_INPUT', message));
      }
      headers.accept = accepted.join(',');
    }
    if (method === 'POST') {
      if (!isJsonBody(headers['content-type'])) {
        return refuse(
          req,
          res,
          415,
          new ChatError('BAD_USER_INPUT', 'The content type of a POST request must be application/json in UTF-8.'),
        );
      }
      headers['content-type'] = 'application/json';
    }
    const body = await readBody(req, config.bodyMaxBytes);
    if (!body) {
      res.setHeader('connection', 'close');
      const message = `The request body is larger than ${config.bodyMaxBytes} bytes.`;
      return refuse(req, res, 413, new ChatError('PAYLOAD_TOO_LARGE', message));
    }
    if (!isUtf8(body)) {
      return refuse(req, res, 400, new ChatError('BAD_USER_INPUT', 'The request body is not valid UTF-8.'));
    }
    if (method === 'POST' && body.length === 0) {
      return refuse(req, res, 400, new ChatError('BAD_USER_INPUT', 'The request body is empty.'));
    }
    open.add(res);
    res.once('close', () => open.delete(res));
    // Not by yoga's own listener: that one answers what it did not expect with a stack trace. Nor by its adapter for
    // Node's requests, which lists every index of a body that was read already: 30 ms for one of 256 KB.
    const response = await yoga.handleRequest(requestOf(yoga, req, res, body), {
      req: Object.assign(req, { bodyBytes: body.length }),
      res,
      waitUntil: yoga.waitUntil,
    });
    await sendNodeResponse(response, res, req, true);
  }

  function refuse(req: IncomingMessage, res: ServerResponse, status: number, error: ChatError) {
    req.resume();
    onErrors([error]);
    answer(res, status, { errors: [{ message: error.message, extensions: { code: error.code } }] });
  }

  return {
    server,
    cutStreams() {
      for (const res of open) if (isEventStream(res)) res.destroy();
    },
  };
}

/**
 * Of every answer: it is no page, so nothing of it may run, be framed, or be loaded by pages of other sites (those that are
 * allowed to ask, ask by CORS, which this does not touch).
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

/** Whether the URL of a request can be put together, and is the one that its path says. */
const isAddressed = ({ url, headers: { host } }: IncomingMessage): boolean =>
  !host || (/^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?$/i.test(host) && parseUrl(`http://${host}${url}`) !== undefined);

/** Somebody has entered the address into a browser. */
const isBrowserVisit = (req: IncomingMessage): boolean =>
  (req.method === 'GET' || req.method === 'HEAD') &&
  !hasCsrfHeader(req) &&
  /text\/html/i.test(req.headers.accept ?? '');

const isEventStream = (res: ServerResponse): boolean => String(res.getHeader('content-type')).startsWith(EVENT_STREAM);

/** A request of Node's, whose body was read, as the Fetch API has it. Its signal aborts when the client goes away. */
function requestOf(yoga: Yoga, req: IncomingMessage, res: ServerResponse, body: Buffer): Request {
  const { method = 'GET', headers, url = '/' } = req;
  const aborted = new AbortController();
  const abort = () => aborted.abort();
  res.once('close', abort);
  res.once('finish', () => res.off('close', abort));
  return new yoga.fetchAPI.Request(`http://${headers.host || 'localhost'}${url}`, {
    method,
    headers: headers as Record<string, string>,
    signal: aborted.signal,
    ...(method === 'POST' && { body: body as Uint8Array<ArrayBuffer> }),
  });
}

/** The whole body; undefined when it has more than `max` bytes. */
async function readBody(req: IncomingMessage, max: number): Promise<Buffer | undefined> {
  if (Number(req.headers['content-length'] ?? 0) > max) return undefined;
  const chunks: Buffer[] = [];
  let size = 0;
  // Not destroyed when it is too large: it is still to be answered.
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > max) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The path of a request, without its query; whatever stands there, this does not throw. */
export const pathOf = (req: IncomingMessage): string => (req.url ?? '/').split('?', 1)[0] ?? '/';

export function answer(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  res.end(JSON.stringify(body));
}
