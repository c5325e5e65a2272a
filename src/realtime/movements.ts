import { cursorExpired, type SyncCursor } from '../core/sync-cursor.js';
import type { Db } from '../infra/database/database.js';
import type { Logger } from '../infra/telemetry/log.js';
import { type Audience, type Change, type ChangeKind, type ChangeRow, type MissedMoves, moveOf } from './change.js';

/**
 * What moves beside the change log (`ChangeKind.moving`), as one node sees it. Of each thing that moves only the newest
 * state counts: a wake-up names it, its state is read when somebody here listens, for many at once, and delivered
 * unless it is known already. What no wake-up told of, the feed's sweep finds.
 */
export interface Movements {
  /** Tells that something has moved so far. */
  heard(row: ChangeRow): void;
  /**
   * Delivers all that has moved since the cursor, as far as it was not delivered yet.
   * @throws when it could not be read: then the same has to be asked again.
   */
  sweep(since: SyncCursor): Promise<void>;
  /**
   * What of these types has moved since the cursor, for one person.
   * @throws {ChatError} CURSOR_EXPIRED with the field `after`: more than `limit`.
   */
  missed(audience: Audience, types: readonly string[], since: SyncCursor): Promise<MissedMoves[]>;
  /** So many of them at a time. */
  inBatches(missed: readonly MissedMoves[], size: number): Iterable<ChangeRow[]>;
  /** Forgets what is known and what is under way: the database has another history now. */
  reset(): void;
  /** Their present states; what is not there any more is left out. */
  load(rows: readonly ChangeRow[]): Promise<Change[]>;
}

/** States that are read, and delivered, at a time. */
const BATCH = 500;

export function createMovements(options: {
  db: Db;
  kinds: readonly ChangeKind[];
  /** Whether anybody here hears of this. */
  isListenedTo(row: ChangeRow): boolean;
  /** Resolves when the conversation's changes up to this one were delivered here, for they say who is in it. */
  reach(conversationId: string, changeSeq: number): Promise<void>;
  /** `only`: the one person whom it is for; undefined: all who listen. */
  deliver(change: Change, only: string | undefined): void;
  log: Logger;
}): Movements {
  const { db, log } = options;
  const kinds = options.kinds.filter(({ moving }) => moving);
  const kindOf = new Map(kinds.flatMap((kind) => kind.types.map((type) => [type, kind])));
  const pending = new Map<string, ChangeRow>();
  /** How far each thing was, when it was delivered or is about to be: since the last sweep, and since the one before. */
  let known = new Map<string, number>();
  let knownBefore = new Map<string, number>();
  let flushing: Promise<void> | undefined;
  let asked = false;
  /** Grows with each reset: what was read before one is not delivered after it. */
  let resets = 0;

  const keyOf = ({ type, conversationId, subjectId }: ChangeRow) => `${type} ${conversationId} ${subjectId}`;
  const isKnown = (key: string, changeSeq: number) =>
    (known.get(key) ?? -1) >= changeSeq || (knownBefore.get(key) ?? -1) >= changeSeq;

  function heard(row: ChangeRow): void {
    const key = keyOf(row);
    if (isKnown(key, row.changeSeq) || !kindOf.has(row.type) || !options.isListenedTo(row)) return;
    known.set(key, row.changeSeq);
    pending.set(key, row);
    if (asked || flushing) return;
    asked = true;
    setImmediate(() => {
      asked = false;
      flush().catch((error: unknown) =>
        log.warn({ err: error }, 'receipt marks could not be read; the next sweep retries'),
      );
    });
  }

  /** Reads and delivers one batch after another, in order: the later the read, the newer what it says. */
  function flush(): Promise<void> {
    flushing ??= flushAll().finally(() => {
      flushing = undefined;
    });
    return flushing;
  }

  async function flushAll(): Promise<void> {
    while (pending.size > 0) {
      const begun = resets;
      const rows = [...pending.values()].slice(0, BATCH);
      for (const row of rows) pending.delete(keyOf(row));
      try {
        const changes = await load(rows);
        const positions = new Map(
          changes.map(({ type, conversationId, data }) => [
            conversationId,
            kindOf.get(type)?.moving?.positionOf(data) ?? 0,
          ]),
        );
        await Promise.all([...positions].map(([conversationId, position]) => options.reach(conversationId, position)));
        if (resets !== begun) continue;
        for (const change of changes) {
          known.set(keyOf(change), change.changeSeq);
          options.deliver(change, kindOf.get(change.type)?.moving?.onlyFor(change));
        }
      } catch (error) {
        for (const row of rows) {
          known.delete(keyOf(row));
          knownBefore.delete(keyOf(row));
        }
        throw error;
      }
    }
  }

  async function load(rows: readonly ChangeRow[]): Promise<Change[]> {
    const loaded = await Promise.all(
      kinds.map(async (kind) => {
        const own = rows.filter(({ type }) => kind.types.includes(type));
        const data = own.length === 0 ? [] : await kind.load(db, own);
        return own.flatMap((row, index) => {
          const state = data[index] ?? null;
          return state === null ? [] : [{ ...row, changeSeq: kind.moving?.versionOf(state) ?? 0, data: state }];
        });
      }),
    );
    return loaded.flat();
  }

  return {
    heard,

    async sweep(since) {
      for (const kind of kinds) {
        for (const row of (await kind.moving?.movedSince(db, since.snapshot)) ?? []) heard(row);
      }
      await flush();
      knownBefore = known;
      known = new Map();
    },

    async missed(audience, types, since) {
      const missed: MissedMoves[] = [];
      let count = 0;
      for (const kind of kinds) {
        if (!kind.moving || !kind.types.some((type) => types.includes(type))) continue;
        const limit = audience.limit - count + 1;
        for (const moves of await kind.moving.missedSince(db, since.snapshot, { ...audience, limit })) {
          missed.push(moves);
          count += moves.subjectIds.split(' ').length;
        }
      }
      if (count > audience.limit) throw cursorExpired('after', `more than ${audience.limit} marks have moved`);
      return missed;
    },

    *inBatches(missed, size) {
      let rows: ChangeRow[] = [];
      for (const { type, conversationId, subjectIds } of missed) {
        for (const subjectId of subjectIds.split(' ')) {
          rows.push(moveOf({ type, conversationId, subjectId, changeSeq: 0 }));
          if (rows.length < size) continue;
          yield rows;
          rows = [];
        }
      }
      if (rows.length > 0) yield rows;
    },

    reset() {
      resets += 1;
      pending.clear();
      known = new Map();
      knownBefore = new Map();
    },

    load,
  };
}
