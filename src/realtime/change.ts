import type { Db } from '../infra/database/database.js';

/**
 * A change as the change log has it, numbered without gaps in its log: of a conversation, for those who are in it, or of a
 * person, for nobody but them.
 * `data` is what it says in full, defined by the feature that owns its type.
 */
export interface Change<Data = unknown> {
  /** Whose log it is in: a conversation's, or (by the user's id) a person's own. */
  conversationId: string;
  /** 1, 2, 3, … in the order of commits. Of what moves beside the log: a number that grows with each move of it. */
  changeSeq: number;
  /** True of what moves beside the log (`ChangeKind.moving`). */
  moving?: true;
  type: string;
  messageId: string | null;
  /** Whom it is about: who joined, changed or left. */
  subjectId: string | null;
  /** The membership that this change ended; absent or null in all other changes, and in those of older versions. */
  membershipId?: string | null;
  /** Who made it. */
  actorId: string | null;
  /**
   * When it was committed, in milliseconds since the epoch, by the clock of the node that made it or of the database;
   * absent where nobody knows. Only for how long things take: clocks differ.
   */
  committedAt?: number;
  data: Data;
}

/** A row of the change log: a change of which `data` is still to be read. */
export type ChangeRow = Omit<Change, 'data'>;

/**
 * What a feature gives the feed for its types of changes. Between nodes `data` travels as JSON, versioned: a node
 * that does not understand it reads the state from the database instead.
 */
export interface ChangeKind<Data = unknown> {
  types: readonly string[];
  encode(data: Data): unknown;
  /** Undefined when it is of a version that is not understood here. */
  decode(json: unknown): Data | undefined;
  /** The present state for changes read from the log; one entry a row, null where nothing is left to tell. */
  load(db: Db, rows: readonly ChangeRow[]): Promise<(Data | null)[]>;
  /** Who is in the conversation since this change; absent on types that bring nobody in. */
  joined?(change: Change<Data | null>): readonly string[];
  /** Of one of these the number of the newest message that is not for them to see; 0: all are. */
  hiddenTo?(change: Change<Data>, userId: string): number;
  /** The number of the message that a change is of: it is not for those who may not see that. Absent: for everyone. */
  messageSeq?(change: Change<Data>): number;
  /** Who is no longer in it; absent on types after which nobody has gone. */
  left?(change: Change<Data | null>): readonly string[];
  /** Present on types that are not in the change log. Between nodes then only their rows travel. */
  moving?: Moving<Data>;
  /** True of types of which nothing is kept: who listens just now is told. */
  fleeting?: true;
}

/** Things of one conversation that moved, by their subjects alone: there can be many. */
export interface MissedMoves {
  type: string;
  conversationId: string;
  /** Separated by spaces: one text takes less memory than one for each. */
  subjectIds: string;
}

export interface Audience {
  userId: string;
  conversationIds: readonly string[];
  limit: number;
}

/**
 * Things that only move forward, each of a conversation and a subject: of many moves only the newest state counts, so
 * that they need no number under the conversation's lock.
 */
interface Moving<Data = unknown> {
  /** What moved in transactions that the snapshot has not seen. Each thing once, with the number that `versionOf` gives. */
  movedSince(db: Db, snapshot: string): Promise<ChangeRow[]>;
  /** What of that is for one person in these conversations, at most `limit`. Each thing once. */
  missedSince(db: Db, snapshot: string, of: Audience): Promise<MissedMoves[]>;
  /** Grows with each move. */
  versionOf(data: Data): number;
  /** The conversation's newest change when the state was read. */
  positionOf(data: Data): number;
  /** The one person whom it is for; undefined: everyone in the conversation. */
  onlyFor(change: Change<Data>): string | undefined;
}

/** A row of what moves beside the log. */
export const moveOf = (row: Pick<ChangeRow, 'conversationId' | 'type' | 'subjectId' | 'changeSeq'>): ChangeRow => ({
  ...row,
  moving: true,
  messageId: null,
  actorId: row.subjectId,
});
