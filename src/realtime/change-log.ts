import type { Db, Tx } from '../infra/database.js';
import type { Change, ChangeRow } from './change.js';

/**
 * Writes a change into the log. Call it in the transaction of the change, after raising the conversation's
 * `changeSeq`, whose row lock makes the order of numbers the order of commits.
 */
export async function recordChange<Data>(tx: Tx, change: Change<Data>): Promise<Change<Data>> {
  const { conversationId, changeSeq, type, messageId, actorId } = change;
  await tx.change.create({ data: { conversationId, changeSeq, type, messageId, actorId } });
  return change;
}

/** The changes of one conversation after `changeSeq`, in order, at most `limit`. */
export function readChangesAfter(
  db: Db,
  conversationId: string,
  changeSeq: number,
  limit: number,
): Promise<ChangeRow[]> {
  return db.change.findMany({
    where: { conversationId, changeSeq: { gt: changeSeq } },
    orderBy: { changeSeq: 'asc' },
    take: limit,
    omit: { createdAt: true },
  });
}

export interface Progress {
  conversationId: string;
  /** The first and the last of its changes since. */
  fromSeq: number;
  toSeq: number;
  types: string[];
}

/**
 * The conversations that changed since `snapshot`, and the snapshot that this was read in: whatever is in neither
 * is not committed yet. The first call, without a snapshot, only takes one.
 */
export async function readProgress(
  db: Db,
  snapshot: string | undefined,
): Promise<{ snapshot: string; progress: Progress[] }> {
  const rows = await db.$queryRaw<
    { snapshot: string; conversationId: string | null; fromSeq: number; toSeq: number; types: string[] }[]
  >`
    WITH present AS MATERIALIZED (SELECT pg_current_snapshot()::text AS snapshot),
    moved AS (
      SELECT conversation_id, min(change_seq) AS from_seq, max(change_seq) AS to_seq,
             array_agg(DISTINCT type) AS types
      FROM changes
      WHERE xid >= pg_snapshot_xmin(${snapshot ?? null}::text::pg_snapshot)
        AND NOT pg_visible_in_snapshot(xid, ${snapshot ?? null}::text::pg_snapshot)
      GROUP BY conversation_id
    )
    SELECT snapshot, conversation_id::text AS "conversationId", from_seq AS "fromSeq", to_seq AS "toSeq", types
    FROM present LEFT JOIN moved ON true`;
  const first = rows[0] as (typeof rows)[number];
  const progress = rows.flatMap(({ conversationId, fromSeq, toSeq, types }) =>
    conversationId === null ? [] : [{ conversationId, fromSeq, toSeq, types }],
  );
  return { snapshot: first.snapshot, progress };
}

/**
 * What a snapshot does not see of some conversations: of each message only the latest change, and of the types
 * asked for only. By conversation, in the order of changes (transaction ids are given before the wait for a row lock,
 * so they do not tell the order).
 */
export function readMissed(
  db: Db,
  snapshot: string,
  conversationIds: readonly string[],
  types: readonly string[],
): Promise<ChangeRow[]> {
  return db.$queryRaw<ChangeRow[]>`
    SELECT conversation_id::text AS "conversationId", change_seq AS "changeSeq", type,
           message_id::text AS "messageId", actor_id::text AS "actorId"
    FROM (
      SELECT DISTINCT ON (conversation_id, message_id) *
      FROM changes
      WHERE xid >= pg_snapshot_xmin(${snapshot}::text::pg_snapshot)
        AND NOT pg_visible_in_snapshot(xid, ${snapshot}::text::pg_snapshot)
        AND conversation_id = ANY (${conversationIds}::uuid[]) AND type = ANY (${types}::text[])
      ORDER BY conversation_id, message_id, change_seq DESC
    ) latest
    ORDER BY conversation_id, change_seq`;
}
