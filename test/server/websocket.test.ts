import { EventEmitter, once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { RunningNode } from '../../src/server/start.js';
import { connect, eventually, listen, type Person, register, socketUrl } from '../support/client.js';
import { anyMode, makePlace } from '../support/place.js';
import { createGroup, MESSAGES, SEND } from '../support/talk.js';

describe('WebSocket', () => {
  let node: RunningNode;
  let url: string;
  let person: Person;
  beforeAll(async () => {
    node = await (await makePlace(anyMode)).start({
      FRAME_MAX_BYTES: '4096',
      ALLOWED_ORIGINS: 'https://chat.example.com',
    });
    ({ url } = node);
    person = await register(url);
  });

  const open = (headers: Record<string, string> = {}, path = url) =>
    new WebSocket(socketUrl(path), 'graphql-transport-ws', { headers });

  it('accepts only allowed origins, and only its path', async () => {
    const outcome = async (socket: WebSocket) => {
      const result = await Promise.race([
        once(socket, 'open').then(() => 'open'),
        once(socket, 'unexpected-response').then(([, response]) => String(response.statusCode)),
      ]);
      socket.on('error', () => {});
      socket.terminate();
      return result;
    };
    expect(await outcome(open())).toBe('open');
    expect(await outcome(open({ origin: 'https://chat.example.com' }))).toBe('open');
    expect(await outcome(open({ origin: 'http://localhost:5173' }))).toBe('open');
    expect(await outcome(open({ origin: new URL(url).origin }))).toBe('open');
    expect(await outcome(open({ origin: 'https://evil.example.com' }))).toBe('403');
    expect(await outcome(open({}, url.replace('/graphql', '/other')))).toBe('404');
    expect(await outcome(open({}, url.replace('/graphql', '//')))).toBe('404');
  });

  it('accepts a token with and without Bearer, and closes with 4403 for an invalid one', async () => {
    for (const token of [person.token, `Bearer ${person.token}`]) {
      const client = connect(url, token);
      const stream = listen(client, MESSAGES);
      await stream.until(({ type }) => type === 'CAUGHT_UP');
      await client.dispose();
    }
    for (const authorization of ['nonsense', `Bearer ${person.token}x`, 7]) {
      const socket = open();
      await once(socket, 'open');
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization } }));
      const [code] = await once(socket, 'close');
      expect(code).toBe(4403);
    }
  });

  it('executes queries and mutations', async () => {
    const client = connect(url, person.token);
    const group = await createGroup(person, []);
    const result = await new Promise((resolve, reject) => {
      client.subscribe(
        { query: SEND, variables: { input: { conversationId: group, text: 'over the socket' } } },
        { next: ({ data }) => resolve(data), error: reject, complete: () => {} },
      );
    });
    expect(result).toMatchObject({ sendMessage: { message: { seq: 1, text: 'over the socket' } } });
    await client.dispose();
  });

  it('rejects an invalid operation without closing the socket', async () => {
    const client = connect(url, person.token, { lazy: false });
    const stream = listen(client, MESSAGES);
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    for (const query of [
      'subscription { messages ',
      'subscription { nothing }',
      'subscription ($x: Int!) { messages { type } }',
    ]) {
      const errors = (await listen(client, query).ended) as { extensions: { code: string } }[];
      expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
    }
    const group = await createGroup(person, []);
    await person.ask(SEND, { input: { conversationId: group, text: 'still here' } });
    await stream.until(({ message }) => message?.text === 'still here');
    await client.dispose();
  });

  it('accepts a frame up to the limit, and closes for one byte more', async () => {
    const socket = open();
    await once(socket, 'open');
    const ofSize = (bytes: number) => '{"type":"ping"}'.padEnd(bytes);
    socket.send(ofSize(4_096));
    expect(String((await once(socket, 'message'))[0])).toContain('pong');
    socket.send(ofSize(4_097));
    expect((await once(socket, 'close'))[0]).toBe(1009);
    await eventually('no socket is open', () => node.openSockets() === 0);
  });

  it('does not prevent a node from stopping', async () => {
    const other = await (await makePlace(anyMode)).start({ SHUTDOWN_TIMEOUT: '500ms' });
    const { hostname, port } = new URL(other.url);
    // A half-open connection: its upgrade is rejected, and the client never ends its side.
    const half = connectTcp({ host: hostname, port: Number(port), allowHalfOpen: true });
    half.on('error', () => {});
    await once(half, 'connect');
    half.write(`GET /other HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
    await once(half, 'data');
    const started = performance.now();
    await other.stop();
    expect(performance.now() - started).toBeLessThan(5_000);
    half.destroy();
  });

  it('processes one frame in each turn of the event loop', async () => {
    const socket = open();
    await once(socket, 'open');
    let turn = 0;
    let isOver = false;
    const count = () => {
      turn += 1;
      if (!isOver) setImmediate(count);
    };
    count();
    onTestFinished(() => {
      isOver = true;
    });
    const turns: number[] = [];
    const emit = vi.spyOn(WebSocket.prototype, 'emit').mockImplementation(function (this: WebSocket, ...event) {
      if (event[0] === 'ping') turns.push(turn);
      return EventEmitter.prototype.emit.apply(this, event as never);
    });
    onTestFinished(() => emit.mockRestore());
    // A masked ping without a payload.
    const pings = Buffer.concat(Array.from({ length: 20 }, () => Buffer.from([0x89, 0x80, 0, 0, 0, 0])));
    (socket as unknown as { _socket: NodeJS.WritableStream })._socket.write(pings);
    await eventually('all are processed', () => turns.length === 20);
    expect(new Set(turns).size).toBe(20);
    socket.terminate();
  });

  it('closes with 1001 when the node stops, so that clients reconnect', async () => {
    const other = await (await makePlace(anyMode)).start();
    const somebody = await register(other.url);
    const closed = new Promise<number>((resolve) => {
      const client = connect(other.url, somebody.token, {
        on: { closed: (event) => resolve((event as { code: number }).code) },
      });
      void listen(client, MESSAGES)
        .until(({ type }) => type === 'CAUGHT_UP')
        .then(() => other.stop());
    });
    expect(await closed).toBe(1001);
  });
});
