import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, inject, it } from 'vitest';

const exec = promisify(execFile);

describe('npm run test:faults', () => {
  let folder: string;
  /** A folder in which nothing is left to install, generate or build, with a Vitest that prints its arguments. */
  beforeAll(async () => {
    folder = join(inject('scratch'), 'commands');
    for (const path of ['src/generated', 'dist', 'test/generated', 'node_modules/.bin']) {
      await mkdir(join(folder, path), { recursive: true });
    }
    await cp('deploy', join(folder, 'deploy'), { recursive: true });
    await cp('package.json', join(folder, 'package.json'));
    await cp('test/faults', join(folder, 'test/faults'), { recursive: true });
    // What it is made of has no files here.
    const digest = createHash('sha256').update(process.version).digest('hex');
    for (const path of ['src/generated', 'dist', 'test/generated'])
      await writeFile(join(folder, path, '.stamp'), digest);
    const vitest = '#!/usr/bin/env node\nconsole.log(process.env.FAULTS, ...process.argv.slice(2));\n';
    await writeFile(join(folder, 'node_modules/.bin/vitest'), vitest, { mode: 0o755 });
  });

  it.each([
    [[], ['test/faults']],
    [['test/faults/redis.test.ts'], ['test/faults/redis.test.ts']],
    [
      ['failover', 'pooler'],
      ['failover', 'pooler'],
    ],
    // A title is no file, whatever files are called.
    [
      ['-t', 'redis'],
      ['test/faults', '-t', 'redis'],
    ],
    [
      ['balancer', '-t', 'redis'],
      ['balancer', '-t', 'redis'],
    ],
    [
      ['--bail', 'test/faults/redis.test.ts'],
      ['--bail', 'test/faults/redis.test.ts'],
    ],
  ])('runs the folder unless files are named: %j', async (args, expected) => {
    const { stdout } = await exec(process.execPath, ['deploy/run.mjs', 'test:faults', ...args], { cwd: folder });
    expect(stdout.trim().split(' ')).toEqual(['long', 'run', '--maxWorkers=1', ...expected]);
  });
});
