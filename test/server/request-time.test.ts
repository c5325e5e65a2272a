import { once, setMaxListeners } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { Context } from '../../src/graphql/context.js';
import { createRequestTime, type RequestTime } from '../../src/server/request-time.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually, type Json, type Person, register, registerAll, socketUrl } from '../support/client.js';
import { makePlace } from '../support/place.js';
import { stopShared } from '../support/shared.js';

beforeAll(stopShared);

const NETWORK = '192.0.2.1';
const tenth = { share: 0.1, waitingMax: 10 };
const busy = { record() {}, isByOthers: () => true };

describe('the time for receiving requests', () => {
  const viewerOf = (userId: string, isService?: true): Context['identity'] => ({
    userId,
    sessionId: userId,
    expiresAt: new Date(),
    ...(isService && { isService }),
  });
  /** Tokens are the ids of users, or `service` for the service key. */
  const identify = vi.fn(async (authorization: string) =>
    authorization === 'invalid' ? null : viewerOf(authorization, authorization === 'service' || undefined),
  );
  /** Whether a request may be read immediately. */
  const isFree = ({ begin }: RequestTime, network: string, authorization?: string) => {
    const turn = begin(network, authorization).turn();
    turn?.catch(() => {});
    return turn === undefined;
  };
  /** The number of bytes that are charged with 100 ms, which is the initial allowance for a tenth of the time. */
  const ofBytes = 50_000_000;

  it('is charged to the address without a valid token', () => {
    const requestTime = createRequestTime({ ...tenth, usage: busy, identify });
    requestTime.begin(NETWORK, 'invalid').chargeBytes(ofBytes * 1.1);
    expect(isFree(requestTime, NETWORK)).toBe(false);
    expect(isFree(requestTime, NETWORK, 'invalid')).toBe(false);
    expect(isFree(requestTime, '192.0.2.2')).toBe(true);
  });

  it('is charged to the user of a verified token, whatever the address', () => {
    const requestTime = createRequestTime({ ...tenth, usage: busy, identify });
    const account = requestTime.begin(NETWORK, 'ana');
    account.identified(viewerOf('ana'));
    account.chargeBytes(ofBytes * 1.1);
    expect(isFree(requestTime, NETWORK)).toBe(true);
    expect(isFree(requestTime, NETWORK, 'ana')).toBe(false);
    expect(isFree(requestTime, '192.0.2.2', 'ana')).toBe(false);
    expect(isFree(requestTime, NETWORK, 'bob')).toBe(true);
  });

  it('of an address over its share does not delay users with a valid token', async () => {
    const requestTime = createRequestTime({ ...tenth, usage: busy, identify });
    requestTime.begin(NETWORK, undefined).chargeBytes(ofBytes * 2);
    await requestTime.begin(NETWORK, 'ana').turn();
    identify.mockClear();
    expect(isFree(requestTime, NETWORK, 'ana')).toBe(true);
    expect(identify).not.toHaveBeenCalled();
  });

  it('is not charged to the service key', async () => {
    const requestTime = createRequestTime({ ...tenth, usage: busy, identify });
    const account = requestTime.begin(NETWORK, 'service');
    account.identified(viewerOf('service', true));
    account.chargeBytes(ofBytes * 2);
    expect(isFree(requestTime, NETWORK, 'service')).toBe(true);
  });

  it('is charged for each request, for its bytes and for synchronous work, including work that fails', () => {
    for (const use of [
      (requestTime: RequestTime) => {
        for (let count = 0; count < 520; count += 1) isFree(requestTime, NETWORK);
      },
      (requestTime: RequestTime) =>
        expect(() =>
          requestTime.begin(NETWORK, undefined).measure(() => {
            const began = performance.now();
            while (performance.now() - began < 110);
            throw new Error('refused');
          }),
        ).toThrow('refused'),
      (requestTime: RequestTime) => requestTime.chargeFrame(null, NETWORK, { bytes: ofBytes * 1.1 }),
      (requestTime: RequestTime) => requestTime.chargeFrame(undefined, NETWORK, { ms: 110 }),
      (requestTime: RequestTime) => {
        for (let count = 0; count < 300; count += 1) requestTime.chargeUpgrade(NETWORK);
      },
    ]) {
      const requestTime = createRequestTime({ ...tenth, usage: busy, identify });
      expect(isFree(requestTime, NETWORK)).toBe(true);
      use(requestTime);
      expect(isFree(requestTime, NETWORK)).toBe(false);
    }
  });

  it('is free for HTTP requests while nobody else uses the node', () => {
    const requestTime = createRequestTime({ ...tenth, usage: { record() {}, isByOthers: () => false }, identify });
    requestTime.begin(NETWORK, undefined).chargeBytes(ofBytes * 10);
    expect(isFree(requestTime, NETWORK)).toBe(true);
  });

  it('is free without rate limits', () => {
    const requestTime = createRequestTime({ ...tenth, share: Number.POSITIVE_INFINITY, usage: busy, identify });
    requestTime.begin(NETWORK, undefined).chargeBytes(ofBytes * 10);
    expect(isFree(requestTime, NETWORK)).toBe(true);
    expect(requestTime.chargeFrame(null, NETWORK, { ms: 1e9 })).toBe(0);
  });

  it('delays a limited number of requests, and further ones are rejected', async () => {
    let others = true;
    const requestTime = createRequestTime({ ...tenth, usage: { record() {}, isByOthers: () => others }, identify });
    requestTime.begin(NETWORK, undefined).chargeBytes(ofBytes * 2);
    let answered = 0;
    const turn = () => (requestTime.begin(NETWORK, undefined).turn() ?? Promise.resolve()).then(() => (answered += 1));
    const all = Array.from({ length: 11 }, turn);
    await nextTurn();
    expect(answered).toBe(0);
    await expect(turn()).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: 1_000 });
    others = false;
    await Promise.all(all);
  });
});

describe('a client that uses more than its share of the time', () => {
  let node: RunningNode;
  let victim: Person;
  let neighbour: Person;
  let attacker: Person;
  let addresses = 0;
  const agent = new Agent({ keepAlive: true });
  const start = async (env: Record<string, string> = {}) =>
    (await makePlace('embedded')).start({
      RATE_LIMITS: 'on',
      TIME_PER_PERSON_PERCENT: '1',
      REQUESTS_WAITING_MAX: '100',
      SOCKETS_PER_ADDRESS_MAX: '1000000',
      TRUSTED_PROXIES: 'loopback',
      RATE_UNKNOWN_DOCUMENT_PER_ADDRESS: '1000000/1s',
      ...env,
    });
  beforeAll(async () => {
    node = await start();
    [victim, neighbour, attacker] = await registerAll(node.url, 'victim', 'neighbour', 'attacker');
  });

  interface Answered {
    status: number;
    retryAfter: string | undefined;
    body: Json;
  }
  interface Call {
    address: string;
    path?: string;
    token?: string;
    method?: string;
    type?: string;
    body?: string;
  }
  const call = (
    { address, path = '/graphql', token, method = 'POST', type = 'application/json', body = '' }: Call,
    signal?: AbortSignal,
  ) =>
    new Promise<Answered>((resolve, reject) => {
      const headers = {
        'content-type': type,
        'x-forwarded-for': address,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        // Sent in chunks, so that its size is not known in advance.
        'transfer-encoding': 'chunked',
      };
      const sent = httpRequest(new URL(path, node.url), { method, agent, headers, ...(signal && { signal }) });
      sent.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            retryAfter: response.headers['retry-after'],
            body: text === '' ? undefined : JSON.parse(text),
          }),
        );
      });
      sent.on('error', reject);
      sent.end(body);
    });
  const status = async (what: Call) => (await call(what)).status;
  const viewerQuery = JSON.stringify({ query: '{ viewer { id } }' });
  function stopAtEnd(): AbortSignal {
    const stopped = new AbortController();
    setMaxListeners(0, stopped.signal);
    onTestFinished(() => stopped.abort());
    return stopped.signal;
  }
  const newAddress = () => {
    addresses += 1;
    return `198.51.100.${addresses}`;
  };

  /**
   * Sends batches of calls, each followed by calls of others. Resolves when the others overtake most of a batch, which
   * never happens if nothing is charged.
   */
  async function untilDelayed(attack: () => Promise<unknown>, others: () => Promise<unknown>): Promise<void> {
    const size = 64;
    for (let batch = 0; batch < 40; batch += 1) {
      let pending = size;
      const all = Array.from({ length: size }, () =>
        attack()
          .catch(() => {})
          .finally(() => {
            pending -= 1;
          }),
      );
      for (let round = 0; round < 5 && pending > size / 2; round += 1) await others();
      if (pending > size / 2) return;
      await others();
      await Promise.all(all);
    }
    throw new Error('the calls are not delayed');
  }

  const invalidToken = () => `${attacker.token.slice(0, -10)}${String(Math.random()).padEnd(12, '0').slice(2, 12)}`;
  let documents = 0;
  const kinds: [what: string, call: () => Omit<Call, 'address'>][] = [
    [
      'invalid documents',
      () => {
        documents += 1;
        return { body: JSON.stringify({ query: `{ unknown${documents} ${'a { b } '.repeat(100)} }` }) };
      },
    ],
    ['documents that are not persisted', () => ({ body: JSON.stringify({ documentId: 'unknown' }) })],
    ['invalid JSON', () => ({ body: `{"query":"${'x'.repeat(100_000)}` })],
    ['bodies that are too large', () => ({ body: 'x'.repeat(1_000_000) })],
    ['invalid tokens', () => ({ token: invalidToken(), body: JSON.stringify({ query: '{ viewer { id } }' }) })],
    ['another method', () => ({ method: 'PUT' })],
    ['an unknown path', () => ({ path: '/unknown', body: 'x' })],
    ['another content type', () => ({ type: 'text/plain', body: 'x' })],
  ];
  it.each(kinds)('is delayed over HTTP while others get responses: %s', async (_what, kind) => {
    const address = newAddress();
    const stopped = stopAtEnd();
    await untilDelayed(
      () => call({ address, ...kind() }, stopped),
      async () => {
        // A user at another address, and another user at the same address.
        const ofVictim = { address: '203.0.113.1', token: victim.token, body: viewerQuery };
        expect(await status(ofVictim)).toBe(200);
        expect(await status({ ...ofVictim, address, token: neighbour.token })).toBe(200);
        // A preflight request has no token.
        expect(await status({ address, method: 'OPTIONS' })).toBe(204);
      },
    );
  });

  it('is delayed over HTTP with a valid token, but its address is not', async () => {
    const address = newAddress();
    const stopped = stopAtEnd();
    const body = `{"query":"${'x'.repeat(100_000)}`;
    await untilDelayed(
      () => call({ address, token: attacker.token, body }, stopped),
      async () => {
        expect(await status({ address: '203.0.113.1', token: victim.token, body: viewerQuery })).toBe(200);
      },
    );
    // The address has recovered since its last request without a known token.
    expect(await status({ address, body: JSON.stringify({ query: '{ __typename }' }) })).toBe(200);
  });

  it('gets 429 over HTTP if too many of its requests are waiting', async () => {
    const address = newAddress();
    const stopped = stopAtEnd();
    const refused: Answered[] = [];
    const attack = () =>
      call({ address, body: `{"query":"${'x'.repeat(100_000)}` }, stopped).then((answered) => {
        if (answered.status === 429) refused.push(answered);
      });
    for (let round = 0; round < 40 && refused.length === 0; round += 1) {
      expect(await status({ address: '203.0.113.1', token: victim.token, body: viewerQuery })).toBe(200);
      await Promise.all(Array.from({ length: 160 }, attack));
    }
    expect(refused[0]).toMatchObject({
      retryAfter: '1',
      body: { errors: [{ extensions: { code: 'RATE_LIMITED', retryAfterMs: 1_000 } }] },
    });
  });

  /** Requests a WebSocket, and closes it if it is opened. Resolves with the status of the response. */
  const upgrade = (url: URL, address: string, headers: Record<string, string>, signal: AbortSignal) =>
    new Promise<number>((resolve, reject) => {
      const sent = httpRequest(url, {
        signal,
        headers: {
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
          'sec-websocket-version': '13',
          'x-forwarded-for': address,
          ...headers,
        },
      });
      sent.on('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.on('upgrade', (response, socket) => {
        socket.destroy();
        resolve(response.statusCode ?? 0);
      });
      sent.on('error', reject);
      sent.end();
    });
  /** Sends rejected upgrades until others overtake them. Returns the statuses of the responses. */
  async function rejectedUntilDelayed(url: URL, headers: Record<string, string>, address: string, user: Person) {
    const stopped = stopAtEnd();
    const statuses = new Set<number>();
    let others = 0;
    statuses.add(await upgrade(url, address, headers, stopped));
    await untilDelayed(
      async () => statuses.add(await upgrade(url, address, headers, stopped)),
      async () => {
        others += 1;
        expect(await upgrade(new URL('/graphql', url), `2001:db8:0:${others}::1`, {}, stopped)).toBe(101);
        await user.ask('{ viewer { id } }');
      },
    );
    return [...statuses];
  }

  it.each<[what: string, status: number, path: string, headers: Record<string, string>]>([
    ['an unknown path', 404, '/unknown', {}],
    ['another origin', 403, '/graphql', { origin: 'https://elsewhere.example' }],
    ['another version of the protocol', 400, '/graphql', { 'sec-websocket-version': '1' }],
  ])('is delayed when its upgrades to a WebSocket are rejected: %s', async (_what, status, path, headers) => {
    const statuses = await rejectedUntilDelayed(new URL(path, node.url), headers, newAddress(), victim);
    expect(statuses).toEqual([status]);
  });

  it('is delayed when its upgrades to a WebSocket are rejected: too many sockets', async () => {
    const { url } = await start({ SOCKETS_PER_ADDRESS_MAX: '1' });
    const user = await register(url);
    const address = newAddress();
    const socket = new WebSocket(socketUrl(url), 'graphql-transport-ws', { headers: { 'x-forwarded-for': address } });
    onTestFinished(() => socket.terminate());
    await once(socket, 'open');
    expect(await rejectedUntilDelayed(new URL(url), {}, address, user)).toEqual([429]);
  });

  it('over WebSocket does not keep a user with a valid token from connecting from its address', async () => {
    const headers = { 'x-forwarded-for': newAddress() };
    const open = () => {
      const socket = new WebSocket(socketUrl(node.url), 'graphql-transport-ws', { headers });
      onTestFinished(() => socket.terminate());
      return socket;
    };
    // Each one is paid for by 35 ms, so that the last ones would wait for more than twenty seconds.
    for (let batch = 0; batch < 7; batch += 1) {
      await Promise.all(Array.from({ length: 100 }, () => once(open(), 'open')));
    }
    const connect = async (payload: Json) => {
      const socket = open();
      const state: { received: string[]; code: number | undefined } = { received: [], code: undefined };
      socket.on('message', (data) => state.received.push(JSON.parse(String(data)).type));
      socket.on('close', (code) => {
        state.code = code;
      });
      await once(socket, 'open');
      socket.send(JSON.stringify({ type: 'connection_init', payload }));
      const query = { id: '1', type: 'subscribe', payload: { query: '{ __typename }' } };
      await eventually('it is connected', () => state.received.length > 0 || state.code !== undefined);
      expect(state).toEqual({ received: ['connection_ack'], code: undefined });
      socket.send(JSON.stringify(query));
      return state;
    };
    const [anonymous, user] = await Promise.all([connect({}), connect({ authorization: neighbour.token })]);
    await eventually('the query of the user is answered', () => user.received.includes('next'));
    // Only the user is known to be somebody else than those who used the address before.
    expect(anonymous.received).toEqual(['connection_ack']);
  });

  it('is delayed over WebSocket, also on new connections: invalid tokens', async () => {
    const { verifyAccess } = node.deps.tokens;
    const onChecked = new Map<string, () => void>();
    const spy = vi.spyOn(node.deps.tokens, 'verifyAccess').mockImplementation((token) => {
      onChecked.get(token)?.();
      return verifyAccess(token);
    });
    onTestFinished(() => spy.mockRestore());
    /** Resolves when the token of a new connection has been checked. */
    const connect = (address: string, token: string) =>
      new Promise<void>((resolve) => {
        onChecked.set(token, resolve);
        const socket = new WebSocket(socketUrl(node.url), 'graphql-transport-ws', {
          headers: { 'x-forwarded-for': address },
        });
        onTestFinished(() => socket.terminate());
        socket.on('error', () => {});
        socket.on('open', () =>
          socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: token } })),
        );
      });
    const address = newAddress();
    await untilDelayed(
      () => connect(address, invalidToken()),
      () => connect('203.0.113.1', victim.token),
    );
  });
});
