import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { lstatSync, readdirSync } from 'node:fs';
import { chmod, link, mkdir, open, readFile, rename, rm, stat, unlink, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ConfigError } from '../config/config-error.js';
import type { Logger } from '../telemetry/log.js';

/** How often the holder of a lock shows that it lives, and after how long without that a foreign host counts as gone. */
const BEAT_MS = 3_000;
const GONE_MS = 10_000;

/** Locks of this very process: in a container every process is number 1, and a lock of number 1 not here is stale. */
const held = new Set<string>();

/**
 * Makes the folder if it is missing and closes it, with everything in it, to all other users of the machine (folders
 * 0700, files 0600), whatever an earlier version or an unpacked backup left open. Files of another owner cannot be
 * closed: the log says how many there are. Windows has no such permissions, and nothing is changed there.
 * @throws {ConfigError} naming DATA_DIR when there can be no such folder.
 */
export async function openDataDir(dataDir: string, log: Logger): Promise<void> {
  await makeFolder(dataDir);
  if (process.platform === 'win32') return;
  let failed = 0;
  let reason: unknown;
  for (const { path, wanted, mode } of allWithin(dataDir)) {
    if ((mode & 0o077) === 0) continue;
    await chmod(path, wanted).catch((error: unknown) => {
      failed += 1;
      reason = error;
    });
  }
  if (failed > 0) {
    log.warn(
      { err: reason, dataDir, count: failed },
      'files in DATA_DIR are accessible to other users, and their permissions cannot be changed',
    );
  }
}

/** The folder and all folders and files in it; links are not followed. Not asynchronous, which takes ten times as long. */
function* allWithin(path: string): Generator<{ path: string; wanted: number; mode: number }> {
  yield { path, wanted: 0o700, mode: modeOf(path) };
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) yield* allWithin(inner);
    else if (entry.isFile()) yield { path: inner, wanted: 0o600, mode: modeOf(inner) };
  }
}

/** 0 of what is gone by now. */
const modeOf = (path: string): number => lstatSync(path, { throwIfNoEntry: false })?.mode ?? 0;

/**
 * Takes the folder for this process, so that no second one opens the embedded database in it (PGlite would let it,
 * and break the database). The lock of a process that is gone is taken over: at once on this host, also when another
 * program has its number now, and on another host (a shared volume, a container made anew) once it has been silent for
 * ten seconds.
 * @returns what gives it back.
 * @throws {ConfigError} naming the process that holds it, or why there can be no such folder.
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  await makeFolder(dataDir);
  const path = resolve(dataDir, 'lock');
  const own = `${process.pid} ${hostname()} ${randomBytes(6).toString('hex')} ${(await startOf(process.pid)) ?? ''}`;
  for (;;) {
    if (await orUnusable(dataDir, putNew(path, `${own.trim()}\n`))) return hold(path, `${own.trim()}\n`);
    const holder = await readIfThere(path, dataDir);
    if (holder === undefined) continue;
    // Locks appear with their content: one without is what a crash of the machine has left.
    const [pid = '', host = hostname(), , start] = holder.trim().split(' ');
    if (/^\d+$/.test(pid) && !(await isGone(path, Number(pid), host, start))) {
      throw new ConfigError(
        `DATA_DIR: ${dataDir} is in use by process ${pid}${host === hostname() ? '' : ` on ${host}`}: stop that process, or use ` +
          `another DATA_DIR or a DATABASE_URL (if process ${pid} is not Parley, delete ${path})`,
      );
    }
    await removeStale(path, holder);
  }
}

/** Makes the folder, for its owner only. */
async function makeFolder(dataDir: string): Promise<void> {
  await orUnusable(dataDir, mkdir(dataDir, { recursive: true, mode: 0o700 }));
}

const reasons: Record<string, string> = {
  EEXIST: 'it is a file, not a directory',
  ENOTDIR: 'a part of its path is a file, not a directory',
  EROFS: 'its file system is read-only',
  EACCES: 'this process has no write permission',
  EPERM: 'this process has no write permission',
  ENOSPC: 'its disk is full',
  EDQUOT: "the owner's quota is used up",
};

/** @throws {ConfigError} naming DATA_DIR when the file system refuses what is done in it. */
async function orUnusable<T>(dataDir: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new ConfigError(`DATA_DIR: ${dataDir} cannot be used: ${reasons[code] ?? message} (${code})`, {
      cause: error,
    });
  }
}

async function readIfThere(path: string, dataDir: string): Promise<string | undefined> {
  const reading = readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return orUnusable(dataDir, reading);
}

/** Makes a file with its content at once; false when there is one already. It survives a loss of power as a whole. */
async function putNew(path: string, content: string): Promise<boolean> {
  const draft = await writeDraft(path, content);
  try {
    // A link appears whole or not at all, and never replaces one that another process made first.
    await link(draft, path);
    await syncFolder(dirname(path));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(draft);
  }
}

/** Writes a file as a whole: after a crash or a loss of power it has this content, or is as it was before. */
export async function putWhole(path: string, content: string | Buffer): Promise<void> {
  const draft = await writeDraft(path, content);
  try {
    await rename(draft, path);
  } catch (error) {
    await unlink(draft).catch(() => {});
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Writes the content beside `path` and onto the disk, for the owner only. */
async function writeDraft(path: string, content: string | Buffer): Promise<string> {
  const draft = `${path}.${randomBytes(8).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } catch (error) {
    await unlink(draft).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
  return draft;
}

/** The name of a new file is on the disk only when its folder is. */
async function syncFolder(path: string): Promise<void> {
  // Windows opens no folders, and some file systems do not sync them.
  const folder = await open(path, 'r').catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
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

/** @param start when the holder says that its process was started; undefined: an older version did not say. */
async function isGone(path: string, pid: number, host: string, start: string | undefined): Promise<boolean> {
  if (host === hostname()) {
    if (pid === process.pid) return !held.has(path);
    if (!isAlive(pid)) return true;
    // After a restart of the machine the number may belong to any program.
    return start !== undefined && ((await startOf(pid)) ?? start) !== start;
  }
  const silentSince = async () => (await stat(path).catch(() => undefined))?.mtimeMs;
  const first = await silentSince();
  if (first !== undefined && Date.now() - first < GONE_MS) await sleep(GONE_MS - (Date.now() - first));
  return first === (await silentSince());
}

/** When a process was started, as a text that no other process with this number has; undefined where it cannot be told. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    if (process.platform === 'linux') {
      const [boot, status] = await Promise.all([
        readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => ''),
        readFile(`/proc/${pid}/stat`, 'utf8'),
      ]);
      // The program's name, in parentheses, may have spaces; the start is the 20th field after it, in ticks since the boot.
      const ticks = status.slice(status.lastIndexOf(')') + 2).split(' ')[19];
      return ticks && `${boot.trim()}/${ticks}`;
    }
    if (process.platform === 'win32') return undefined;
    const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)], {
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
    });
    return stdout.trim().replace(/\s+/g, '_') || undefined;
  } catch {
    return undefined;
  }
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
    if ((await readFile(path, 'utf8').catch(() => undefined)) === found) await rm(path, { force: true });
  } finally {
    await file.close();
    await rm(turn, { force: true });
  }
}

/**
 * The secret that signs tokens when none is configured: made once, readable by the owner only.
 * @throws {ConfigError} naming the file when its content cannot be the secret that was written.
 */
export async function keptJwtSecret(dataDir: string): Promise<string> {
  await makeFolder(dataDir);
  const path = join(dataDir, 'jwt-secret');
  await orUnusable(dataDir, putNew(path, randomBytes(48).toString('base64')));
  const secret = ((await readIfThere(path, dataDir)) ?? '').trim();
  // A key that anybody can guess would let anybody sign in as anybody.
  if (!/^[\x21-\x7e]{32,}$/.test(secret)) {
    throw new ConfigError(
      `DATA_DIR: ${path} is damaged: it must contain a secret of at least 32 characters. Restore it from a backup, or ` +
        'delete it: a new secret is then generated, and all users must sign in again or refresh their tokens',
    );
  }
  return secret;
}

/** Whether a process with this id runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
