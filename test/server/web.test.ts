import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { e2eeDocuments } from '../../packages/e2ee/src/index.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import type { RunningNode } from '../../src/server/start.js';
import { openWebApp } from '../../src/server/web.js';
import { connectInTest, type Json, socketUrl } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { detailModes, makePlace } from '../support/place.js';

const html = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
const production = { NODE_ENV: 'production', JWT_SECRET: 'x'.repeat(32) };

interface Received {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Sends a request without decoding the response, which `fetch` would do. */
async function send(
  url: string,
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<Received> {
  const outgoing = httpRequest(new URL(path, url), { method, headers }).end();
  const [incoming] = await once(outgoing, 'response');
  return {
    status: incoming.statusCode,
    headers: incoming.headers,
    body: Buffer.concat(await incoming.toArray()),
  };
}

describe.each(detailModes)('the web app in %s mode', (mode) => {
  let node: RunningNode;
  let url: string;
  let script: string;
  /** Nodes in production that accept only persisted documents, with and without the app. */
  let only: RunningNode;
  let off: RunningNode;
  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley_web_'));
    atEnd(() => rm(folder, { recursive: true, force: true }));
    const path = join(folder, 'documents.json');
    await writeFile(path, JSON.stringify({ typename: '{ __typename }' }));
    const settings = { ...production, PERSISTED_DOCUMENTS: path, PERSISTED_DOCUMENTS_ONLY: 'on' };
    const start = async (env: Record<string, string>) => (await makePlace(mode, { web: true })).start(env);
    [node, only, off] = await Promise.all([start({}), start(settings), start({ ...settings, WEB: 'off' })]);
    ({ url } = node);
    const page = (await send(url, '/')).body.toString();
    [, script = ''] = /src="(\/assets\/[^"]+\.js)"/.exec(page) ?? [];
    expect(script).not.toBe('');
  });

  it('is served to browsers at / and at the paths of its pages', async () => {
    expect(node.webUrl).toBe(url.replace('graphql', ''));
    const { body } = await send(url, '/');
    for (const path of ['/', '/?source=pwa', '/index.html', '/sign-in', '/c/Q29udmVyc2F0aW9uOjE', '/settings/']) {
      const page = await send(url, path, html);
      expect([path, page.status, page.headers['content-type']]).toEqual([path, 200, 'text/html; charset=utf-8']);
      expect(page.body.equals(body)).toBe(true);
      expect(page.headers['cache-control']).toBe('no-cache');
    }
    // Programs get an answer that they understand.
    for (const path of ['/sign-in', '/nothing']) {
      expect((await send(url, path)).status).toBe(404);
      expect((await send(url, path, html, 'POST')).status).toBe(404);
    }
    expect((await send(url, '/metrics', html)).status).toBe(404);
    expect((await send(url, '/health', html)).headers['content-type']).toBe('application/json');
  });

  it('answers HEAD without a body', async () => {
    for (const path of ['/', script]) {
      const [get, head] = [await send(url, path), await send(url, path, {}, 'HEAD')];
      const varying = ['date', 'x-request-id', 'connection', 'keep-alive'];
      const lasting = ({ headers }: Received) => Object.entries(headers).filter(([name]) => !varying.includes(name));
      expect([head.status, head.body.length]).toEqual([200, 0]);
      expect(lasting(head)).toEqual(lasting(get));
    }
  });

  it('is sent in the smallest encoding that the client accepts', async () => {
    const plain = await send(url, script);
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(plain.headers['content-type']).toBe('text/javascript; charset=utf-8');
    const brotli = await send(url, script, { 'accept-encoding': 'gzip, deflate, br, zstd' });
    expect(brotli.headers['content-encoding']).toBe('br');
    expect(brotliDecompressSync(brotli.body).equals(plain.body)).toBe(true);
    const gzip = await send(url, script, { 'accept-encoding': 'gzip;q=0.5, br;q=0' });
    expect(gzip.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(gzip.body).equals(plain.body)).toBe(true);
    expect(brotli.body.length).toBeLessThan(gzip.body.length);
    expect(gzip.body.length).toBeLessThan(plain.body.length / 2);
    const tags = [plain, brotli, gzip].map(({ headers }) => headers.etag);
    expect(new Set(tags).size).toBe(3);
    for (const { headers } of [plain, brotli, gzip]) expect(headers['vary']).toBe('Accept-Encoding');
    const long = await send(url, script, { 'accept-encoding': `br, ${'x,'.repeat(300)}` });
    expect(long.headers['content-encoding']).toBeUndefined();
  });

  it('is cached by browsers: assets permanently, pages until they change', async () => {
    const asset = await send(url, script);
    expect(asset.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    for (const path of ['/', script, '/icon.svg', '/manifest.webmanifest']) {
      const { headers, status } = await send(url, path);
      expect([path, status]).toEqual([path, 200]);
      if (path !== script) expect(headers['cache-control']).toBe('no-cache');
      for (const tag of [headers.etag, `W/${headers.etag}`, `"other", ${headers.etag}`]) {
        const again = await send(url, path, { 'if-none-match': String(tag) });
        expect([again.status, again.body.length, again.headers.etag]).toEqual([304, 0, headers.etag]);
        expect(again.headers['cache-control']).toBe(headers['cache-control']);
      }
      expect((await send(url, path, { 'if-none-match': '"other"' })).status).toBe(200);
    }
  });

  it('lets the service worker load the files of the app, and nothing else', async () => {
    const { headers, body } = await send(url, '/sw.js');
    expect(headers['content-security-policy']).toBe(
      "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'",
    );
    expect(headers['cache-control']).toBe('no-cache');
    const [, listed = '[]'] = /FILES = (\[.*\])/.exec(body.toString()) ?? [];
    const files: string[] = JSON.parse(listed);
    expect(files).toContain(script);
    for (const path of files) expect([path, (await send(url, path)).status]).toEqual([path, 200]);
  });

  it('never responds with a page to a request for a file', async () => {
    for (const path of ['/assets/index-older.js', '/assets/', '/assets', '/missing.js', '/c/missing.css', '/.env']) {
      const { status, headers, body } = await send(url, path, path === '/assets' ? {} : html);
      expect([path, status, headers['content-type']]).toEqual([path, 404, 'application/json']);
      expect(headers['cache-control']).toBe('no-store');
      expect(body.toString()).not.toContain('<');
    }
    for (const path of ['/../documents.json', '/%2e%2e/documents.json', '/assets/..%2f..%2fdocuments.json']) {
      expect((await send(url, path)).status).toBe(404);
    }
  });

  it('runs only its own code, writes no HTML, and connects only to its own server', async () => {
    const { headers } = await send(url, '/');
    const policy = String(headers['content-security-policy']);
    const directives = new Map(policy.split('; ').map((each) => each.split(/ (.*)/) as [string, string]));
    const { host } = new URL(url);
    expect(Object.fromEntries(directives)).toMatchObject({
      'default-src': "'none'",
      'script-src': "'self'",
      'style-src': "'self'",
      'connect-src': `'self' ws://${host} wss://${host}`,
      'img-src': "'self' https: data: blob:",
      'media-src': "'self' blob:",
      'require-trusted-types-for': "'script'",
      'frame-ancestors': "'none'",
      'base-uri': "'none'",
      'form-action': "'none'",
    });
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY' });
    // Microphones and cameras are for calls, and for pages of this server only.
    const permissions = String(headers['permissions-policy']);
    for (const each of ['camera=(self)', 'microphone=(self)', 'geolocation=()']) expect(permissions).toContain(each);
    // What is not a page keeps the policy of the API.
    expect((await send(url, script)).headers['content-security-policy']).toBe(
      "default-src 'none'; frame-ancestors 'none'",
    );
    const chosen = await send(url, '/', { host: 'chat.example.com:8443' });
    expect(chosen.headers['content-security-policy']).toContain('wss://chat.example.com:8443;');
    for (const foul of ['evil.example; script-src *', 'a b', '*']) {
      const { headers: others } = await send(url, '/', { host: foul });
      expect(others['content-security-policy']).toContain("connect-src 'self';");
    }
  });

  it('can send requests from its own host, also in production, unlike pages of other hosts', async () => {
    const allowed = async (to: string, origin: string) => {
      const answer = await fetch(to, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin },
        body: '{"query":"{ __typename }"}',
      });
      const socket = new WebSocket(socketUrl(to), 'graphql-transport-ws', { origin });
      socket.on('error', () => {});
      const outcome = await Promise.race([
        once(socket, 'open').then(() => true),
        once(socket, 'unexpected-response').then(() => false),
      ]);
      socket.terminate();
      expect(answer.headers.get('access-control-allow-origin') === origin).toBe(outcome);
      return outcome;
    };
    const own = ({ url: to }: RunningNode) => new URL(to).origin;
    expect(await allowed(only.url, own(only))).toBe(true);
    expect(await allowed(only.url, 'http://127.0.0.1:1')).toBe(false);
    expect(await allowed(only.url, 'https://evil.example.com')).toBe(false);
    expect(await allowed(off.url, own(off))).toBe(false);
  });

  it('leaves /graphql to GraphiQL, and is there instead of it in production', async () => {
    expect((await send(url, '/graphql', html)).body.toString()).toContain('YogaGraphiQL');
    const answer = await send(only.url, '/graphql', html);
    expect([answer.status, answer.headers.location]).toEqual([302, '/']);
    expect((await send(only.url, '/', html)).body.toString()).toContain(script);
  });

  it('can be switched off', async () => {
    expect(off.webUrl).toBeUndefined();
    expect((await send(off.url, '/', html)).body.toString()).not.toContain('<script');
    expect((await send(off.url, script)).status).toBe(404);
    expect((await send(off.url, '/sign-in', html)).status).toBe(404);
  });

  it('works on a server that accepts only persisted documents', async () => {
    const documents: Record<string, string> = JSON.parse(readFileSync('dist/web/documents.json', 'utf8'));
    expect(Object.keys(documents).length).toBeGreaterThan(3);
    expect(Object.values(documents)).toEqual(expect.arrayContaining(Object.values(e2eeDocuments)));
    const codes = async (to: string, body: Json): Promise<(string | undefined)[]> => {
      const answer = (await (
        await fetch(to, {
          method: 'POST',
          headers: { 'content-type': 'application/json', accept: 'application/json' },
          body: JSON.stringify(body),
        })
      ).json()) as Json;
      return (answer.errors ?? []).map(({ extensions }: Json) => extensions.code);
    };
    for (const [hash, query] of Object.entries(documents)) {
      // Subscriptions and missing variables are refused later, and with other codes.
      expect(await codes(only.url, { query }), query).not.toContain('FORBIDDEN');
      expect(await codes(only.url, { documentId: `sha256:${hash}` }), query).not.toContain('FORBIDDEN');
      expect(await codes(off.url, { query }), query).toEqual(['FORBIDDEN']);
    }
    expect(await codes(only.url, { query: '{ serverInfo { version } }' })).toEqual(['FORBIDDEN']);
    expect(await codes(only.url, { documentId: 'typename' })).toEqual([]);
    const info = Object.values(documents).find((text) => text.includes('query ServerInfo')) ?? '';
    for await (const { data } of connectInTest(only.url).iterate<Json>({ query: info })) {
      expect(data?.serverInfo.features).toContain('persistedDocumentsOnly');
    }
  });
});

describe('a build of the web app', () => {
  it('contains no code or style within the page, and loads nothing from another host', () => {
    const files = readdirSync('dist/web/files', { recursive: true, encoding: 'utf8' });
    expect(files.filter((name) => name.endsWith('.js')).length).toBeGreaterThan(1);
    for (const name of files.filter((each) => /\.(html|css|js|webmanifest)$/.test(each))) {
      const text = readFileSync(join('dist/web/files', name), 'utf8');
      expect(text, name).not.toMatch(
        /<style|<script(?![^>]*\ssrc=)|\son\w+="|\bstyle="|@import|(?:src|href)="(?:https?:)?\/\//,
      );
      expect(text, name).not.toMatch(/url\((?!["']?\/)/);
    }
  });

  it('needs at most 58.4 KB of scripts and 9 KB of styles to start', () => {
    const page = readFileSync('dist/web/files/index.html', 'utf8');
    const first = [...page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path ?? '');
    const sizeOf = (extension: string) =>
      first
        .filter((path) => path.endsWith(extension))
        .reduce((sum, path) => sum + readFileSync(join('dist/web/files', `${path}.gz`)).length, 0);
    console.log(`the web app starts with ${sizeOf('.js')} bytes of scripts and ${sizeOf('.css')} of styles`);
    expect(sizeOf('.js')).toBeGreaterThan(30_000);
    expect(sizeOf('.js')).toBeLessThanOrEqual(58_400);
    expect(sizeOf('.css')).toBeGreaterThan(3_000);
    expect(sizeOf('.css')).toBeLessThanOrEqual(9_000);
  });

  it('that is missing is logged, and only the API is served', async () => {
    const lines: string[] = [];
    const log = createLog('warn', { write: (line) => lines.push(line) });
    expect(await openWebApp(log, { folder: join(tmpdir(), 'absent') })).toBeUndefined();
    expect(lines).toEqual([expect.stringContaining('web app is not built')]);
  });
});
