import { type NotificationLevel, Prisma, type PushKind } from '../../generated/prisma/client.js';
import type { Sql, SqlTransaction } from '../../infra/database/database.js';
import type { PushResult, PushWait } from '../push/push.policy.js';

/** Records that the notifier has decided about these messages, which takes one row however many members they have. */
export const recordStep = (sql: SqlTransaction, messageIds: readonly string[]): Promise<unknown> =>
  sql.query(Prisma.sql`INSERT INTO notifier_steps (message_ids) VALUES (${messageIds}::uuid[])`, 'recordNotifierStep');

/** A message, and what decides whether a user is notified of it, apart from settings and devices. */
export interface TracedMessage {
  conversationId: string;
  seq: number;
  kind: 'USER' | 'SYSTEM';
  senderId: string | null;
  deletedAt: Date | null;
  /** When the user became a member; null if they are none. */
  joinedAt: Date | null;
  /** Whether the user is a member who can see the message. */
  isVisible: boolean;
  /** Whether it mentions the user, or replies to them. */
  isMention: boolean;
  /** When the notifier decided about it; null if it has not, or if this is no longer recorded. */
  decidedAt: Date | null;
  /** Whether the notifier has not processed the message yet. */
  isPending: boolean;
  /** The newest notification in the inbox of the user that is about the message. */
  notificationId: string | null;
}

/** How much earlier than the message its step can be, because the clock of another server measured it. */
const SKEW = Prisma.sql`interval '1 minute'`;

export async function findTraced(
  sql: Sql,
  { messageId, userId, sentType }: { messageId: string; userId: string; sentType: string },
): Promise<TracedMessage | undefined> {
  const [row] = await sql.query<TracedMessage>(Prisma.sql`
    SELECT message.conversation_id::text AS "conversationId", message.seq, message.kind::text AS kind,
           message.sender_id::text AS "senderId", message.deleted_at AS "deletedAt", own.joined_at AS "joinedAt",
           coalesce(message.seq > own.hidden_to_seq, false) AS "isVisible",
           (message.mentions_everyone OR ${userId}::uuid = ANY (message.mentioned_ids) OR EXISTS (
             SELECT FROM messages replied
             WHERE replied.conversation_id = message.conversation_id AND replied.seq = message.reply_to_seq
               AND replied.sender_id = ${userId}::uuid
           )) AS "isMention",
           (SELECT at FROM notifier_steps
            WHERE at >= message.created_at - ${SKEW} AND message.id = ANY (message_ids) ORDER BY at LIMIT 1) AS "decidedAt",
           -- Only what the notifier has not processed is read.
           EXISTS (
             SELECT FROM changes, notifier_state
             WHERE xid >= pg_snapshot_xmin(seen::pg_snapshot) AND NOT pg_visible_in_snapshot(xid, seen::pg_snapshot)
               AND type = ${sentType} AND message_id = message.id
           ) AS "isPending",
           (SELECT notifications.id::text
            FROM notification_occurrences occurrence
            JOIN notifications ON notifications.user_id = occurrence.user_id AND notifications.kind = occurrence.kind
              AND notifications.collapse_id = occurrence.collapse_id
            WHERE occurrence.subject_id = message.id AND occurrence.user_id = ${userId}::uuid
            ORDER BY notifications.created_at DESC LIMIT 1) AS "notificationId"
    FROM messages message
    LEFT JOIN memberships own ON own.conversation_id = message.conversation_id AND own.user_id = ${userId}::uuid
    WHERE message.id = ${messageId}::uuid`);
  return row;
}

/** A push about a message, of one device: it waits, or has ended. */
export interface RecordedPush {
  subscriptionId: string;
  kind: PushKind;
  queuedAt: Date;
  /** Null while it waits. */
  endedAt: Date | null;
  /** When it is tried next; null if it has ended. */
  dueAt: Date | null;
  result: PushResult | null;
  /** The messages that a sent push was about, and what the user had read. */
  seqs: number[];
  readSeq: number | null;
  tries: number;
  waits: PushWait[];
}

/** The pushes about a message to the devices of a user, the newest first. */
export const findPushes = (
  sql: Sql,
  { userId, conversationId, seq }: { userId: string; conversationId: string; seq: number },
  limit: number,
): Promise<RecordedPush[]> =>
  sql.query<RecordedPush>(Prisma.sql`
    SELECT sub.id::text AS "subscriptionId", sub.kind::text AS kind, job.created_at AS "queuedAt",
           NULL::timestamptz AS "endedAt", greatest(job.due_at, job.created_at) AS "dueAt", NULL::text AS result,
           '{}'::int[] AS seqs, NULL::int AS "readSeq", job.tries, job.waits
    FROM push_subscriptions sub
    JOIN push_jobs job ON job.subscription_id = sub.id AND job.conversation_id = ${conversationId}::uuid
      AND job.from_seq <= ${seq}::int AND (job.is_open OR job.to_seq >= ${seq}::int)
    WHERE sub.user_id = ${userId}::uuid
    UNION ALL
    SELECT subscription_id::text, kind::text, queued_at, ended_at, NULL, result, seqs, read_seq, tries, waits
    FROM push_records
    WHERE user_id = ${userId}::uuid AND conversation_id = ${conversationId}::uuid AND to_seq >= ${seq}::int
      AND from_seq <= ${seq}::int
    ORDER BY "queuedAt" DESC, "subscriptionId" LIMIT ${limit}::int`);

export type { NotificationLevel, PushKind };
