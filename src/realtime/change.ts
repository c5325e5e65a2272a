import type { Db } from '../infra/database/database.js';

/**
 * A change as the feed delivers it. It is a row of the change log, which numbers the changes of a conversation (for its
 * members) or of a user's personal log (for that user alone) without gaps; or it is an event outside the log: a watermark
 * or an ephemeral event.
 * `data` is the payload, whose type the feature that owns the change's type defines.
 */
export interface Change<Data = unknown> {
  /** The id of the log: the conversation's, or the user's for a personal log. */
  conversationId: string;
  /** 1, 2, 3, … in commit order. For a watermark: a number that grows whenever it advances. */
  changeSeq: number;
  /** True for watermarks (`ChangeKind.watermark`), which are not in the log. */
  isWatermark?: true;
  type: string;
  messageId: string | null;
  /** The user whom the change concerns: the one who joined, was changed or left. */
  subjectId: string | null;
  /** The membership that this change ended. Null or absent for all other changes, and for those of older versions. */
  membershipId?: string | null;
  /** The user who made the change. */
  actorId: string | null;
  /**
   * When the change was committed, in milliseconds since the epoch, by the clock of the node that made it or of the
   * database; absent if unknown. Only for measuring durations, because clocks differ.
   */
  committedAt?: number;
  data: Data;
}

/** A row of the change log: a change whose `data` has not been loaded. */
export type ChangeRow = Omit<Change, 'data'>;

/**
 * How the feed handles the changes of some types; defined by the feature that owns them. Nodes send `data` to each other
 * as versioned JSON. A node that does not understand a version loads the state from the database instead.
 */
export interface ChangeKind<Data = unknown> {
  types: readonly string[];
  encode(data: Data): unknown;
  /** Returns undefined if this node does not understand the version. */
  decode(json: unknown): Data | undefined;
  /**
   * Loads the current state for rows of the log, in their order. Null where nothing is left to report, for example
   * because the object has been deleted.
   */
  load(db: Db, rows: readonly ChangeRow[]): Promise<(Data | null)[]>;
  /** The users who are members since this change. Absent on types by which nobody joins. */
  joined?(change: Change<Data | null>): readonly string[];
  /** The number of the newest message that a user who joined may not see; 0 if they may see all. */
  historyFloor?(change: Change<Data>, userId: string): number;
  /**
   * The number of the message that was changed; users who may not see the message do not receive the change. Absent on
   * types that concern no message.
   */
  messageSeq?(change: Change<Data>): number;
  /** The users who are no longer members. Absent on types by which nobody leaves. */
  left?(change: Change<Data | null>): readonly string[];
  /** Present on types of watermarks. */
  watermark?: WatermarkKind<Data>;
  /** True for types of ephemeral events, which are never stored: only those who listen at the time receive them. */
  isEphemeral?: true;
}

/**
 * How the feed reads watermarks: positions that only move forward, one for each conversation and subject. Only the newest
 * position matters, so that advancing one needs neither a number of the log nor the conversation's lock. Nodes send each
 * other the rows only, without `data`.
 */
interface WatermarkKind<Data = unknown> {
  /** The watermarks that were advanced by transactions that the snapshot does not contain, each once. */
  advancedSince(db: Db, snapshot: string): Promise<ChangeRow[]>;
  /** Those of them that one user may see, each once, at most `limit`. */
  missedSince(db: Db, snapshot: string, query: WatermarkQuery): Promise<MissedWatermarks[]>;
  /** The number that grows whenever the watermark advances. */
  versionOf(data: Data): number;
  /** The `changeSeq` of the conversation when the state was read. */
  changeSeqOf(data: Data): number;
  /** The one user who may see it; undefined if all members may. */
  onlyFor(change: Change<Data>): string | undefined;
}

/** Restricts watermarks to those in these conversations that a user may see. */
export interface WatermarkQuery {
  userId: string;
  conversationIds: readonly string[];
  limit: number;
}

/** Watermarks of one conversation that a stream has missed, by their subjects alone: there can be many. */
export interface MissedWatermarks {
  type: string;
  conversationId: string;
  /** Separated by spaces, because one string takes less memory than an array of strings. */
  subjectIds: string;
}

/** The row of a watermark. */
export const watermarkRow = (
  row: Pick<ChangeRow, 'conversationId' | 'type' | 'subjectId' | 'changeSeq'>,
): ChangeRow => ({
  ...row,
  isWatermark: true,
  messageId: null,
  actorId: row.subjectId,
});
