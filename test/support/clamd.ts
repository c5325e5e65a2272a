import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { atEnd } from './ending.js';

/** A file that contains this text has a virus for the clamd of the tests. */
export const VIRUS = 'the virus of the tests';
const VIRUS_NAME = 'Parley.Test-1';

/** A server that implements the part of the protocol of clamd that Parley uses. */
export interface FakeClamd {
  url: string;
  /** The files that it has received completely. */
  files: Buffer[];
  /** The maximum size of a file in bytes (`StreamMaxLength`). */
  sizeMax: number;
  /** Its response to files, in place of the correct one. */
  response: string | undefined;
  /** Ends it; connections are refused afterwards. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startClamd(end: typeof atEnd = atEnd): Promise<FakeClamd> {
  let server: Server | undefined;
  let port = 0;
  const sockets = new Set<Socket>();
  const fake: FakeClamd = {
    url: '',
    files: [],
    sizeMax: 1_000_000,
    response: undefined,
    async stop() {
      const stopping = server;
      server = undefined;
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => (stopping ? stopping.close(() => resolve()) : resolve()));
    },
    async start() {
      const starting = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => sockets.delete(socket));
        serve(fake, socket);
      });
      await new Promise<void>((resolve) => starting.listen(port, '127.0.0.1', resolve));
      server = starting;
      ({ port } = starting.address() as AddressInfo);
      fake.url = `clamd://127.0.0.1:${port}`;
    },
  };
  await fake.start();
  end(() => fake.stop());
  return fake;
}

function serve(fake: FakeClamd, socket: Socket): void {
  let received = Buffer.alloc(0);
  let command: string | undefined;
  const chunks: Buffer[] = [];
  const reply = (text: string) => socket.end(`${text}\0`);
  socket.on('data', (data: Buffer) => {
    received = Buffer.concat([received, data]);
    if (command === undefined) {
      const at = received.indexOf(0);
      if (at < 0) return;
      command = received.subarray(0, at).toString();
      received = received.subarray(at + 1);
      if (command === 'zPING') return void reply('PONG');
      if (command !== 'zINSTREAM') return void reply('UNKNOWN COMMAND');
    }
    while (received.length >= 4) {
      const length = received.readUInt32BE(0);
      if (length === 0) {
        const file = Buffer.concat(chunks);
        fake.files.push(file);
        return void reply(fake.response ?? (file.includes(VIRUS) ? `stream: ${VIRUS_NAME} FOUND` : 'stream: OK'));
      }
      if (received.length < 4 + length) return;
      chunks.push(received.subarray(4, 4 + length));
      received = received.subarray(4 + length);
      const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      if (size > fake.sizeMax) return void reply('INSTREAM size limit exceeded. ERROR');
    }
  });
}
