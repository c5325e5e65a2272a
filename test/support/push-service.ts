import { createECDH, type ECDH, randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import ece from 'http_ece';
import { eventually } from './client.js';
import { atEnd } from './ending.js';

/** A push as a browser receives it. */
interface ReceivedPush {
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** The answer of the service to a request. */
interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

/** A push service, or a push gateway, on 127.0.0.1, which keeps what it receives. */
export interface PushService {
  origin: string;
  pushes: readonly ReceivedPush[];
  /** Resolves with the pushes to this path when there are `count` of them. */
  until(path: string, count?: number): Promise<ReceivedPush[]>;
  to(path: string): ReceivedPush[];
  /** Sets how it answers requests. By default with 201. A rejected promise closes the connection. */
  answer(next: (push: ReceivedPush) => Answer | Promise<Answer>): void;
  /** The largest number of simultaneous requests so far. */
  readonly atOnceMax: number;
  /** The number of connections so far. */
  readonly connections: number;
}

/** @param end registers its end: by default at the end of the current test. */
export async function startPushService(end: typeof atEnd = atEnd): Promise<PushService> {
  const pushes: ReceivedPush[] = [];
  let answer: (push: ReceivedPush) => Answer | Promise<Answer> = () => ({ status: 201 });
  let atOnce = 0;
  let atOnceMax = 0;
  let connections = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    atOnce += 1;
    atOnceMax = Math.max(atOnceMax, atOnce);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      const push = { path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks) };
      try {
        const { status, headers = {}, body = '' } = await answer(push);
        pushes.push(push);
        response.writeHead(status, headers).end(body);
      } catch {
        response.destroy();
      }
    });
    response.on('close', () => {
      atOnce -= 1;
    });
  });
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  end(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const to = (path: string) => pushes.filter((push) => push.path === path);
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pushes,
    to,
    async until(path, count = 1) {
      await eventually(`${count} pushes to ${path}`, () => to(path).length >= count);
      return to(path);
    },
    answer(next) {
      answer = next;
    },
    get atOnceMax() {
      return atOnceMax;
    },
    get connections() {
      return connections;
    },
  };
}

/** The keys of a browser's subscription, with which the browser decrypts pushes. */
export interface BrowserKeys {
  p256dh: string;
  auth: string;
  /** Decrypts a body with another implementation than that of the server. */
  decrypt(body: Buffer): string;
}

export function makeBrowserKeys(): BrowserKeys {
  const own: ECDH = createECDH('prime256v1');
  const p256dh = own.generateKeys('base64url');
  const auth = randomBytes(16).toString('base64url');
  return {
    p256dh,
    auth,
    decrypt: (body) => ece.decrypt(body, { version: 'aes128gcm', privateKey: own, authSecret: auth }).toString('utf8'),
  };
}

/** The input of a browser at a push service that exists, for tests that send nothing. */
export function webDevice(path: string): { endpoint: string; p256dh: string; auth: string } {
  const { p256dh, auth } = makeBrowserKeys();
  return { endpoint: `https://fcm.googleapis.com/${path}`, p256dh, auth };
}
