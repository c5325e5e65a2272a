import { createReadStream } from 'node:fs';
import { createConnection, type NetConnectOpts, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Availability } from './availability.js';

/** The address of clamd. */
export type ClamdAddress = { host: string; port: number } | { path: string };

/** The result of a scan. `TOO_LARGE`: clamd accepts no file of this size. */
type Scan = { outcome: 'CLEAN' } | { outcome: 'INFECTED'; virus: string } | { outcome: 'TOO_LARGE' };

/** Scans files with clamd, the daemon of ClamAV. */
export interface VirusScanner {
  /** @throws {ScannerUnavailable} */
  scan(path: string): Promise<Scan>;
  /** Whether clamd can be used, according to the last request. If that failed, this sends another one. */
  isAvailable(): Promise<boolean>;
  /** Ends scans in progress, which fail. */
  close(): void;
}

/** The file could not be scanned. */
export class ScannerUnavailable extends Error {
  override name = 'ScannerUnavailable';
}

const CHUNK_BYTES = 64 * 1024;
/** The number of times that a file is sent if clamd ends the connection without a response. */
const TRIES_MAX = 3;
/** The pause before each chunk of a further attempt, in milliseconds. */
const PAUSE_MS = 5;
/** The maximum length of a response in characters. */
const RESPONSE_MAX = 4_096;

/** Reads `clamd://host:3310` or `unix:///path`; undefined if the text is neither. */
export function readClamdAddress(text: string): ClamdAddress | undefined {
  const path = /^unix:\/\/(\/[^?#]+)$/.exec(text)?.[1];
  if (path !== undefined) return { path };
  const [, name, address, port] = /^clamd:\/\/(?:([\w.-]+)|\[([\da-f:.]+)\]):(\d{1,5})\/?$/i.exec(text) ?? [];
  const host = name ?? address;
  return host === undefined || !isPort(Number(port)) ? undefined : { host, port: Number(port) };
}

const isPort = (port: number) => port >= 1 && port <= 65_535;

/** A file in the encoding of INSTREAM. */
async function* chunksOf(path: string, pauseMs: number): AsyncIterable<Buffer> {
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(chunk.length);
    if (pauseMs > 0) await delay(pauseMs);
    yield Buffer.concat([length, chunk]);
  }
  // An empty chunk ends the file.
  yield Buffer.alloc(4);
}

/** Whether the local file cannot be read. */
const isOfFile = (error: unknown): boolean => typeof (error as NodeJS.ErrnoException).path === 'string';

/** @param timeoutMs how long clamd may send nothing while a file is sent or a response is expected. */
export function createClamd(
  address: ClamdAddress,
  { timeoutMs, availability }: { timeoutMs: number; availability: Availability },
): VirusScanner {
  const open = new Set<Socket>();
  let closed = false;

  /** Sends a command with what follows it. Returns the response. */
  async function ask(command: string, body?: () => AsyncIterable<Buffer>): Promise<string> {
    const socket = createConnection(address as NetConnectOpts);
    open.add(socket);
    const answered = new Promise<string>((resolve, reject) => {
      let response = '';
      socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`clamd has sent nothing for ${timeoutMs} ms`)));
      socket.on('data', (chunk: Buffer) => {
        response += chunk.toString('utf8');
        const end = response.indexOf('\0');
        if (end >= 0) resolve(response.slice(0, end));
        else if (response.length > RESPONSE_MAX) reject(new Error('The response of clamd is too long.'));
      });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('clamd has closed the connection without a response')));
    });
    const sent = pipeline(
      async function* () {
        yield Buffer.from(`z${command}\0`);
        if (body) yield* body();
      },
      socket,
      { end: false },
    );
    sent.catch((error: Error) => {
      // Other errors are those of the connection: clamd can respond before it has received everything, and then closes it.
      if (isOfFile(error)) socket.destroy(error);
    });
    try {
      return await answered;
    } finally {
      open.delete(socket);
      socket.destroy();
    }
  }

  /** Sends a file. Returns the response. */
  async function send(path: string): Promise<string> {
    for (let tries = 1; ; tries += 1) {
      try {
        // If clamd ends the connection because the file is too large, its response is lost if data is written before it
        // is read: during the pauses, it is read.
        return await ask('INSTREAM', () => chunksOf(path, tries === 1 ? 0 : PAUSE_MS));
      } catch (error) {
        const { code = '' } = error as NodeJS.ErrnoException;
        if (tries === TRIES_MAX || !['EPIPE', 'ECONNRESET'].includes(code)) throw error;
      }
    }
  }

  async function scan(path: string): Promise<Scan> {
    const response = await send(path);
    if (response === 'stream: OK') return { outcome: 'CLEAN' };
    const virus = /^stream: (.+) FOUND$/.exec(response)?.[1];
    if (virus !== undefined) return { outcome: 'INFECTED', virus };
    if (/size limit exceeded/i.test(response)) return { outcome: 'TOO_LARGE' };
    throw new Error(`clamd responded: ${response}`);
  }

  /** Reports whether a request has succeeded. */
  async function reported<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      const result = await work();
      availability.succeeded();
      return result;
    } catch (error) {
      if (isOfFile(error)) throw error;
      if (!closed) availability.failed(error);
      throw new ScannerUnavailable('clamd is not available', { cause: error });
    }
  }

  return {
    scan: (path) => reported(() => scan(path)),
    async isAvailable() {
      if (availability.isAvailable) return true;
      await reported(async () => {
        const response = await ask('PING');
        if (response !== 'PONG') throw new Error(`clamd responded: ${response}`);
      }).catch(() => {});
      return availability.isAvailable;
    },
    close() {
      closed = true;
      for (const socket of open) socket.destroy();
    },
  };
}
