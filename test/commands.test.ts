import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, inject, it } from 'vitest';

const exec = promisify(execFile);

describe('the commands that run tests', () => {
  let folder: string;
  /** A folder in which nothing is left to install, generate or build, with a Vitest that prints its arguments. */
  beforeAll(async () => {
    folder = join(inject('scratch'), 'commands');
    const built = ['src/generated', 'src/generated/e2ee', 'dist', 'dist/web', 'test/generated'];
    for (const path of [...built, 'node_modules/.bin']) {
      await mkdir(join(folder, path), { recursive: true });
    }
    await cp('deploy', join(folder, 'deploy'), { recursive: true });
    await cp('package.json', join(folder, 'package.json'));
    for (const path of ['test/faults', 'test/web']) await cp(path, join(folder, path), { recursive: true });
    // A stamp is a digest of the input files. Without this one, none of them exist in the folder.
    await rm(join(folder, 'deploy/web.mjs'));
    const digest = createHash('sha256').update(process.version).digest('hex');
    for (const path of built) await writeFile(join(folder, path, '.stamp'), digest);
    const vitest = '#!/usr/bin/env node\nconsole.log(process.env.FAULTS ?? "short", ...process.argv.slice(2));\n';
    await writeFile(join(folder, 'node_modules/.bin/vitest'), vitest, { mode: 0o755 });
  });

  it.each([
    [[], ['test/faults', 'test/web/faults']],
    [['test/faults/redis.test.ts'], ['test/faults/redis.test.ts']],
    [
      ['failover', 'pooler'],
      ['failover', 'pooler'],
    ],
    // A title is no file, whatever files are called.
    [
      ['-t', 'redis'],
      ['test/faults', 'test/web/faults', '-t', 'redis'],
    ],
    [
      ['balancer', '-t', 'redis'],
      ['balancer', '-t', 'redis'],
    ],
    [
      ['--bail', 'test/faults/redis.test.ts'],
      ['--bail', 'test/faults/redis.test.ts'],
    ],
  ])('test:faults runs the folder unless files are named: %j', async (args, expected) => {
    const { stdout } = await exec(process.execPath, ['deploy/run.mjs', 'test:faults', ...args], { cwd: folder });
    expect(stdout.trim().split(' ')).toEqual(['long', 'run', '--maxWorkers=1', ...expected]);
  });

  it('test omits what test:short and test:web run, unless files are named', async () => {
    const run = async (...args: string[]) => {
      const { stdout } = await exec(process.execPath, ['deploy/run.mjs', ...args], { cwd: folder });
      return stdout.trim().split(' ');
    };
    const [, , ...short] = await run('test:short');
    expect(short).toContain('test/faults/');
    const [, , web] = await run('test:web');
    expect(web).toBe('test/web');
    const [, , ...args] = await run('test', '--bail=1');
    const omitted = args.filter((_, index) => args[index - 1] === '--exclude');
    expect(args).toEqual([...omitted.flatMap((path) => ['--exclude', path]), '--bail=1']);
    for (const path of omitted) expect([...short, `${web}/`].some((part) => path.startsWith(part))).toBe(true);
    // It runs one of the files of the web app, and nothing else that test:short runs.
    const all = (await readdir('test/web')).map((name) => `test/web/${name}${name.endsWith('.ts') ? '' : '/**'}`);
    expect(all.filter((path) => !omitted.includes(path))).toHaveLength(1);
    const globOf = (path: string) => path.replace(/(?<=^test\/web\/\w+\/)[\w.]+$|(?<=\/)$/, '**');
    for (const path of short) expect(omitted).toContain(globOf(path));
    for (const path of short) expect(existsSync(path)).toBe(true);
    expect(await run('test', 'test/faults/redis.test.ts')).toEqual(['short', 'run', 'test/faults/redis.test.ts']);
  });
});
