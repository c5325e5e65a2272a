import { randomBytes } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest';
import { createAvailability } from '../../../src/infra/media/availability.js';
import {
  createClamd,
  readClamdAddress,
  ScannerUnavailable,
  type VirusScanner,
} from '../../../src/infra/media/clamd.js';
import { type FakeClamd, startClamd, VIRUS } from '../../support/clamd.js';

describe('clamd', () => {
  let clamd: FakeClamd;
  let scanner: VirusScanner;
  let log: string[];
  let path: string;
  beforeEach(async () => {
    clamd = await startClamd();
    path = join(await mkdtemp(join(inject('scratch'), 'clamd-')), 'file');
    ({ scanner, log } = open(clamd.url));
  });

  function open(url: string) {
    const log: string[] = [];
    const availability = createAvailability({
      onLost: () => void log.push('lost'),
      onRegained: () => void log.push('regained'),
    });
    const address = readClamdAddress(url);
    if (!address) throw new Error(`not an address: ${url}`);
    const scanner = createClamd(address, { timeoutMs: 200, availability });
    onTestFinished(() => scanner.close());
    return { scanner, log };
  }

  const scan = async (content: Buffer | string) => {
    await writeFile(path, content);
    return scanner.scan(path);
  };

  it('receives the whole file, and returns what it has found', async () => {
    const bytes = randomBytes(400_000);
    expect(await scan(bytes)).toEqual({ outcome: 'CLEAN' });
    expect(Buffer.compare(clamd.files[0] ?? Buffer.alloc(0), bytes)).toBe(0);
    expect(await scan(`before ${VIRUS} after`)).toEqual({ outcome: 'INFECTED', virus: 'Parley.Test-1' });
    clamd.sizeMax = 100_000;
    expect(await scan(bytes)).toEqual({ outcome: 'TOO_LARGE' });
    expect(log).toEqual([]);
  });

  it('is unavailable while it cannot be reached or responds with an error, and is checked again', async () => {
    clamd.response = 'stream: some problem ERROR';
    await expect(scan('x')).rejects.toThrow(ScannerUnavailable);
    expect(await scanner.isAvailable()).toBe(true);
    await clamd.stop();
    await expect(scan('x')).rejects.toThrow(ScannerUnavailable);
    expect(await scanner.isAvailable()).toBe(false);
    await clamd.start();
    expect(await scanner.isAvailable()).toBe(true);
    clamd.response = undefined;
    expect(await scan('x')).toEqual({ outcome: 'CLEAN' });
    expect(log).toEqual(['lost', 'regained', 'lost', 'regained']);
  });

  it('is unavailable if it does not respond in time', async () => {
    const silent = createServer((socket) => socket.resume());
    const socketPath = join(inject('scratch'), `clamd-${randomBytes(4).toString('hex')}.sock`);
    await new Promise<void>((resolve) => silent.listen(socketPath, resolve));
    onTestFinished(() => void silent.close());
    ({ scanner, log } = open(`unix://${socketPath}`));
    await expect(scan('x')).rejects.toThrow(ScannerUnavailable);
    expect(log).toEqual(['lost']);
  });

  it('is not blamed for a file that cannot be read', async () => {
    await expect(scanner.scan(`${path}-absent`)).rejects.toThrow('ENOENT');
    expect(log).toEqual([]);
  });

  it.each([
    ['clamd://clamav:3310', { host: 'clamav', port: 3310 }],
    ['clamd://[::1]:3310', { host: '::1', port: 3310 }],
    ['unix:///run/clamav/clamd.ctl', { path: '/run/clamav/clamd.ctl' }],
    ['clamd://clamav', undefined],
    ['clamd://clamav:0', undefined],
    ['clamd://clamav:70000', undefined],
    ['tcp://clamav:3310', undefined],
    ['unix://relative', undefined],
  ])('has the address %s', (text, expected) => {
    expect(readClamdAddress(text)).toEqual(expected);
  });
});
