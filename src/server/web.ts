import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import Negotiator from 'negotiator';
import type { Logger } from '../infra/telemetry/log.js';

/** The output of the build of `web`. The relative path is the same from src/server and from dist/server. */
const OUTPUT = fileURLToPath(new URL('../../dist/web/', import.meta.url));
/** Files below this path have a hash of their content in their names. */
const HASHED = '/assets/';
const INDEX = '/index.html';
const WORKER = '/sw.js';
/** The service worker loads the files of the app, what opens encrypted messages, and icons of notifications. */
const WORKER_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'";

/** Calls and voice messages use these features of browsers. Pages of other origins must not, and the app needs no others. */
const PERMISSIONS =
  'camera=(self), microphone=(self), display-capture=(self), picture-in-picture=(self), geolocation=(), payment=(), usb=()';

/** The encodings of the build, with the extensions of the files. */
const encodings = { br: '.br', gzip: '.gz' } as const;
type Encoding = keyof typeof encodings | 'identity';
/** From the smallest to the largest. Clients that accept several encodings rarely specify a preference. */
const preferred: Encoding[] = ['br', 'gzip', 'identity'];

/** The maximum length of an Accept-Encoding header that is parsed, in characters. */
const HEADER_MAX_CHARS = 500;

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};

/** The web app: its files, which are kept in memory, and the operations that it sends. */
export interface WebApp {
  /** The operations of the app by their hashes. A node accepts them even if it accepts only persisted documents. */
  readonly documents: ReadonlyMap<string, string>;
  /**
   * Responds to a GET or HEAD request with a file of the app.
   * @param isVisit whether a browser navigates to the URL. The app has a page for each path that could be one of its
   *   pages, because only the app knows them.
   * @returns whether it has responded. If not, the app has nothing at this path.
   */
  serve(request: { req: IncomingMessage; res: ServerResponse; path: string; isVisit: boolean }): boolean;
}

/** A file of the app, in the encodings of the build. */
interface WebFile {
  type: string;
  cacheControl: string;
  variants: ReadonlyMap<Encoding, { body: Buffer; etag: string }>;
  isWorker: boolean;
}

/**
 * Reads the web app.
 * @param origins to which the app sends files and from which it loads them, other than its own.
 * @returns undefined if it has not been built, which is logged.
 */
export async function openWebApp(
  log: Logger,
  { folder = OUTPUT, origins = [] }: { folder?: string; origins?: readonly string[] } = {},
): Promise<WebApp | undefined> {
  let files: ReadonlyMap<string, WebFile>;
  let documents: Record<string, string>;
  try {
    files = await readFiles(join(folder, 'files'));
    documents = JSON.parse(await readFile(join(folder, 'documents.json'), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    log.warn({ folder }, 'web app is not built: only the API is served');
    return undefined;
  }
  return {
    documents: new Map(Object.entries(documents)),
    serve({ req, res, path, isVisit }) {
      if (req.method !== 'GET' && req.method !== 'HEAD') return false;
      const file = files.get(path === '/' ? INDEX : path) ?? (isVisit && isPage(path) ? files.get(INDEX) : undefined);
      if (!file) return false;
      respond(req, res, file, origins);
      return true;
    },
  };
}

/**
 * Whether a path could be that of a page. An answer of HTML to a request for a script would break the app: during a
 * rolling update, nodes have different assets.
 */
const isPage = (path: string): boolean => !path.startsWith(HASHED) && !/\.[^/]*$/.test(path);

async function readFiles(folder: string): Promise<ReadonlyMap<string, WebFile>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const bodies = new Map(await Promise.all(paths.map(async (path) => [path, await readFile(path)] as const)));
  const files = new Map<string, WebFile>();
  for (const [path, body] of bodies) {
    const extension = extname(path);
    const type = types[extension];
    // Compressed variants belong to the file without the extension.
    if (type === undefined) continue;
    const url = `/${relative(folder, path).split(sep).join('/')}`;
    const hash = createHash('sha256').update(body).digest('base64url').slice(0, 22);
    const variants = new Map<Encoding, { body: Buffer; etag: string }>([['identity', { body, etag: `"${hash}"` }]]);
    for (const [encoding, suffix] of Object.entries(encodings)) {
      const compressed = bodies.get(path + suffix);
      if (compressed) variants.set(encoding as Encoding, { body: compressed, etag: `"${hash}-${encoding}"` });
    }
    const cacheControl = url.startsWith(HASHED) ? 'public, max-age=31536000, immutable' : 'no-cache';
    files.set(url, { type, cacheControl, variants, isWorker: url === WORKER });
  }
  return files;
}

function respond(
  req: IncomingMessage,
  res: ServerResponse,
  { type, cacheControl, variants, isWorker }: WebFile,
  origins: readonly string[],
): void {
  const encoding = encodingOf(req, variants);
  const { body, etag } = variants.get(encoding) as { body: Buffer; etag: string };
  res.setHeader('cache-control', cacheControl);
  res.setHeader('etag', etag);
  if (variants.size > 1) res.setHeader('vary', 'Accept-Encoding');
  if (type.startsWith('text/html')) {
    res.setHeader('content-security-policy', policyFor(req.headers.host, origins));
    res.setHeader('permissions-policy', PERMISSIONS);
  } else if (isWorker) res.setHeader('content-security-policy', WORKER_POLICY);
  if (isCurrent(req.headers['if-none-match'], etag)) {
    res.writeHead(304).end();
    return;
  }
  res.setHeader('content-type', type);
  res.setHeader('content-length', body.length);
  if (encoding !== 'identity') res.setHeader('content-encoding', encoding);
  res.writeHead(200).end(req.method === 'HEAD' ? undefined : body);
}

function encodingOf(req: IncomingMessage, variants: WebFile['variants']): Encoding {
  if (variants.size === 1 || String(req.headers['accept-encoding'] ?? '').length > HEADER_MAX_CHARS) return 'identity';
  const accepted = new Negotiator(req).encodings([...variants.keys()]);
  return preferred.find((encoding) => accepted.includes(encoding)) ?? 'identity';
}

/** Whether the client's copy is current. Proxies may have made its tag a weak one. */
const isCurrent = (ifNoneMatch: string | undefined, etag: string): boolean =>
  ifNoneMatch?.split(',').some((each) => each.trim().replace(/^W\//, '') === etag) ?? false;

/**
 * The content security policy of the app's page. It runs only its own code, which cannot write HTML (Trusted Types),
 * and connects only to its own server and to the one that stores files. Images may have any origin, because pictures of
 * users and groups are URLs.
 */
function policyFor(host: string | undefined, origins: readonly string[]): string {
  // Safari before 15.4 does not include WebSockets of the same origin in 'self'.
  const sockets =
    host !== undefined && /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?$/i.test(host) ? ` ws://${host} wss://${host}` : '';
  const others = origins.map((origin) => ` ${origin}`).join('');
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `connect-src 'self'${sockets}${others}`,
    `img-src 'self' https: data: blob:${others}`,
    `media-src 'self' blob:${others}`,
    "font-src 'self'",
    "manifest-src 'self'",
    "worker-src 'self'",
    "require-trusted-types-for 'script'",
    'trusted-types parley-worker',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
