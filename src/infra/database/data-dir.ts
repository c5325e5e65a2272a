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

/**
 * How often the owner of a lock updates its modification time, and the age after which a lock of another host is stale,
 * in milliseconds.
 */
const HEARTBEAT_MS = 3_000;
const STALE_MS = 10_000;

/**
 * The paths of the locks held by this process. In a container every process may have id 1: a lock with this id that is
 * not in this set is stale.
 */
const heldLocks = new Set<string>();

/**
 * Creates the directory if it is missing, and removes the permissions of other users from it and everything in it
 * (directories 0700, files 0600), which an earlier version or an unpacked backup may have left. Files of another owner
 * cannot be changed; the number of them is logged. Permissions are not changed on Windows.
 * @throws {ConfigError} naming DATA_DIR if the directory cannot be created.
 */
export async function openDataDir(dataDir: string, log: Logger): Promise<void> {
  await createDirectory(dataDir);
  if (process.platform === 'win32') return;
  let failed = 0;
  let reason: unknown;
  for (const { path, wanted, mode } of entriesOf(dataDir)) {
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

/**
 * The directory and all directories and files in it, without following links. It is synchronous, because an
 * asynchronous traversal takes ten times as long.
 */
function* entriesOf(path: string): Generator<{ path: string; wanted: number; mode: number }> {
  yield { path, wanted: 0o700, mode: modeOf(path) };
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) yield* entriesOf(inner);
    else if (entry.isFile()) yield { path: inner, wanted: 0o600, mode: modeOf(inner) };
  }
}

/** The mode of a file; 0 if it was deleted in the meantime. */
const modeOf = (path: string): number => lstatSync(path, { throwIfNoEntry: false })?.mode ?? 0;

/**
 * Locks the directory for this process, because PGlite would let a second process open the same database and corrupt
 * it. A stale lock is replaced: at once if it belongs to a process of this host that no longer runs, even if its id was
 * reused; after ten seconds without an update if it belongs to another host (a shared volume, a recreated container).
 * @returns a function that releases the lock.
 * @throws {ConfigError} naming the process that holds the lock, or the reason why the directory cannot be used.
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  await createDirectory(dataDir);
  const path = resolve(dataDir, 'lock');
  const own = `${process.pid} ${hostname()} ${randomBytes(6).toString('hex')} ${(await startTimeOf(process.pid)) ?? ''}`;
  for (;;) {
    if (await asConfigError(dataDir, createFileAtomically(path, `${own.trim()}\n`)))
      return holdLock(path, `${own.trim()}\n`);
    const holder = await readIfPresent(path, dataDir);
    if (holder === undefined) continue;
    // A lock is created together with its content, so an empty one was left by a crash of the machine.
    const [pid = '', host = hostname(), , start] = holder.trim().split(' ');
    if (/^\d+$/.test(pid) && !(await isStale(path, Number(pid), host, start))) {
      throw new ConfigError(
        `DATA_DIR: ${dataDir} is in use by process ${pid}${host === hostname() ? '' : ` on ${host}`}: stop that process, or use ` +
          `another DATA_DIR or a DATABASE_URL (if process ${pid} is not Parley, delete ${path})`,
      );
    }
    await removeStale(path, holder);
  }
}

/** Creates the directory with permissions for its owner only. */
async function createDirectory(dataDir: string): Promise<void> {
  await asConfigError(dataDir, mkdir(dataDir, { recursive: true, mode: 0o700 }));
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

/** Converts errors of the file system to a ConfigError that names DATA_DIR. */
async function asConfigError<T>(dataDir: string, work: Promise<T>): Promise<T> {
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

async function readIfPresent(path: string, dataDir: string): Promise<string | undefined> {
  const reading = readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return asConfigError(dataDir, reading);
}

/** Creates a file with its content atomically and durably. Returns false if the file already exists. */
async function createFileAtomically(path: string, content: string): Promise<boolean> {
  const temporary = await writeTemporary(path, content);
  try {
    // A hard link appears atomically and never replaces an existing file.
    await link(temporary, path);
    await syncDirectory(dirname(path));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(temporary);
  }
}

/**
 * Writes a file atomically and durably: after a crash or a loss of power it has either this content or the previous
 * one.
 */
export async function writeFileAtomically(path: string, content: string | Buffer): Promise<void> {
  const temporary = await writeTemporary(path, content);
  try {
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Writes a temporary file next to `path`, readable by the owner only, and syncs it to the disk. */
async function writeTemporary(path: string, content: string | Buffer): Promise<string> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
  return temporary;
}

/** Syncs a directory, which makes the names of new files in it durable. */
async function syncDirectory(path: string): Promise<void> {
  // Ignores errors: Windows cannot open directories, and some file systems cannot sync them.
  const folder = await open(path, 'r').catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
}

function holdLock(path: string, own: string): () => Promise<void> {
  heldLocks.add(path);
  const heartbeat = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), HEARTBEAT_MS);
  heartbeat.unref();
  return async () => {
    clearInterval(heartbeat);
    heldLocks.delete(path);
    if ((await readFile(path, 'utf8').catch(() => '')) === own) await rm(path, { force: true });
  };
}

/**
 * Whether the process that holds the lock no longer runs.
 * @param start the start of the process according to the lock; undefined in locks of older versions.
 */
async function isStale(path: string, pid: number, host: string, start: string | undefined): Promise<boolean> {
  if (host === hostname()) {
    if (pid === process.pid) return !heldLocks.has(path);
    if (!isAlive(pid)) return true;
    // After a restart of the machine, the id may belong to another program.
    return start !== undefined && ((await startTimeOf(pid)) ?? start) !== start;
  }
  const silentSince = async () => (await stat(path).catch(() => undefined))?.mtimeMs;
  const first = await silentSince();
  if (first !== undefined && Date.now() - first < STALE_MS) await sleep(STALE_MS - (Date.now() - first));
  return first === (await silentSince());
}

/**
 * The start time of a process, as a text that distinguishes it from other processes with the same id. Undefined if it
 * cannot be determined.
 */
async function startTimeOf(pid: number): Promise<string | undefined> {
  try {
    if (process.platform === 'linux') {
      const [boot, status] = await Promise.all([
        readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => ''),
        readFile(`/proc/${pid}/stat`, 'utf8'),
      ]);
      // The program name, in parentheses, can contain spaces. The start time in ticks since the boot is the 20th field
      // after it.
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

/**
 * Removes a stale lock. Processes that do this take turns and check the content again, so that none of them removes the
 * new lock of another one.
 */
async function removeStale(path: string, found: string): Promise<void> {
  const turn = `${path}.takeover`;
  const file = await open(turn, 'wx').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  if (!file) {
    // A process that crashed during its turn leaves the file behind.
    const age = Date.now() - ((await stat(turn).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (age > STALE_MS) await rm(turn, { force: true });
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
 * Returns the secret that signs tokens when none is configured. It is generated once and readable by the owner only.
 * @throws {ConfigError} naming the file if its content is damaged.
 */
export async function loadJwtSecret(dataDir: string): Promise<string> {
  await createDirectory(dataDir);
  const path = join(dataDir, 'jwt-secret');
  await asConfigError(dataDir, createFileAtomically(path, randomBytes(48).toString('base64')));
  const secret = ((await readIfPresent(path, dataDir)) ?? '').trim();
  // A short secret could be guessed, which would allow anybody to sign in as anybody.
  if (!/^[\x21-\x7e]{32,}$/.test(secret)) {
    throw new ConfigError(
      `DATA_DIR: ${path} is damaged: it must contain a secret of at least 32 characters. Restore it from a backup, or ` +
        'delete it: a new secret is then generated, and all users must sign in again or refresh their tokens',
    );
  }
  return secret;
}

/** Whether a process with this id is running. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
