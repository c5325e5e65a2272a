import { closeSync, statfsSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { messages, PGlite, type PGliteOptions } from '@electric-sql/pglite';
import { SyncedNodeFS } from './synced-node-fs.js';

/** Milliseconds of statements in one turn of the event loop, after which the next one waits for another turn. */
const TURN_MAX_MS = 5;

/** Milliseconds for which the free space counts as known. */
const SPACE_KNOWN_MS = 50;

/** The status of the exception by which PGlite leaves a statement that failed; every other exception is its end. */
const LONGJMP_STATUS = 100;

/**
 * PGlite that does not write when its disk is nearly full, and that ends where it would go on for ever. PostgreSQL
 * gives up (PANIC) when it cannot write its log; PGlite then calls it again and again and holds this thread.
 */
export class GuardedPGlite extends PGlite {
  #folder: string;
  #minFree: number;
  #isGuarded = false;
  #end: { cause: unknown } | undefined;
  #room: { at: number; enough: boolean } | undefined;
  /** Milliseconds that statements have taken in this turn of the event loop. */
  #busyMs = 0;
  /** Resolves in the next turn of the event loop; undefined where nothing has run in this one. */
  #nextTurn: Promise<void> | undefined;
  /** Called once when it has ended by itself: nothing works any more, and another one is to be opened. */
  onEnd: (cause: unknown) => void = () => {};

  /** @param minFree bytes that must be free on the disk of the folder for anything to be written; 0: any. */
  constructor(folder: string, minFree: number, options: PGliteOptions) {
    super(folder, { ...options, fs: new SyncedNodeFS(folder) });
    this.#folder = folder;
    this.#minFree = minFree;
  }

  /** Whether anything may be written. */
  get hasRoom(): boolean {
    const now = performance.now();
    if (!this.#room || now - this.#room.at > SPACE_KNOWN_MS) {
      this.#room = { at: now, enough: freeBytesOf(this.#folder) >= this.#minFree };
    }
    return this.#room.enough;
  }

  /**
   * A statement resolves without a turn of the event loop. Without this, those that wait for each other would run one
   * after another before any other client is heard.
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

  /** Every statement passes here, those of transactions and of Prisma too. */
  override execProtocolRawSync(message: Uint8Array): Uint8Array<ArrayBuffer> {
    if (this.#end) throw diskFull('The embedded database has stopped.');
    if (!this.#isGuarded) this.#guard();
    if (!this.hasRoom && isWrite(message)) throw diskFull('The disk of DATA_DIR has too little free space.');
    return super.execProtocolRawSync(message) as Uint8Array<ArrayBuffer>;
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
    // PGlite catches what is thrown there, calls this first, and loops: the one place to get out.
    module.stackRestore = (pointer) => {
      stackRestore(pointer);
      if (!this.#end) return;
      this.onEnd(this.#end.cause);
      throw diskFull('The embedded database has stopped.');
    };
  }

  /** Closes it; of one that has ended, which would not come back from it, only the files. */
  override async close(): Promise<void> {
    if (!this.#end) return super.close();
    const { streams } = this.Module.FS as unknown as { streams: ({ nfd?: number } | null)[] };
    for (const stream of streams) {
      if (stream?.nfd === undefined) continue;
      try {
        closeSync(stream.nfd);
      } catch {
        // It is closed already.
      }
    }
  }
}

/** Bytes that are free for this process; as many as can be where the file system does not tell. */
export function freeBytesOf(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** PostgreSQL's own error for a full disk, as a statement of PGlite would throw it. */
function diskFull(message: string): messages.DatabaseError {
  return Object.assign(new messages.DatabaseError(message, message.length, 'error'), {
    severity: 'ERROR',
    code: '53100',
  });
}

/** Whether a message of the protocol has a statement that writes: Parse with its text after a name, or a simple query. */
function isWrite(message: Uint8Array): boolean {
  if (message[0] !== 0x50 && message[0] !== 0x51) return false;
  const text = new TextDecoder().decode(message.subarray(5));
  return /\b(?:INSERT\s+INTO|UPDATE\s+(?!SKIP|NOWAIT)["\w]|DELETE\s+FROM|CREATE|ALTER|DROP|TRUNCATE|VACUUM|REINDEX|COPY)\b/i.test(
    text,
  );
}
