import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rm, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from './config.js';

/** How often the holder of a lock shows that it lives, and after how long without that a foreign host counts as gone. */
const BEAT_MS = 3_000;
const GONE_MS = 10_000;

/** Locks of this very process: in a container every process is number 1, and a lock of number 1 not here is stale. */
const held = new Set<string>();

/**
 * Takes the folder for this process, so that no second one opens the embedded database in it (PGlite would let it,
 * and break the database). The lock of a process that is gone is taken over: at once on this host, and on another
 * (a shared volume, a container made anew) once it has been silent for ten seconds.
 * @returns what gives it back.
 * @throws {ConfigError} naming the process that holds it.
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  await mkdir(dataDir, { recursive: true });
  const path = resolve(dataDir, 'lock');
  const own = `${process.pid} ${hostname()} ${randomBytes(6).toString('hex')}\n`;
  for (;;) {
    if (await putWhole(path, own)) return hold(path, own);
    const holder = await readFile(path, 'utf8').catch(() => '');
    if (holder === '') continue;
    const [pid = '', host = hostname()] = holder.trim().split(' ');
    if (!(await isGone(path, Number(pid), host))) {
      throw new ConfigError(
        `DATA_DIR: ${dataDir} is in use by process ${pid}${host === hostname() ? '' : ` on ${host}`}: stop that, or give ` +
          `this one another DATA_DIR or a DATABASE_URL (if ${pid} is no Parley, delete ${path})`,
      );
    }
    await removeStale(path, holder);
  }
}

/** Makes a file with its content at once; false when there is one. */
async function putWhole(path: string, content: string): Promise<boolean> {
  const draft = `${path}.${randomBytes(8).toString('hex')}`;
  await writeFile(draft, content, { mode: 0o600 });
  try {
    // A link appears whole or not at all, and never replaces one that another process made first.
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(draft);
  }
}

function hold(path: string, own: string): () => Promise<void> {
  held.add(path);
  const beat = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), BEAT_MS);
  beat.unref();
  return async () => {
    clearInterval(beat);
    held.delete(path);
    if ((await readFile(path, 'utf8').catch(() => '')) === own) await rm(path, { force: true });
  };
}

async function isGone(path: string, pid: number, host: string): Promise<boolean> {
  if (host === hostname()) return pid === process.pid ? !held.has(path) : !isAlive(pid);
  const silentSince = async () => (await stat(path).catch(() => undefined))?.mtimeMs;
  const first = await silentSince();
  if (first !== undefined && Date.now() - first < GONE_MS) await sleep(GONE_MS - (Date.now() - first));
  return first === (await silentSince());
}

/** Removes a lock that was found stale, unless another process did and has it now: one at a time looks once more. */
async function removeStale(path: string, found: string): Promise<void> {
  const turn = `${path}.takeover`;
  const file = await open(turn, 'wx').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  if (!file) {
    // Whoever has the turn needs a moment; whoever died in it leaves it behind.
    const age = Date.now() - ((await stat(turn).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (age > GONE_MS) await rm(turn, { force: true });
    await sleep(20);
    return;
  }
  try {
    if ((await readFile(path, 'utf8').catch(() => '')) === found) await rm(path, { force: true });
  } finally {
    await file.close();
    await rm(turn, { force: true });
  }
}

/** The secret that signs tokens when none is configured: made once, readable by the owner only. */
export async function keptJwtSecret(dataDir: string): Promise<string> {
  await mkdir(dataDir, { recursive: true });
  const path = join(dataDir, 'jwt-secret');
  await putWhole(path, randomBytes(48).toString('base64'));
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
