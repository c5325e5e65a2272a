import { cursorExpired, type SyncCursor } from '../core/sync-cursor.js';
import type { Db } from '../infra/database/database.js';
import type { Logger } from '../infra/telemetry/log.js';
import {
  type Change,
  type ChangeKind,
  type ChangeRow,
  type MissedWatermarks,
  type WatermarkQuery,
  watermarkRow,
} from './change.js';

/**
 * The watermarks (`ChangeKind.watermark`) as one node sees them. Only the newest position of each watermark matters: a
 * wake-up names the watermark, and if anybody on this node receives it, its state is read, together with others, and
 * delivered unless it was delivered before. The feed's sweep finds watermarks whose wake-ups were lost.
 */
export interface Watermarks {
  /** Handles a wake-up: the watermark has advanced to the row's number. */
  advanced(row: ChangeRow): void;
  /**
   * Delivers the watermarks that have advanced since the cursor and were not delivered yet.
   * @throws if the database could not be read. The caller must retry with the same cursor.
   */
  sweep(since: SyncCursor): Promise<void>;
  /**
   * The watermarks of these types that have advanced since the cursor, as far as a user may see them.
   * @throws {ChatError} CURSOR_EXPIRED with the field `after` if there are more than `limit`.
   */
  missed(query: WatermarkQuery, types: readonly string[], since: SyncCursor): Promise<MissedWatermarks[]>;
  /** Their rows, `size` at a time. */
  inBatches(missed: readonly MissedWatermarks[], size: number): Iterable<ChangeRow[]>;
  /** Forgets which watermarks were delivered, and discards pending ones: the database has another history now. */
  reset(): void;
  /** Loads the current states of watermarks. Those that no longer exist are omitted. */
  load(rows: readonly ChangeRow[]): Promise<Change[]>;
}

/** The maximum number of states that are read, and delivered, at a time. */
const BATCH = 500;

export function createWatermarks(options: {
  db: Db;
  kinds: readonly ChangeKind[];
  /** Whether a listener on this node would receive the watermark. */
  isWatched(row: ChangeRow): boolean;
  /**
   * Resolves when the conversation's changes up to this one were delivered on this node, because they determine who the
   * members are.
   */
  untilDelivered(conversationId: string, changeSeq: number): Promise<void>;
  /** Delivers to the one user `onlyFor`, or to all watchers if it is undefined. */
  deliver(change: Change, onlyFor: string | undefined): void;
  log: Logger;
}): Watermarks {
  const { db, log } = options;
  const kinds = options.kinds.filter(({ watermark }) => watermark);
  const kindOf = new Map(kinds.flatMap((kind) => kind.types.map((type) => [type, kind])));
  const pending = new Map<string, ChangeRow>();
  /** The position of each watermark that was or will be delivered: since the last sweep, and since the one before. */
  let known = new Map<string, number>();
  let knownBefore = new Map<string, number>();
  let flushing: Promise<void> | undefined;
  let isFlushScheduled = false;
  /** Incremented by each reset: states that were read before a reset must not be delivered after it. */
  let resets = 0;

  const keyOf = ({ type, conversationId, subjectId }: ChangeRow) => `${type} ${conversationId} ${subjectId}`;
  const isKnown = (key: string, changeSeq: number) =>
    (known.get(key) ?? -1) >= changeSeq || (knownBefore.get(key) ?? -1) >= changeSeq;

  function advanced(row: ChangeRow): void {
    const key = keyOf(row);
    if (isKnown(key, row.changeSeq) || !kindOf.has(row.type) || !options.isWatched(row)) return;
    known.set(key, row.changeSeq);
    pending.set(key, row);
    if (isFlushScheduled || flushing) return;
    isFlushScheduled = true;
    setImmediate(() => {
      isFlushScheduled = false;
      flush().catch((error: unknown) =>
        log.warn({ err: error }, 'receipt marks could not be read; the next sweep retries'),
      );
    });
  }

  /** Reads and delivers one batch after another, so that no state is delivered after a newer one. */
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
            kindOf.get(type)?.watermark?.changeSeqOf(data) ?? 0,
          ]),
        );
        await Promise.all(
          [...positions].map(([conversationId, changeSeq]) => options.untilDelivered(conversationId, changeSeq)),
        );
        if (resets !== begun) continue;
        for (const change of changes) {
          known.set(keyOf(change), change.changeSeq);
          options.deliver(change, kindOf.get(change.type)?.watermark?.onlyFor(change));
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
          return state === null ? [] : [{ ...row, changeSeq: kind.watermark?.versionOf(state) ?? 0, data: state }];
        });
      }),
    );
    return loaded.flat();
  }

  return {
    advanced,

    async sweep(since) {
      for (const kind of kinds) {
        for (const row of (await kind.watermark?.advancedSince(db, since.snapshot)) ?? []) advanced(row);
      }
      await flush();
      knownBefore = known;
      known = new Map();
    },

    async missed(query, types, since) {
      const missed: MissedWatermarks[] = [];
      let count = 0;
      for (const kind of kinds) {
        if (!kind.watermark || !kind.types.some((type) => types.includes(type))) continue;
        const limit = query.limit - count + 1;
        for (const ofConversation of await kind.watermark.missedSince(db, since.snapshot, { ...query, limit })) {
          missed.push(ofConversation);
          count += ofConversation.subjectIds.split(' ').length;
        }
      }
      if (count > query.limit) throw cursorExpired('after', `more than ${query.limit} marks have moved`);
      return missed;
    },

    *inBatches(missed, size) {
      let rows: ChangeRow[] = [];
      for (const { type, conversationId, subjectIds } of missed) {
        for (const subjectId of subjectIds.split(' ')) {
          rows.push(watermarkRow({ type, conversationId, subjectId, changeSeq: 0 }));
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
