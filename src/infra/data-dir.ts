import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ConfigError } from './config.js';

/** Locks of this very process: in a container every process is number 1, and a lock of number 1 that is not here is stale. */
const held = new Set<string>();

/**
 * Takes the folder for this process, so that no second one opens the embedded database in it (PGlite would let it,
 * and break the database). The lock of a process that is gone is taken over.
 * @returns what gives it back.
 * @throws {ConfigError} naming the process that holds it.
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  await mkdir(dataDir, { recursive: true });
  const path = resolve(dataDir, 'lock');
  for (let attempt = 0; attempt < 20; attempt += 1) {
    try {
      const file = await open(path, 'wx');
      await file.writeFile(`${process.pid}\n`);
      await file.close();
      held.add(path);
      return async () => {
        held.delete(path);
        await rm(path, { force: true });
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = Number.parseInt(await readFile(path, 'utf8').catch(() => ''), 10);
    // Empty: it is just being written, or its writer died in between; the next attempts tell.
    if (Number.isNaN(holder) && attempt < 10) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    } else if (!Number.isNaN(holder) && (holder === process.pid ? held.has(path) : isAlive(holder))) {
      throw new ConfigError(
        `DATA_DIR: ${dataDir} is in use by process ${holder}: stop that, or give this one another DATA_DIR or a ` +
          `DATABASE_URL (if ${holder} is no Parley, delete ${path})`,
      );
    } else {
      await unlink(path).catch(() => {});
    }
  }
  throw new ConfigError(`DATA_DIR: could not take ${path}`);
}

/** The secret that signs tokens when none is configured: made once, readable by the owner only. */
export async function keptJwtSecret(dataDir: string): Promise<string> {
  await mkdir(dataDir, { recursive: true });
  const path = join(dataDir, 'jwt-secret');
  const draft = `${path}.${randomBytes(8).toString('hex')}`;
  await writeFile(draft, randomBytes(48).toString('base64'), { mode: 0o600 });
  // A link appears whole or not at all, and never replaces one that another process made first.
  await link(draft, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await unlink(draft);
  return (await readFile(path, 'utf8')).trim();
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
