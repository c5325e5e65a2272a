import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keptJwtSecret, lockDataDir } from '../../src/infra/data-dir.js';

describe('DATA_DIR', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parley-data-dir-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('is for one at a time, and free again after', async () => {
    const unlock = await lockDataDir(folder);
    await expect(lockDataDir(folder)).rejects.toThrow(new RegExp(`^DATA_DIR: .* process ${process.pid}`));
    await unlock();
    await (await lockDataDir(folder))();
  });

  it('is taken over from a process that is gone, also when numbers come again', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await new Promise((resolve) => child.once('exit', resolve));
    for (const holder of [child.pid, process.pid]) {
      await writeFile(join(folder, 'lock'), `${holder}\n`);
      await (await lockDataDir(folder))();
    }
  });

  it('goes to one of several that find a stale lock at once', async () => {
    const module = JSON.stringify(resolve('dist/infra/data-dir.js'));
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

  it('of another host is taken over once that has been silent', async () => {
    await writeFile(join(folder, 'lock'), '1 another-host abc\n');
    const past = new Date(Date.now() - 20_000);
    await utimes(join(folder, 'lock'), past, past);
    await (await lockDataDir(folder))();
  });

  it('is refused while another process lives', async () => {
    await writeFile(join(folder, 'lock'), `${process.ppid}\n`);
    await expect(lockDataDir(folder)).rejects.toThrow(`process ${process.ppid}`);
  });

  it('keeps one secret, made by whoever comes first, for the owner only', async () => {
    const secrets = await Promise.all(Array.from({ length: 5 }, () => keptJwtSecret(folder)));
    expect(new Set(secrets).size).toBe(1);
    expect(secrets[0]?.length).toBeGreaterThanOrEqual(32);
    expect(await readFile(join(folder, 'jwt-secret'), 'utf8')).toBe(secrets[0]);
    expect((await stat(join(folder, 'jwt-secret'))).mode & 0o777).toBe(0o600);
  });
});
