import { once } from 'node:events';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createRefusedOrigins } from '../../src/server/refused-origins.js';
import type { RunningNode } from '../../src/server/start.js';
import { socketUrl } from '../support/client.js';
import { makePlace } from '../support/place.js';

describe('a node in production without the web app', () => {
  let node: RunningNode;
  let url: string;
  const lines: { level: string; origin?: string; message: string }[] = [];
  beforeAll(async () => {
    node = await (await makePlace('embedded')).start({
      NODE_ENV: 'production',
      JWT_SECRET: 'x'.repeat(32),
      ALLOWED_ORIGINS: 'https://chat.example.com',
      WEB: 'off',
    });
    ({ url } = node);
    node.deps.log.warn = ((facts: { origin: string }, message: string) =>
      lines.push({ level: 'warn', ...facts, message })) as never;
  });
  const visit = (path: string, init: RequestInit = {}) =>
    fetch(url.replace('/graphql', path), {
      ...init,
      headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8', ...init.headers },
    });

  it.each(['/', '/graphql', '/graphql?query={__typename}'])(
    'shows browsers a page that explains the service at %s',
    async (path) => {
      const answer = await visit(path);
      const page = await answer.text();
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
      expect(page).toContain('This server provides the API of a chat service.');
      // The page loads nothing and does not contain the version.
      expect(page).not.toMatch(/https?:|src=|href=|@import|url\(|<script/);
      expect(page).not.toContain('0.1');
      const policy = answer.headers.get('content-security-policy') ?? '';
      expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; /);
      expect(policy).toContain("frame-ancestors 'none'");
    },
  );

  it('responds to other clients like an API', async () => {
    expect((await fetch(url.replace('/graphql', '/'))).status).toBe(404);
    expect((await fetch(url)).status).toBe(403);
    expect((await visit('/nothing')).status).toBe(404);
    const asked = await visit('/graphql?query={__typename}', { headers: { 'apollo-require-preflight': '1' } });
    expect(asked.headers.get('content-type')).not.toContain('text/html');
    const post = await visit('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: '{"query":"{ __typename }"}',
    });
    expect(await post.json()).toEqual({ data: { __typename: 'Query' } });
  });

  it('logs a rejected origin once, over HTTP and WebSocket, and no allowed one', async () => {
    const post = (origin: string) =>
      fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin },
        body: '{"query":"{ __typename }"}',
      });
    const open = async (origin: string) => {
      const socket = new WebSocket(socketUrl(url), 'graphql-transport-ws', { origin });
      socket.on('error', () => {});
      await Promise.race([once(socket, 'open'), once(socket, 'unexpected-response')]);
      socket.terminate();
    };
    for (const origin of ['https://other.example.com', 'https://chat.example.com', 'https://other.example.com']) {
      await post(origin);
      await open(origin);
    }
    await open('https://third.example.com');
    // Pages of the same host need no permission.
    await post(new URL(url).origin);
    const message = 'request rejected: its origin is not in ALLOWED_ORIGINS';
    expect(lines).toEqual([
      { level: 'warn', origin: 'https://other.example.com', message },
      { level: 'warn', origin: 'https://third.example.com', message },
    ]);
  });
});

describe('the log of rejected origins', () => {
  it('is limited, however many origins a client sends', () => {
    const logged: string[] = [];
    const log = { warn: ({ origin }: { origin: string }) => logged.push(origin) };
    const refused = createRefusedOrigins(log as never);
    for (let index = 0; index < 10_000; index += 1) refused(`https://${index}.example.com/${'x'.repeat(1_000)}`);
    expect(logged).toHaveLength(100);
    expect(Math.max(...logged.map(({ length }) => length))).toBe(256);
  });
});
