import { closeSync, statfsSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { messages, type PGlite, type PGliteOptions } from '@electric-sql/pglite';
import { PreparedPGlite } from './prepared-pglite.js';
import { SyncedNodeFS } from './synced-node-fs.js';

/**
 * The maximum duration of statements in one turn of the event loop, in milliseconds. Further statements wait for the
 * next turn.
 */
const TURN_MAX_MS = 5;

/** How long a measurement of the free disk space is valid, in milliseconds. */
const SPACE_KNOWN_MS = 50;

/** The status of the exception with which PGlite unwinds a failed statement. Every other exception is fatal. */
const LONGJMP_STATUS = 100;

/**
 * PGlite with two safeguards: it rejects writes when its disk is nearly full, and it stops instead of looping forever.
 * If PostgreSQL cannot write its log, it panics; PGlite would then restart it again and again and block this thread.
 */
export class GuardedPGlite extends PreparedPGlite {
  #folder: string;
  #minFree: number;
  #isGuarded = false;
  #end: { cause: unknown } | undefined;
  #room: { at: number; enough: boolean } | undefined;
  /** The duration of the statements in this turn of the event loop, in milliseconds. */
  #busyMs = 0;
  /** Resolves in the next turn of the event loop. Undefined if no statement has run in this turn. */
  #nextTurn: Promise<void> | undefined;
  /** Called once when the database has stopped on its own and must be reopened. */
  onEnd: (cause: unknown) => void = () => {};

  /**
   * @param minFree the minimum free space of the disk in bytes; with less, writes are rejected. 0 disables the check.
   */
  constructor(folder: string, minFree: number, options: PGliteOptions) {
    super(folder, { ...options, fs: new SyncedNodeFS(folder) });
    this.#folder = folder;
    this.#minFree = minFree;
  }

  /** Whether the disk has enough free space for writes. */
  get hasFreeSpace(): boolean {
    const now = performance.now();
    if (!this.#room || now - this.#room.at > SPACE_KNOWN_MS) {
      this.#room = { at: now, enough: freeBytesOf(this.#folder) >= this.#minFree };
    }
    return this.#room.enough;
  }

  /**
   * Statements resolve without a turn of the event loop. Without this limit, a sequence of statements would block all
   * other clients.
   */
  override async execProtocolRaw(...call: Parameters<PGlite['execProtocolRaw']>): Promise<Uint8Array> {
    this.#nextTurn ??= nextTurn().then(() => {
      this.#nextTurn = undefined;
      this.#busyMs = 0;
    });
    if (this.#busyMs >= TURN_MAX_MS) await this.#nextTurn;
    const began = performance.now();
    try {
      return await super.execProtocolRaw(...call);
    } finally {
      this.#busyMs += performance.now() - began;
    }
  }

  /** All statements pass through this method, including those of transactions and of Prisma. */
  override execProtocolRawSync(message: Uint8Array): Uint8Array<ArrayBuffer> {
    if (this.#end) throw diskFull('The embedded database has stopped.');
    if (!this.#isGuarded) this.#guard();
    if (!this.hasFreeSpace && isWrite(message)) throw diskFull('The disk of DATA_DIR has too little free space.');
    return super.execProtocolRawSync(message) as Uint8Array<ArrayBuffer>;
  }

  protected override beforeReuse(parse: Uint8Array): void {
    if (!this.hasFreeSpace && isWrite(parse)) throw diskFull('The disk of DATA_DIR has too little free space.');
  }

  #guard(): void {
    this.#isGuarded = true;
    const module = this.Module as unknown as {
      _PostgresMainLoopOnce(): void;
      stackRestore(pointer: number): void;
    };
    const { _PostgresMainLoopOnce: loopOnce, stackRestore } = module;
    module._PostgresMainLoopOnce = () => {
      try {
        loopOnce();
      } catch (error) {
        if ((error as { status?: unknown }).status !== LONGJMP_STATUS) this.#end = { cause: error };
        throw error;
      }
    };
    // PGlite catches the exception, calls this function first, and then loops: this is the only place to leave the
    // loop.
    module.stackRestore = (pointer) => {
      stackRestore(pointer);
      if (!this.#end) return;
      this.onEnd(this.#end.cause);
      throw diskFull('The embedded database has stopped.');
    };
  }

  /** Closes the database. If it has stopped, PGlite's own method would never return, so only its files are closed. */
  override async close(): Promise<void> {
    if (!this.#end) return super.close();
    const { streams } = this.Module.FS as unknown as { streams: ({ nfd?: number } | null)[] };
    for (const stream of streams) {
      if (stream?.nfd === undefined) continue;
      try {
        closeSync(stream.nfd);
      } catch {
        // It is already closed.
      }
    }
  }
}

/** The free disk space for this process in bytes; infinite if the file system does not report it. */
export function freeBytesOf(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** PostgreSQL's error for a full disk, as a statement of PGlite would throw it. */
function diskFull(message: string): messages.DatabaseError {
  return Object.assign(new messages.DatabaseError(message, message.length, 'error'), {
    severity: 'ERROR',
    code: '53100',
  });
}

/**
 * Whether a protocol message contains a statement that writes: a Parse message, with its text after a name, or a simple
 * query.
 */
function isWrite(message: Uint8Array): boolean {
  if (message[0] !== 0x50 && message[0] !== 0x51) return false;
  const text = new TextDecoder().decode(message.subarray(5));
  return /\b(?:INSERT\s+INTO|UPDATE\s+(?!SKIP|NOWAIT)["\w]|DELETE\s+FROM|CREATE|ALTER|DROP|TRUNCATE|VACUUM|REINDEX|COPY)\b/i.test(
    text,
  );
}
