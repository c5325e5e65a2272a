import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ChatError } from '../core/errors.js';
import type { Config } from '../infra/config.js';
import type { Logger } from '../infra/log.js';
import { withRequest } from '../infra/request.js';
import type { AddressOf } from './addresses.js';
import { graphiqlPolicy } from './graphiql.js';
import { CSRF_HEADERS, GRAPHQL_PATH, type Yoga } from './graphql-http.js';

/** What is to be told of requests, and where /metrics is answered: absent where it is not to be found. */
export interface Watch {
  onRequest(request: { method: string; path: string; status: number; seconds: number; isStream: boolean }): void;
  /** It was answered with errors before it came to GraphQL. */
  onErrors(errors: readonly ChatError[]): void;
  scrape?: ((req: IncomingMessage, res: ServerResponse) => Promise<void>) | undefined;
}

export interface Health {
  /** Whether this node should get requests, and what of it works. */
  ready(): Promise<{ ready: boolean; parts: Record<string, string> }>;
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
  const streams = new Set<ServerResponse>();
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
      const isStream = isEventStream(req);
      onRequest({ method: req.method ?? '', path, status: res.statusCode, seconds: ms / 1000, isStream });
    });
    withRequest({ id: requestId, address: addressOf(req) }, () => route(path, req, res)).catch((error: unknown) => {
      log.error({ err: error, requestId }, 'a request failed');
      if (!res.headersSent) answer(res, 500, { status: 'error' });
      else res.destroy();
    });
  });

  async function route(path: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (path === GRAPHQL_PATH) {
      // With tokens and what people wrote in it.
      res.setHeader('cache-control', 'no-store');
      const isPage = config.graphiql && req.method === 'GET' && (req.headers.accept ?? '').includes('text/html');
      if (isPage) res.setHeader('content-security-policy', graphiqlPolicy());
      else if (req.method === 'GET' && !hasCsrfHeader(req)) return refuseGet(res);
      if (req.method === 'POST' && !isJson(req)) return refuseType(req, res);
      if (Number(req.headers['content-length'] ?? 0) > config.bodyMaxBytes) return refuseBody(req, res);
      if (req.method === 'POST' && req.headers['content-length'] === undefined) {
        const body = await readBody(req, config.bodyMaxBytes);
        if (!body) return refuseBody(req, res);
        // What yoga takes for a body that was read already.
        Object.assign(req, { body });
      }
      if (isEventStream(req)) {
        streams.add(res);
        res.once('close', () => streams.delete(res));
      }
      await yoga(req, res);
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

  function refuseGet(res: ServerResponse) {
    const message = `A GET needs one of these headers, with any value: ${CSRF_HEADERS.join(', ')}.`;
    answer(res, 403, { errors: [{ message, extensions: { code: 'FORBIDDEN' } }] });
  }

  function refuseType(req: IncomingMessage, res: ServerResponse) {
    req.resume();
    refuseWith(res, 415, new ChatError('BAD_USER_INPUT', 'A POST is application/json.'));
  }

  function refuseBody(req: IncomingMessage, res: ServerResponse) {
    req.resume();
    const message = `The body has more than ${config.bodyMaxBytes} bytes.`;
    res.setHeader('connection', 'close');
    refuseWith(res, 413, new ChatError('PAYLOAD_TOO_LARGE', message));
  }

  function refuseWith(res: ServerResponse, status: number, error: ChatError) {
    onErrors([error]);
    answer(res, status, { errors: [{ message: error.message, extensions: { code: error.code } }] });
  }

  return {
    server,
    cutStreams() {
      for (const res of streams) res.destroy();
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

const isEventStream = (req: IncomingMessage): boolean => req.headers.accept?.includes('text/event-stream') ?? false;

/** Forms can be posted by any page: only what needs a preflight from a foreign origin is taken. */
const isJson = (req: IncomingMessage): boolean =>
  /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(req.headers['content-type'] ?? '');

/** The whole body, sent without its length (chunked); undefined when it has more than `max` bytes. */
async function readBody(req: IncomingMessage, max: number): Promise<Buffer | undefined> {
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
