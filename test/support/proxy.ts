import { connect, createServer, type Socket } from 'node:net';
import { atEnd } from './ending.js';

/** Something between two ends of a TCP connection, that fails as networks do. */
export interface TcpProxy {
  readonly port: number;
  /** Connections that are open. */
  readonly connections: number;
  /** From now on new connections go to this port of 127.0.0.1. */
  pointTo(port: number): void;
  /** Connections that are open now swallow what is sent over them: no byte arrives, and nobody is told. New ones work. */
  swallow(): void;
  /** Breaks off all connections. */
  cut(): void;
}

/** Starts one in front of a port; it ends with the test or the file that makes it. */
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
