import type { SyncCursor } from '../../core/sync-cursor.js';
import { type Conversation, type Mark, type Membership, Prisma, type User } from '../../generated/prisma/client.js';
import { columnsOf } from '../../infra/database/columns.js';
import type { Db, Sql } from '../../infra/database/database.js';
import type { Audience, ChangeRow, MissedMoves } from '../../realtime/change.js';
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

/** How far somebody says they have come; 0: nothing is said. */
export interface Move {
  conversationId: string;
  userId: string;
  deliveredSeq: number;
  readSeq: number;
}

/** What became of a move. */
export interface Moved {
  membership: Membership;
  mark: Mark;
  /** The newest message there is. */
  latestSeq: number;
  /** Whether this, or another of the same member in the same call, moved the mark. */
  hasMoved: boolean;
}

/**
 * Moves marks forward, many in one statement, without the conversations' locks. What is beyond the newest message, and
 * what is behind a mark, moves nothing. In a direct conversation in which neither can write to the other, the other one
 * goes on seeing the marks where they were, until they move when both can again.
 * @returns for each in its order: undefined where that person is not a member.
 */
export async function moveMarks(sql: Sql, moves: readonly Move[]): Promise<(Moved | undefined)[]> {
  const column = <Value>(value: (move: Move) => Value) => moves.map(value);
  const rows = await sql.query<Record<string, unknown>>(Prisma.sql`
    WITH asked AS MATERIALIZED (
      SELECT asked.*, conversations.latest_seq,
             CASE WHEN conversations.kind = 'DIRECT' THEN EXISTS (
               SELECT FROM memberships JOIN users ON users.id = memberships.user_id
               WHERE memberships.conversation_id = asked.conversation_id AND memberships.user_id <> asked.user_id
                 AND NOT ${isReachable(Prisma.raw('asked.user_id'))}
             ) ELSE false END AS is_apart
      FROM unnest(
        ${column((move) => move.conversationId)}::uuid[], ${column((move) => move.userId)}::uuid[],
        ${column((move) => move.deliveredSeq)}::int[], ${column((move) => move.readSeq)}::int[]
      ) WITH ORDINALITY AS asked (conversation_id, user_id, delivered_seq, read_seq, n)
      JOIN conversations ON conversations.id = asked.conversation_id
    ),
    furthest AS (
      SELECT conversation_id, user_id, max(greatest(delivered_seq, read_seq)) AS delivered_seq, max(read_seq) AS read_seq,
             bool_or(is_apart) AS is_apart
      FROM asked WHERE greatest(delivered_seq, read_seq) <= latest_seq GROUP BY conversation_id, user_id
    ),
    held AS MATERIALIZED (
      -- In one order for all, and in their newest state.
      SELECT marks.* FROM marks
      WHERE (conversation_id, user_id) IN (SELECT conversation_id, user_id FROM asked)
      ORDER BY conversation_id, user_id FOR UPDATE
    ),
    moved AS (
      UPDATE marks SET
        delivered_seq = greatest(held.delivered_seq, furthest.delivered_seq),
        read_seq = greatest(held.read_seq, furthest.read_seq),
        shown_delivered_seq = CASE WHEN is_apart THEN coalesce(held.shown_delivered_seq, held.delivered_seq) END,
        shown_read_seq = CASE WHEN is_apart THEN coalesce(held.shown_read_seq, held.read_seq) END,
        -- As others see it.
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
    SELECT asked.n::int AS n, asked.latest_seq AS "latestSeq", mark.has_moved AS "hasMoved",
           ${markColumns.select}, ${membershipColumns.select}
    FROM asked
    JOIN mark ON mark.conversation_id = asked.conversation_id AND mark.user_id = asked.user_id
    JOIN memberships own ON own.conversation_id = asked.conversation_id AND own.user_id = asked.user_id`);
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
 * How far everything was delivered that a cursor has seen, in each of the person's conversations (or in one) where that
 * is beyond their mark.
 */
export async function findUpTo(
  sql: Sql,
  userId: string,
  { snapshot }: SyncCursor,
  conversationId: string | null,
): Promise<{ conversationId: string; seq: number }[]> {
  // In one conversation changes commit in the order of their numbers: what a snapshot has seen of them is a beginning.
  // Where nothing of the log is seen it was trimmed since, or nothing was ever sent: all before its first send is older.
  return sql.query(Prisma.sql`
    SELECT conversations.id::text AS "conversationId", coalesce(seen.seq, unseen.seq - 1, conversations.latest_seq) AS seq
    FROM marks
    JOIN conversations ON conversations.id = marks.conversation_id
    LEFT JOIN LATERAL (
      SELECT messages.seq FROM changes JOIN messages ON messages.id = changes.message_id
      WHERE changes.conversation_id = conversations.id AND changes.type = ${messageChangeTypes.sent}
        AND pg_visible_in_snapshot(changes.xid, ${snapshot}::text::pg_snapshot)
      ORDER BY changes.change_seq DESC LIMIT 1
    ) seen ON true
    LEFT JOIN LATERAL (
      SELECT messages.seq FROM changes JOIN messages ON messages.id = changes.message_id
      WHERE seen.seq IS NULL AND changes.conversation_id = conversations.id AND changes.type = ${messageChangeTypes.sent}
      ORDER BY changes.change_seq LIMIT 1
    ) unseen ON true
    WHERE marks.user_id = ${userId}::uuid AND marks.delivered_seq < conversations.latest_seq
      AND (${conversationId}::uuid IS NULL OR marks.conversation_id = ${conversationId}::uuid)
      AND coalesce(seen.seq, unseen.seq - 1, conversations.latest_seq) > marks.delivered_seq`);
}

/** What others see of a mark. */
const shown = (mark: 'delivered' | 'read') => Prisma.raw(`coalesce(marks.shown_${mark}_seq, marks.${mark}_seq)`);

/** Whether somebody is waited for: a person who can come. */
const isAwaited = Prisma.sql`(
  SELECT users.kind = 'PERSON' AND users.suspended_at IS NULL AND users.deleted_at IS NULL
  FROM users WHERE users.id = marks.user_id)`;

/** The two lowest marks of those who are waited for, and where these are fewer, of the others. */
const lowest = (mark: 'delivered' | 'read') => {
  // Put in order before: of the first few only it is looked up who they are.
  const part = (condition: Prisma.Sql) => Prisma.sql`(
    SELECT user_id || ' ' || seq FROM (
      SELECT user_id, ${shown(mark)} AS seq FROM marks WHERE conversation_id = conversations.id ORDER BY seq OFFSET 0
    ) AS marks
    WHERE ${condition} LIMIT 2)`;
  return Prisma.sql`ARRAY(${part(isAwaited)} UNION ALL ${part(Prisma.sql`NOT ${isAwaited}`)} LIMIT 2)`;
};

/** Selects, from `conversations`, what `progressOf` takes: null of those with more members than that. */
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

/** What of a conversation's receipts is for a person: nothing but their own mark when they are no member. */
export interface Receipts {
  isMember: boolean;
  progress: Progress | null;
}

/** One statement for all of these conversations, in their order. */
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

/** Of members, as `${conversationId} ${userId}`, as that person sees them; in their order. */
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

/** Of these the ones that name the person, or everyone. */
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
}

/** How much is unread in each of these conversations, in their order; null where the person is no member. */
export async function findUnread(db: Db, userId: string, ids: readonly string[]): Promise<(Unread | null)[]> {
  const rows = await db.$queryRaw<(Unread & { id: string })[]>`
    SELECT conversations.id::text, ${unreadMessages} AS messages, ${unreadMentions} AS mentions
    FROM marks JOIN conversations ON conversations.id = marks.conversation_id
    WHERE marks.user_id = ${userId}::uuid AND marks.conversation_id = ANY (${ids}::uuid[])`;
  const byId = new Map(rows.map(({ id, messages, mentions }) => [id, { messages, mentions }]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** The same of all of a person's conversations together. */
export async function countUnread(db: Db, userId: string): Promise<number> {
  const [row] = await db.$queryRaw<{ unread: number }[]>`
    SELECT coalesce(sum(${unreadMessages}), 0)::int AS unread
    FROM memberships JOIN marks USING (conversation_id, user_id)
    JOIN conversations ON conversations.id = memberships.conversation_id
    WHERE memberships.user_id = ${userId}::uuid AND conversations.latest_seq > marks.read_seq`;
  return row?.unread ?? 0;
}

/** So many of those who have come as far as a message. */
export interface ReceiversPage {
  mark: 'delivered' | 'read';
  /** When the mark of the last one moved, as ISO 8601, and who that is; null: from the beginning. */
  behind: readonly [at: string, userId: string] | null;
  limit: number;
}

/**
 * Who has come as far as each of these messages (`conversation seq sender`), but its sender; whose mark moved last,
 * first. Who came in later is not among them.
 */
export async function findReceivers(
  sql: Sql,
  keys: readonly string[],
  { mark, behind, limit }: ReceiversPage,
): Promise<{ userId: string; at: Date }[][]> {
  const wanted = keys.map((key) => key.split(' ') as [string, string, string]);
  const column = Prisma.raw(`${mark}_at`);
  const beyond = behind
    ? Prisma.sql`AND (${column}, user_id) < (${behind[0]}::text::timestamptz, ${behind[1]}::uuid)`
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

const movedAfter = (snapshot: string) => Prisma.sql`
  xid >= pg_snapshot_xmin(${snapshot}::text::pg_snapshot)
  AND NOT pg_visible_in_snapshot(xid, ${snapshot}::text::pg_snapshot)`;

/** Marks that moved in transactions that the snapshot has not seen: see `Moving`. */
export const findMoved = (
  db: Db,
  snapshot: string,
): Promise<Pick<ChangeRow, 'conversationId' | 'subjectId' | 'changeSeq'>[]> =>
  db.$queryRaw`
    SELECT conversation_id::text AS "conversationId", user_id::text AS "subjectId",
           delivered_seq + read_seq AS "changeSeq"
    FROM marks WHERE ${movedAfter(snapshot)}`;

/** Those of them that one person sees: see `Moving`. */
export const findMissedMoves = (
  db: Db,
  snapshot: string,
  audience: Audience,
  receiptMaxMembers: number,
): Promise<Omit<MissedMoves, 'type'>[]> =>
  db.$queryRaw`
    SELECT conversation_id::text AS "conversationId", string_agg(user_id::text, ' ') AS "subjectIds"
    FROM (
      SELECT conversation_id, user_id FROM marks
      WHERE ${movedAfter(snapshot)} AND conversation_id = ANY (${audience.conversationIds}::uuid[]) AND (
        user_id = ${audience.userId}::uuid
        OR (
          shown_read_seq IS NULL
          AND (SELECT member_count FROM conversations WHERE id = conversation_id) <= ${receiptMaxMembers}::int
        )
      )
      LIMIT ${audience.limit}
    ) missed
    GROUP BY conversation_id`;

/** A member with all that an event says of their mark. */
export interface MarkState {
  membership: Membership & { user: User; mark: Mark };
  conversation: Conversation & { progress: Progress | null };
}

/** The present state of these members, in their order; null of who is none any more. */
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
