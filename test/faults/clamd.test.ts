import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { createAvailability } from '../../src/infra/media/availability.js';
import { createClamd, type VirusScanner } from '../../src/infra/media/clamd.js';
import { atEnd } from '../support/ending.js';
import { within } from '../support/fleet.js';
import { freePort } from '../support/servers.js';

const CLAMD = '/usr/sbin/clamd';
if (!existsSync(CLAMD)) console.log('The tests with ClamAV are skipped: clamd not found (install clamav-daemon).');

/** The test file of EICAR. It is in two parts, so that scanners do not take this file for it. */
const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('');
const SIZE_MAX = 1024 * 1024;

describe.skipIf(!existsSync(CLAMD))('clamd of Debian', () => {
  let folder: string;
  let scanner: VirusScanner;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parley_clamd_'));
    atEnd(() => rm(folder, { recursive: true, force: true }));
    const database = join(folder, 'database');
    await mkdir(database);
    // One signature: the name, any type of file, at any offset, the bytes.
    await writeFile(join(database, 'test.ndb'), `Eicar-Test-Signature:0:*:${Buffer.from(EICAR).toString('hex')}\n`);
    const port = await freePort();
    const config = [
      'Foreground yes',
      `TCPSocket ${port}`,
      'TCPAddr 127.0.0.1',
      `DatabaseDirectory ${database}`,
      `TemporaryDirectory ${folder}`,
      `StreamMaxLength ${SIZE_MAX}`,
      'MaxThreads 2',
    ];
    await writeFile(join(folder, 'clamd.conf'), `${config.join('\n')}\n`);
    const child = spawn(CLAMD, ['--config-file', join(folder, 'clamd.conf')], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    const exited = new Promise((resolve) => child.once('exit', resolve));
    atEnd(async () => {
      child.kill('SIGKILL');
      await exited;
    });
    const availability = createAvailability({ onLost() {}, onRegained() {} });
    scanner = createClamd({ host: '127.0.0.1', port }, { timeoutMs: 10_000, availability });
    atEnd(() => scanner.close());
    availability.failed(new Error('it is starting'));
    await within(
      30_000,
      () => `clamd is ready: ${output}`,
      () => scanner.isAvailable(),
    );
  });

  const scan = async (content: Buffer | string) => {
    const path = join(folder, 'file');
    await writeFile(path, content);
    return scanner.scan(path);
  };

  it('finds a virus in a file, and in an archive', async () => {
    const infected = { outcome: 'INFECTED', virus: expect.stringMatching(/^Eicar-Test-Signature/) };
    expect(await scan(EICAR)).toEqual(infected);
    expect(await scan(gzipSync(EICAR))).toEqual(infected);
    expect(await scan(randomBytes(SIZE_MAX / 2))).toEqual({ outcome: 'CLEAN' });
    expect(await scan('')).toEqual({ outcome: 'CLEAN' });
  });

  it('refuses a file that is too large', async () => {
    for (const size of [SIZE_MAX + 1, 2 * SIZE_MAX, 20 * SIZE_MAX]) {
      const bytes = randomBytes(size);
      for (let times = 0; times < 10; times += 1) {
        expect(await scan(bytes), `${size} bytes`).toEqual({ outcome: 'TOO_LARGE' });
      }
    }
  });
});
