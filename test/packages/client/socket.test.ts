import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SessionManager } from '../../../packages/client/src/session.js';
import { createSocket } from '../../../packages/client/src/socket.js';
import { stopShared } from '../../support/shared.js';

/** How long the server takes to accept a connection, or to refuse it. */
const LATENCY = 200;
const MINUTE = 60_000;

/** A server that is unavailable until a time. */
interface Server {
  backAt: number;
  /** The times of the attempts to connect. */
  attempts: number[];
}

const servers = new Map<string, Server>();

/** The WebSocket of the browser, as far as the client uses it. */
class FakeWebSocket {
  readyState = 0;
  onopen?: () => void;
  onclose?: (event: { code: number }) => void;
  onmessage?: (event: { data: string }) => void;

  constructor(readonly url: string) {
    const server = servers.get(url) as Server;
    server.attempts.push(Date.now());
    const isThere = Date.now() >= server.backAt;
    setTimeout(() => {
      this.readyState = isThere ? 1 : 3;
      if (isThere) this.onopen?.();
      else this.onclose?.({ code: 1006 });
    }, LATENCY);
  }

  send(frame: string): void {
    if (JSON.parse(frame).type === 'connection_init') {
      setTimeout(() => this.onmessage?.({ data: '{"type":"connection_ack"}' }), LATENCY / 2);
    }
  }

  close(): void {
    this.readyState = 3;
  }
}

/** A client whose server is unavailable for this time from now on. */
function startClient(awayMs: number) {
  const url = `ws://server-${servers.size}`;
  const backAt = Date.now() + awayMs;
  const server: Server = { backAt, attempts: [] };
  servers.set(url, server);
  const session = { accessToken: () => undefined, renewAt: () => undefined } as unknown as SessionManager;
  let readyAt: number | undefined;
  const socket = createSocket(session, {
    url,
    hashes: {},
    keepAlive: 1_000_000_000,
    loaded: async () => {},
    onChange: (status) => {
      if (status === 'syncing') readyAt ??= Date.now();
    },
  });
  socket.subscribe('subscription { tick }', {}, { next: () => {} });
  return {
    attempts: server.attempts,
    /** After how many milliseconds it was connected again. */
    waited: () => (readyAt ?? Number.POSITIVE_INFINITY) - backAt,
    close: socket.close,
  };
}

describe('a client whose server is away', () => {
  beforeAll(stopShared);
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    vi.stubGlobal('WebSocket', FakeWebSocket);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
    servers.clear();
  });

  it('is connected again within three seconds in 95 of 100 outages, from seconds to an hour', async () => {
    // Between one second and five minutes, and some much longer ones.
    const outages = Array.from({ length: 100 }, (_, index) => 1_000 * 2 ** (index / 12));
    const clients = [...outages, 60 * MINUTE, 60 * MINUTE].map(startClient);
    await vi.advanceTimersByTimeAsync(60 * MINUTE + 5_000);
    const waits = clients.map(({ waited }) => waited()).sort((one, other) => one - other);
    expect(waits[Math.ceil(waits.length * 0.95) - 1]).toBeLessThan(3_000);
    // Not even one of the longest outages is followed by a long wait.
    expect(waits.at(-1)).toBeLessThan(3_500);
    for (const { close } of clients) close();
  });

  it('makes a bounded number of attempts, at other times than other clients', async () => {
    const clients = Array.from({ length: 100 }, () => startClient(2 * MINUTE));
    await vi.advanceTimersByTimeAsync(2 * MINUTE + 5_000);
    const last = clients.flatMap(({ attempts }) => attempts.filter((time) => time >= Date.now() - MINUTE - 5_000));
    // Each pause is between 1.25 and 2.5 seconds, and a refusal takes 0.2 seconds.
    expect(last.length / clients.length).toBeGreaterThan(60 / 2.7);
    expect(last.length / clients.length).toBeLessThan(65 / 1.45);
    const waits = clients.map(({ waited }) => waited());
    for (let from = 0; from < 3_000; from += 250) {
      const together = waits.filter((wait) => wait >= from && wait < from + 250);
      expect(together.length / waits.length).toBeLessThan(0.3);
    }
    for (const { close } of clients) close();
  });

  it.each([
    ['visibilitychange', 'the page becomes visible'],
    ['online', 'the network is back'],
  ])('tries rarely in the background, and at the event %s at once', async (event) => {
    const page = Object.assign(new EventTarget(), { visibilityState: 'hidden' });
    const network = new EventTarget();
    vi.stubGlobal('document', page);
    vi.stubGlobal('addEventListener', network.addEventListener.bind(network));
    vi.stubGlobal('removeEventListener', network.removeEventListener.bind(network));
    const client = startClient(10 * MINUTE);
    await vi.advanceTimersByTimeAsync(9 * MINUTE);
    const before = client.attempts.length;
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(client.attempts.length - before).toBeLessThanOrEqual(4);
    // An attempt that began before the server was back fails.
    if (Date.now() - (client.attempts.at(-1) ?? 0) <= LATENCY) await vi.advanceTimersByTimeAsync(LATENCY);
    if (event === 'visibilitychange') page.visibilityState = 'visible';
    (event === 'online' ? network : page).dispatchEvent(new Event(event));
    await vi.advanceTimersByTimeAsync(2 * LATENCY);
    expect(client.waited()).toBeLessThanOrEqual(3 * LATENCY);
    client.close();
  });
});
