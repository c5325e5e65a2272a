import type { SyncCursor } from '../../core/sync-cursor.js';
import { type Conversation, type Mark, type Membership, Prisma, type User } from '../../generated/prisma/client.js';
import { columnsOf } from '../../infra/database/columns.js';
import type { Db, Sql } from '../../infra/database/database.js';
import type { ChangeRow, MissedWatermarks, WatermarkQuery } from '../../realtime/change.js';
import { isUnseenBy } from '../../realtime/change-log.js';
import {
  conversationColumns,
  conversationColumnsOf,
  membershipColumns,
  unreadMessages,
} from '../conversation/conversation.store.js';
import { messageChangeTypes } from '../message/message.events.js';
import { isReachable } from '../user/reach.store.js';
import { userColumns } from '../user/user.store.js';
import type { Lowest, Progress } from './receipt.policy.js';

export type { Mark };

const markColumns = columnsOf<Mark & { id: string }>('mark', {
  id: 'mark.user_id::text',
  conversationId: 'mark.conversation_id::text',
  userId: 'mark.user_id::text',
  startSeq: 'mark.start_seq',
  deliveredSeq: 'mark.delivered_seq',
  readSeq: 'mark.read_seq',
  shownDeliveredSeq: 'mark.shown_delivered_seq',
  shownReadSeq: 'mark.shown_read_seq',
  deliveredAt: 'mark.delivered_at',
  readAt: 'mark.read_at',
});

function markOf(row: Record<string, unknown>): Mark | undefined {
  const found = markColumns.of(row);
  if (!found) return undefined;
  const { id: _id, ...mark } = found;
  return mark;
}

/** The positions that a member reports; 0 leaves a mark unchanged. */
export interface Move {
  conversationId: string;
  userId: string;
  deliveredSeq: number;
  readSeq: number;
}

/** The result of a move. */
export interface Moved {
  membership: Membership;
  mark: Mark;
  /** The `seq` of the newest message. */
  latestSeq: number;
  /** Whether this move, or another one of the same member in the same call, moved the mark. */
  hasMoved: boolean;
}

/**
 * Moves marks forward in one statement, without locking conversations. Positions beyond the newest message, or not
 * after the mark, have no effect. In a direct conversation in which the users cannot reach each other, the other user
 * continues to see the previous marks until the marks move after they can reach each other again.
 * @returns the results in the same order; undefined if the user is not a member.
 */
export async function moveMarks(sql: Sql, moves: readonly Move[]): Promise<(Moved | undefined)[]> {
  const column = <Value>(value: (move: Move) => Value) => moves.map(value);
  const rows = await sql.query<Record<string, unknown>>(Prisma.sql`
    WITH requested AS MATERIALIZED (
      SELECT requested.*, conversations.latest_seq,
             CASE WHEN conversations.kind = 'DIRECT' THEN EXISTS (
               SELECT FROM memberships JOIN users ON users.id = memberships.user_id
               WHERE memberships.conversation_id = requested.conversation_id AND memberships.user_id <> requested.user_id
                 AND NOT ${isReachable(Prisma.raw('requested.user_id'))}
             ) ELSE false END AS is_apart
      FROM unnest(
        ${column((move) => move.conversationId)}::uuid[], ${column((move) => move.userId)}::uuid[],
        ${column((move) => move.deliveredSeq)}::int[], ${column((move) => move.readSeq)}::int[]
      ) WITH ORDINALITY AS requested (conversation_id, user_id, delivered_seq, read_seq, n)
      JOIN conversations ON conversations.id = requested.conversation_id
    ),
    furthest AS (
      SELECT conversation_id, user_id, max(greatest(delivered_seq, read_seq)) AS delivered_seq, max(read_seq) AS read_seq,
             bool_or(is_apart) AS is_apart
      FROM requested WHERE greatest(delivered_seq, read_seq) <= latest_seq GROUP BY conversation_id, user_id
    ),
    held AS MATERIALIZED (
      -- Locked in a fixed order to avoid deadlocks, and read in the latest version.
      SELECT marks.* FROM marks
      WHERE (conversation_id, user_id) IN (SELECT conversation_id, user_id FROM requested)
      ORDER BY conversation_id, user_id FOR UPDATE
    ),
    moved AS (
      UPDATE marks SET
        delivered_seq = greatest(held.delivered_seq, furthest.delivered_seq),
        read_seq = greatest(held.read_seq, furthest.read_seq),
        shown_delivered_seq = CASE WHEN is_apart THEN coalesce(held.shown_delivered_seq, held.delivered_seq) END,
        shown_read_seq = CASE WHEN is_apart THEN coalesce(held.shown_read_seq, held.read_seq) END,
        -- As other members see it.
        delivered_at = CASE
          WHEN NOT is_apart
            AND greatest(held.delivered_seq, furthest.delivered_seq) > coalesce(held.shown_delivered_seq, held.delivered_seq)
          THEN clock_timestamp() ELSE held.delivered_at
        END,
        read_at = CASE
          WHEN NOT is_apart AND greatest(held.read_seq, furthest.read_seq) > coalesce(held.shown_read_seq, held.read_seq)
          THEN clock_timestamp() ELSE held.read_at
        END,
        xid = pg_current_xact_id()
      FROM held JOIN furthest USING (conversation_id, user_id)
      WHERE marks.conversation_id = held.conversation_id AND marks.user_id = held.user_id
        AND (furthest.delivered_seq > held.delivered_seq OR furthest.read_seq > held.read_seq)
      RETURNING marks.*
    ),
    mark AS (
      SELECT *, true AS has_moved FROM moved
      UNION ALL
      SELECT *, false FROM held WHERE (conversation_id, user_id) NOT IN (SELECT conversation_id, user_id FROM moved)
    )
    SELECT requested.n::int AS n, requested.latest_seq AS "latestSeq", mark.has_moved AS "hasMoved",
           ${markColumns.select}, ${membershipColumns.select}
    FROM requested
    JOIN mark ON mark.conversation_id = requested.conversation_id AND mark.user_id = requested.user_id
    JOIN memberships own ON own.conversation_id = requested.conversation_id AND own.user_id = requested.user_id`);
  const results = new Array<Moved | undefined>(moves.length).fill(undefined);
  for (const row of rows) {
    const membership = membershipColumns.of(row);
    const mark = markOf(row);
    if (!membership || !mark) continue;
    const { n, latestSeq, hasMoved } = row as { n: number; latestSeq: number; hasMoved: boolean };
    results[n - 1] = { membership, mark, latestSeq, hasMoved };
  }
  return results;
}

/**
 * For each of the user's conversations (or one of them), the newest message that a cursor covers, if it is beyond their
 * delivered mark.
 */
export async function findUpTo(
  sql: Sql,
  userId: string,
  { snapshot }: SyncCursor,
  conversationId: string | null,
): Promise<{ conversationId: string; seq: number }[]> {
  // The changes of a conversation commit in the order of their numbers, so a snapshot covers a prefix of them. If it
  // covers none in the log, they were deleted from the log or nothing was ever sent: everything before the first logged
  // send is older.
  return sql.query(Prisma.sql`
    SELECT conversations.id::text AS "conversationId", coalesce(seen.seq, unseen.seq - 1, conversations.latest_seq) AS seq
    FROM marks
    JOIN conversations ON conversations.id = marks.conversation_id
    LEFT JOIN LATERAL (
      SELECT messages.seq FROM changes JOIN messages ON messages.id = changes.message_id
      WHERE changes.conversation_id = conversations.id AND changes.type = ${messageChangeTypes.sent.type}
        AND pg_visible_in_snapshot(changes.xid, ${snapshot}::text::pg_snapshot)
      ORDER BY changes.change_seq DESC LIMIT 1
    ) seen ON true
    LEFT JOIN LATERAL (
      SELECT messages.seq FROM changes JOIN messages ON messages.id = changes.message_id
      WHERE seen.seq IS NULL AND changes.conversation_id = conversations.id AND changes.type = ${messageChangeTypes.sent.type}
      ORDER BY changes.change_seq LIMIT 1
    ) unseen ON true
    WHERE marks.user_id = ${userId}::uuid AND marks.delivered_seq < conversations.latest_seq
      AND (${conversationId}::uuid IS NULL OR marks.conversation_id = ${conversationId}::uuid)
      AND coalesce(seen.seq, unseen.seq - 1, conversations.latest_seq) > marks.delivered_seq`);
}

/** The mark that other members see. */
const shown = (mark: 'delivered' | 'read') => Prisma.raw(`coalesce(marks.shown_${mark}_seq, marks.${mark}_seq)`);

/** Whether the member is waited for: an active person. */
const isAwaited = Prisma.sql`(
  SELECT users.kind = 'PERSON' AND users.suspended_at IS NULL AND users.deleted_at IS NULL
  FROM users WHERE users.id = marks.user_id)`;

/** The two lowest marks of members who are waited for, supplemented by others if there are fewer. */
const lowest = (mark: 'delivered' | 'read') => {
  // Sorted first, so that only the first few members are looked up.
  const part = (condition: Prisma.Sql) => Prisma.sql`(
    SELECT user_id || ' ' || seq FROM (
      SELECT user_id, ${shown(mark)} AS seq FROM marks WHERE conversation_id = conversations.id ORDER BY seq OFFSET 0
    ) AS marks
    WHERE ${condition} LIMIT 2)`;
  return Prisma.sql`ARRAY(${part(isAwaited)} UNION ALL ${part(Prisma.sql`NOT ${isAwaited}`)} LIMIT 2)`;
};

/** Selects, from `conversations`, the columns that `progressOf` reads; null for larger conversations. */
const progressColumns = (receiptMaxMembers: number) => Prisma.sql`
  CASE WHEN member_count <= ${receiptMaxMembers}::int THEN ${lowest('delivered')} END AS "lowestDelivered",
  CASE WHEN member_count <= ${receiptMaxMembers}::int THEN ${lowest('read')} END AS "lowestRead"`;

interface SelectedProgress {
  lowestDelivered: string[] | null;
  lowestRead: string[] | null;
}

function progressOf({ lowestDelivered, lowestRead }: SelectedProgress): Progress | null {
  return lowestDelivered && lowestRead ? { delivered: lowestOf(lowestDelivered), read: lowestOf(lowestRead) } : null;
}

const lowestOf = (selected: readonly string[]): Lowest =>
  selected.map((text) => {
    const [userId = '', seq] = text.split(' ');
    return { userId, seq: Number(seq) };
  });

/** The receipts of a conversation that a user may see. Users who are not members see nothing but their own mark. */
export interface Receipts {
  isMember: boolean;
  progress: Progress | null;
}

/** The receipts of these conversations, in the same order, with one statement. */
export async function findReceipts(
  db: Db,
  userId: string,
  ids: readonly string[],
  receiptMaxMembers: number,
): Promise<(Receipts | null)[]> {
  const rows = await db.$queryRaw<(SelectedProgress & { id: string; isMember: boolean })[]>`
    SELECT id::text, ${progressColumns(receiptMaxMembers)},
           EXISTS (SELECT FROM memberships WHERE conversation_id = conversations.id AND user_id = ${userId}::uuid) AS "isMember"
    FROM conversations WHERE id = ANY (${ids}::uuid[])`;
  const byId = new Map(rows.map((row) => [row.id, { isMember: row.isMember, progress: progressOf(row) }]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** The marks of members, given as `${conversationId} ${userId}`, as the viewer sees them, in the same order. */
export async function findMarks(db: Db, viewerId: string, members: readonly string[]): Promise<(Mark | null)[]> {
  const pairs = members.map((member) => member.split(' ') as [string, string]);
  const rows = await db.$queryRaw<Record<string, unknown>[]>`
    SELECT ${markColumns.select}
    FROM unnest(${pairs.map(([id]) => id)}::uuid[], ${pairs.map(([, id]) => id)}::uuid[]) AS member (conversation_id, user_id)
    JOIN marks mark ON mark.conversation_id = member.conversation_id AND mark.user_id = member.user_id`;
  const byMember = new Map<string, Mark>();
  for (const row of rows) {
    const mark = markOf(row);
    if (!mark) continue;
    const { deliveredSeq, readSeq, shownDeliveredSeq, shownReadSeq } = mark;
    const asShown = { deliveredSeq: shownDeliveredSeq ?? deliveredSeq, readSeq: shownReadSeq ?? readSeq };
    byMember.set(`${mark.conversationId} ${mark.userId}`, mark.userId === viewerId ? mark : { ...mark, ...asShown });
  }
  return members.map((member) => byMember.get(member) ?? null);
}

/** Those of the unread messages that mention the user or everyone. */
const unreadMentions = Prisma.sql`
  ((SELECT count(*) FROM mentions
    WHERE user_id = marks.user_id AND conversation_id = conversations.id AND seq > marks.read_seq)
   + (SELECT count(*) FROM messages
      WHERE conversation_id = conversations.id AND seq > marks.read_seq AND mentions_everyone
        AND sender_id IS DISTINCT FROM marks.user_id)
  )::int`;

export interface Unread {
  messages: number;
  mentions: number;
  /** The `latestSeq` of the conversation at the time of counting. */
  toSeq: number;
}

/** The unread counts of each of these conversations, in the same order; null if the user is not a member. */
export async function findUnread(db: Db, userId: string, ids: readonly string[]): Promise<(Unread | null)[]> {
  const rows = await db.$queryRaw<(Unread & { id: string })[]>`
    SELECT conversations.id::text, conversations.latest_seq AS "toSeq", ${unreadMessages} AS messages,
      ${unreadMentions} AS mentions
    FROM marks JOIN conversations ON conversations.id = marks.conversation_id
    WHERE marks.user_id = ${userId}::uuid AND marks.conversation_id = ANY (${ids}::uuid[])`;
  const byId = new Map(rows.map(({ id, ...unread }) => [id, unread]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** The unread counts of all conversations of a user together. */
export async function countUnread(db: Db, userId: string): Promise<number> {
  const [row] = await db.$queryRaw<{ unread: number }[]>`
    SELECT coalesce(sum(${unreadMessages}), 0)::int AS unread
    FROM memberships JOIN marks USING (conversation_id, user_id)
    JOIN conversations ON conversations.id = memberships.conversation_id
    WHERE memberships.user_id = ${userId}::uuid AND conversations.latest_seq > marks.read_seq`;
  return row?.unread ?? 0;
}

/** A page of the members who have received or read a message. */
export interface ReceiversPage {
  mark: 'delivered' | 'read';
  /** The time of the last member's mark in ISO 8601 and their id; null for the first page. */
  after: readonly [at: string, userId: string] | null;
  limit: number;
}

/**
 * The members who have received or read each of these messages (`conversation seq sender`), without its sender, latest
 * mark first. Members who joined after the message are not included.
 */
export async function findReceivers(
  sql: Sql,
  keys: readonly string[],
  { mark, after, limit }: ReceiversPage,
): Promise<{ userId: string; at: Date }[][]> {
  const wanted = keys.map((key) => key.split(' ') as [string, string, string]);
  const column = Prisma.raw(`${mark}_at`);
  const beyond = after
    ? Prisma.sql`AND (${column}, user_id) < (${after[0]}::text::timestamptz, ${after[1]}::uuid)`
    : Prisma.empty;
  const rows = await sql.query<{ n: number; userId: string; at: Date }>(Prisma.sql`
    SELECT wanted.n::int AS n, receiver.user_id::text AS "userId", receiver.at
    FROM unnest(${wanted.map(([id]) => id)}::uuid[], ${wanted.map(([, seq]) => Number(seq))}::int[],
                ${wanted.map(([, , senderId]) => senderId)}::text[])
         WITH ORDINALITY AS wanted (conversation_id, seq, sender_id, n)
    CROSS JOIN LATERAL (
      SELECT user_id, ${column} AS at FROM marks
      WHERE conversation_id = wanted.conversation_id AND start_seq < wanted.seq
        AND ${shown(mark)} >= wanted.seq AND user_id IS DISTINCT FROM nullif(wanted.sender_id, '')::uuid ${beyond}
      ORDER BY ${column} DESC, user_id DESC LIMIT ${limit}::int
    ) receiver
    ORDER BY receiver.at DESC, receiver.user_id DESC`);
  const found = keys.map((): { userId: string; at: Date }[] => []);
  for (const { n, userId, at } of rows) found[n - 1]?.push({ userId, at });
  return found;
}

/** The marks advanced by transactions that are not visible in the snapshot: see `WatermarkKind`. */
export const findAdvancedMarks = (
  db: Db,
  snapshot: string,
): Promise<Pick<ChangeRow, 'conversationId' | 'subjectId' | 'changeSeq'>[]> =>
  db.$queryRaw`
    SELECT conversation_id::text AS "conversationId", user_id::text AS "subjectId",
           delivered_seq + read_seq AS "changeSeq"
    FROM marks WHERE ${isUnseenBy(snapshot)}`;

/** Those of them that one user may see: see `WatermarkKind`. */
export const findMissedMarks = (
  db: Db,
  snapshot: string,
  query: WatermarkQuery,
  receiptMaxMembers: number,
): Promise<Omit<MissedWatermarks, 'type'>[]> =>
  db.$queryRaw`
    SELECT conversation_id::text AS "conversationId", string_agg(user_id::text, ' ') AS "subjectIds"
    FROM (
      SELECT conversation_id, user_id FROM marks
      WHERE ${isUnseenBy(snapshot)} AND conversation_id = ANY (${query.conversationIds}::uuid[]) AND (
        user_id = ${query.userId}::uuid
        OR (
          shown_read_seq IS NULL
          AND (SELECT member_count FROM conversations WHERE id = conversation_id) <= ${receiptMaxMembers}::int
        )
      )
      LIMIT ${query.limit}
    ) missed
    GROUP BY conversation_id`;

/** A member with everything that an event about their mark contains. */
export interface MarkState {
  membership: Membership & { user: User; mark: Mark };
  conversation: Conversation & { progress: Progress | null };
}

/** The current state of these members, in the same order; null for those who are no longer members. */
export async function findMarkStates(
  db: Db,
  members: readonly { conversationId: string; userId: string }[],
  receiptMaxMembers: number,
): Promise<(MarkState | null)[]> {
  const ids = [...new Set(members.map(({ conversationId }) => conversationId))];
  const rows = await db.$queryRaw<Record<string, unknown>[]>`
    WITH found AS MATERIALIZED (
      SELECT ${conversationColumns}, ${progressColumns(receiptMaxMembers)} FROM conversations WHERE id = ANY (${ids}::uuid[])
    )
    SELECT member.n::int AS n, ${foundColumns.select}, found."lowestDelivered", found."lowestRead",
           ${membershipColumns.select}, ${userColumns.select}, ${markColumns.select}
    FROM unnest(${members.map((member) => member.conversationId)}::uuid[], ${members.map((member) => member.userId)}::uuid[])
         WITH ORDINALITY AS member (conversation_id, user_id, n)
    JOIN found ON found.id = member.conversation_id::text
    JOIN memberships own ON own.conversation_id = member.conversation_id AND own.user_id = member.user_id
    JOIN users person ON person.id = member.user_id
    JOIN marks mark ON mark.conversation_id = member.conversation_id AND mark.user_id = member.user_id`;
  const states = new Array<MarkState | null>(members.length).fill(null);
  for (const row of rows) {
    const conversation = foundColumns.of(row);
    const membership = membershipColumns.of(row);
    const user = userColumns.of(row);
    const mark = markOf(row);
    if (!conversation || !membership || !user || !mark) continue;
    const progress = progressOf(row as unknown as SelectedProgress);
    states[(row['n'] as number) - 1] = {
      membership: { ...membership, user, mark },
      conversation: { ...conversation, progress },
    };
  }
  return states;
}

const foundColumns = conversationColumnsOf('found');
