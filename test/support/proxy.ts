import { connect, createServer, type Socket } from 'node:net';
import { atEnd } from './ending.js';

/** A TCP proxy that simulates failures of a network. */
export interface TcpProxy {
  readonly port: number;
  /** The number of open connections. */
  readonly connections: number;
  /** From now on, new connections are forwarded to this port of 127.0.0.1. */
  pointTo(port: number): void;
  /** Discards everything that is sent over the open connections, without closing them. New connections work. */
  swallow(): void;
  /** Closes all connections. */
  cut(): void;
}

/** Starts a proxy in front of a port. It is closed at the end of the current test or file. */
export async function startProxy(target: number): Promise<TcpProxy> {
  let port = target;
  const pairs = new Set<[Socket, Socket]>();
  const swallowed = new Set<[Socket, Socket]>();
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    const pair: [Socket, Socket] = [near, far];
    pairs.add(pair);
    const pass = (from: Socket, to: Socket) => {
      from.on('data', (data) => {
        if (!swallowed.has(pair)) to.write(data);
      });
      from.on('error', () => {});
      from.on('close', () => {
        if (swallowed.has(pair)) return;
        pairs.delete(pair);
        to.destroy();
      });
    };
    pass(near, far);
    pass(far, near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const sockets of [...pairs]) for (const socket of sockets) socket.destroy();
    pairs.clear();
    swallowed.clear();
  };
  atEnd(async () => {
    cut();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    port: (server.address() as { port: number }).port,
    get connections() {
      return pairs.size;
    },
    pointTo(other) {
      port = other;
    },
    swallow() {
      for (const pair of pairs) swallowed.add(pair);
    },
    cut,
  };
}
