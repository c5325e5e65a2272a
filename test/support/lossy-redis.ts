import { connect, createServer } from 'node:net';

/** A proxy in front of Redis that drops Pub/Sub messages to subscribers and forwards everything else. */
export interface LossyRedis {
  url: string;
  /** The numbers of forwarded and dropped messages. */
  readonly passed: number;
  readonly lost: number;
  close(): void;
}

/** `isLost` decides for every message on a channel whether it is dropped. */
export async function startLossyRedis(redisPort: number, isLost: (message: string) => boolean): Promise<LossyRedis> {
  const counts = { passed: 0, lost: 0 };
  const server = createServer((client) => {
    const redis = connect(redisPort, '127.0.0.1');
    let rest: Buffer = Buffer.alloc(0);
    redis.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (let end = endOf(rest, 0); end !== undefined; end = endOf(rest, 0)) {
        const reply = rest.subarray(0, end);
        rest = rest.subarray(end);
        const isMessage = reply.subarray(0, 20).toString().startsWith('*3\r\n$7\r\nmessage\r\n');
        if (isMessage && isLost(reply.toString())) counts.lost += 1;
        else {
          if (isMessage) counts.passed += 1;
          client.write(reply);
        }
      }
    });
    client.pipe(redis);
    for (const [socket, other] of [
      [client, redis],
      [redis, client],
    ] as const) {
      socket.on('error', () => other.destroy());
      socket.on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `redis://127.0.0.1:${address.port}`,
    get passed() {
      return counts.passed;
    },
    get lost() {
      return counts.lost;
    },
    close: () => void server.close(),
  };
}

/** The end of the reply (RESP2) that begins at `from`; undefined if it is incomplete. */
function endOf(bytes: Buffer, from: number): number | undefined {
  const line = bytes.indexOf('\r\n', from);
  if (line < 0) return undefined;
  const count = Number(bytes.toString('latin1', from + 1, line));
  const kind = bytes.toString('latin1', from, from + 1);
  if (kind === '$') {
    const end = count < 0 ? line + 2 : line + 2 + count + 2;
    return end <= bytes.length ? end : undefined;
  }
  let end: number | undefined = line + 2;
  for (let element = 0; kind === '*' && element < count && end !== undefined; element += 1) end = endOf(bytes, end);
  return end;
}
