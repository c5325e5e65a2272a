import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadJwtSecret, lockDataDir, openDataDir, writeFileAtomically } from '../../src/infra/database/data-dir.js';
import { createLog } from '../../src/infra/telemetry/log.js';

describe('DATA_DIR', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parley-data-dir-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('is locked by one process at a time, and can be locked again after its release', async () => {
    const unlock = await lockDataDir(folder);
    await expect(lockDataDir(folder)).rejects.toThrow(new RegExp(`^DATA_DIR: .* process ${process.pid}`));
    await unlock();
    await (await lockDataDir(folder))();
  });

  it('is taken over from a process that no longer runs, even if its id was reused', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await new Promise((resolve) => child.once('exit', resolve));
    for (const holder of [child.pid, process.pid]) {
      await writeFile(join(folder, 'lock'), `${holder}\n`);
      await (await lockDataDir(folder))();
    }
  });

  it('is locked by only one of several processes that find a stale lock', async () => {
    const module = JSON.stringify(resolve('dist/infra/database/data-dir.js'));
    const script = `import(${module}).then(async ({ lockDataDir }) => {
      await lockDataDir(${JSON.stringify(folder)}).then(() => console.log('held'), () => console.log('refused'));
      process.stdin.resume().on('end', () => process.exit());
    })`;
    for (let round = 0; round < 4; round += 1) {
      await writeFile(join(folder, 'lock'), '999999999\n');
      const children = Array.from({ length: 4 }, () => spawn(process.execPath, ['-e', script]));
      const words = await Promise.all(
        children.map(async (child) => String((await once(child.stdout, 'data'))[0]).trim()),
      );
      for (const child of children) child.stdin.end();
      await Promise.all(children.map((child) => once(child, 'exit')));
      expect(words.sort()).toEqual(['held', 'refused', 'refused', 'refused']);
    }
  });

  it('is taken over from another host after its lock is no longer updated', async () => {
    await writeFile(join(folder, 'lock'), '1 another-host abc\n');
    const past = new Date(Date.now() - 20_000);
    await utimes(join(folder, 'lock'), past, past);
    await (await lockDataDir(folder))();
  });

  it('cannot be locked while another process holds the lock', async () => {
    await writeFile(join(folder, 'lock'), `${process.ppid}\n`);
    await expect(lockDataDir(folder)).rejects.toThrow(`process ${process.ppid}`);
  });

  it('keeps one secret, created once, readable by the owner only', async () => {
    const secrets = await Promise.all(Array.from({ length: 5 }, () => loadJwtSecret(folder)));
    expect(new Set(secrets).size).toBe(1);
    expect(secrets[0]?.length).toBeGreaterThanOrEqual(32);
    expect(await readFile(join(folder, 'jwt-secret'), 'utf8')).toBe(secrets[0]);
    expect((await stat(join(folder, 'jwt-secret'))).mode & 0o777).toBe(0o600);
  });

  it('is made inaccessible to other users with all its files, but without following links', async () => {
    const outside = join(folder, 'outside');
    const dataDir = join(folder, 'data');
    await mkdir(join(dataDir, 'pg', 'base'), { recursive: true });
    await writeFile(outside, '');
    await writeFile(join(dataDir, 'pg', 'base', '1'), '');
    await symlink(outside, join(dataDir, 'link'));
    for (const path of [outside, dataDir, join(dataDir, 'pg'), join(dataDir, 'pg', 'base')]) await chmod(path, 0o777);
    await chmod(join(dataDir, 'pg', 'base', '1'), 0o666);
    await openDataDir(dataDir, createLog('silent'));
    const modes = await Promise.all(
      ['', 'pg', 'pg/base', 'pg/base/1', '../outside'].map(
        async (path) => (await stat(join(dataDir, path))).mode & 0o777,
      ),
    );
    expect(modes).toEqual([0o700, 0o700, 0o700, 0o600, 0o777]);
    await openDataDir(join(folder, 'new'), createLog('silent'));
    expect((await stat(join(folder, 'new'))).mode & 0o777).toBe(0o700);
  });

  it('causes an error with its name if it cannot be created', async () => {
    await writeFile(join(folder, 'file'), '');
    for (const [path, reason] of [
      ['file', 'it is a file'],
      ['file/data', 'a part of its path is a file'],
    ] as const) {
      for (const use of [lockDataDir, loadJwtSecret, (each: string) => openDataDir(each, createLog('silent'))]) {
        await expect(use(join(folder, path))).rejects.toThrow(
          `DATA_DIR: ${join(folder, path)} cannot be used: ${reason}`,
        );
      }
    }
  });

  it.each([
    ['empty', ''],
    ['cut off', 'c2hvcnQ='],
    ['without what was written', '\0'.repeat(64)],
  ])('refuses a secret that is %s, as a crash may leave it, with the name of the file', async (_what, content) => {
    await writeFile(join(folder, 'jwt-secret'), content);
    await expect(loadJwtSecret(folder)).rejects.toThrow(`DATA_DIR: ${join(folder, 'jwt-secret')} is damaged`);
    await rm(join(folder, 'jwt-secret'));
    expect((await loadJwtSecret(folder)).length).toBe(64);
  });

  it('contains atomically written files and no temporary files', async () => {
    await writeFileAtomically(join(folder, 'mail'), 'first');
    await writeFileAtomically(join(folder, 'mail'), 'second');
    expect(await readFile(join(folder, 'mail'), 'utf8')).toBe('second');
    await loadJwtSecret(folder);
    expect((await readdir(folder)).sort()).toEqual(['jwt-secret', 'mail']);
  });

  it.each(['', 'nonsense\n', '\0\0\0\0'])('is taken over if the lock has invalid content: %j', async (content) => {
    await writeFile(join(folder, 'lock'), content);
    await (await lockDataDir(folder))();
  });

  it('is taken over if the process id now belongs to another program', async () => {
    const unlock = await lockDataDir(folder);
    const [, host, random, start] = (await readFile(join(folder, 'lock'), 'utf8')).trim().split(' ');
    await unlock();
    expect(start).toBeTruthy();
    // The parent process is running, and was started at another time than this process.
    await writeFile(join(folder, 'lock'), `${process.ppid} ${host} ${random} ${start}\n`);
    await (await lockDataDir(folder))();
  });
});
