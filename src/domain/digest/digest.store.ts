import { Prisma } from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';
import type { Db, Sql, SqlTransaction, Tx } from '../../infra/database/database.js';
import { wantsNotifications } from '../notifier/notifier.levels.js';
import { type MessageDefaults, type NewMessages, recipientsOf } from '../push/recipients.js';
import { haveBlock } from '../user/reach.store.js';

/** The address of a user (a row of `users`): that of the account, or the one that the identity provider has given. */
const address = Prisma.sql`coalesce(
  (SELECT email FROM credentials WHERE credentials.user_id = users.id),
  (SELECT email FROM outside_identities WHERE outside_identities.user_id = users.id AND email <> ''
   ORDER BY created_at LIMIT 1))`;

/**
 * Begins the wait for an email for all recipients of new messages who want emails, in one statement. Users who are
 * waiting already keep their time.
 */
export const beginDigests = (
  sql: SqlTransaction,
  messages: NewMessages,
  config: MessageDefaults & Pick<Config, 'notificationEmailDigest'>,
  afterMs: number,
): Promise<unknown> =>
  sql.query(Prisma.sql`
    WITH candidate AS MATERIALIZED (
      SELECT own.conversation_id, own.user_id
      FROM memberships own
      LEFT JOIN notification_settings ON notification_settings.user_id = own.user_id
      LEFT JOIN mail_digests waiting ON waiting.user_id = own.user_id
      WHERE own.conversation_id = ANY (${messages.conversationIds}::uuid[]) AND waiting.user_id IS NULL
        AND coalesce(notification_settings.email_digest, ${config.notificationEmailDigest}::boolean)
    )
    INSERT INTO mail_digests (user_id, due_at)
    SELECT DISTINCT recipient.user_id, clock_timestamp() + ${afterMs}::float8 * interval '1 millisecond'
    FROM (${recipientsOf(config, messages, Prisma.sql`SELECT * FROM candidate`)}) AS recipient
    ORDER BY recipient.user_id
    ON CONFLICT (user_id) DO NOTHING`);

/** An email that is due, with its recipient. */
export interface DueDigest {
  userId: string;
  /** The number of emails since the user had last read everything. */
  sentCount: number;
  /** Null if no email has been sent. */
  sentAt: Date | null;
  email: string | null;
  /** Whether the user still has an account that is not suspended, and wants emails. */
  isWanted: boolean;
  preview: 'FULL' | 'SENDER' | 'NOTHING';
  locale: string | null;
  doNotDisturbUntil: Date | null;
  quietFrom: string | null;
  quietTo: string | null;
  quietTimeZone: string | null;
}

/** Claims emails that are due. Another node takes over those of a node that has crashed. */
export const claimDigests = (sql: Sql, count: number, claimMs: number, config: Config): Promise<DueDigest[]> =>
  sql.query<DueDigest>(Prisma.sql`
    WITH claimed AS (
      UPDATE mail_digests SET claimed_until = clock_timestamp() + ${claimMs}::int * interval '1 millisecond'
      WHERE user_id IN (
        SELECT user_id FROM mail_digests
        WHERE due_at <= clock_timestamp() AND claimed_until < clock_timestamp()
        ORDER BY due_at LIMIT ${count}::int FOR UPDATE SKIP LOCKED
      )
      RETURNING user_id, sent_count, sent_at
    )
    SELECT users.id::text AS "userId", claimed.sent_count AS "sentCount", claimed.sent_at AS "sentAt",
           ${address} AS email,
           (users.deleted_at IS NULL AND users.suspended_at IS NULL
             AND coalesce(settings.email_digest, ${config.notificationEmailDigest}::boolean)) AS "isWanted",
           coalesce(settings.push_preview::text, ${config.notificationPreview}::text) AS preview, settings.locale,
           settings.do_not_disturb_until AS "doNotDisturbUntil", settings.quiet_from AS "quietFrom",
           settings.quiet_to AS "quietTo", settings.quiet_time_zone AS "quietTimeZone"
    FROM claimed JOIN users ON users.id = claimed.user_id
    LEFT JOIN notification_settings settings ON settings.user_id = users.id`);

/** What a user has not read in one conversation. */
export interface UnreadConversation {
  kind: 'DIRECT' | 'GROUP';
  id: string;
  title: string | null;
  count: number;
  /** Whether some of it came after the last email. */
  isNew: boolean;
  /** Of the newest message. */
  seq: number;
  text: string;
  isEncrypted: boolean;
  senderName: string;
}

const now = Prisma.sql`clock_timestamp()`;

/** The maximum number of messages that are counted in one conversation. */
const COUNT_MAX = 100;

/** The conversations in which there is something that notifies a user and that they have not read, the latest first. */
export const findUnread = (
  sql: Sql,
  { userId, sentAt }: Pick<DueDigest, 'userId' | 'sentAt'>,
  config: MessageDefaults,
  limit: number,
): Promise<UnreadConversation[]> =>
  sql.query<UnreadConversation>(Prisma.sql`
    SELECT conversations.kind::text AS kind, conversations.id::text AS id, conversations.title,
           unread.count::int AS count, unread.is_new AS "isNew", newest.seq, newest.text,
           newest.is_encrypted AS "isEncrypted", newest.display_name AS "senderName"
    FROM memberships
    JOIN conversations ON conversations.id = memberships.conversation_id
    JOIN marks ON marks.conversation_id = memberships.conversation_id AND marks.user_id = memberships.user_id
    LEFT JOIN member_notification_settings own_settings ON own_settings.membership_id = memberships.id
    LEFT JOIN notification_settings settings ON settings.user_id = memberships.user_id
    JOIN LATERAL (
      SELECT count(*) AS count, max(those.seq) AS seq, bool_or(those.is_new) AS is_new FROM (
        SELECT messages.seq,
               messages.created_at > coalesce(${sentAt?.toISOString() ?? null}::text::timestamptz, '-infinity') AS is_new
        FROM messages
        WHERE messages.conversation_id = memberships.conversation_id
          AND messages.seq > greatest(marks.read_seq, memberships.hidden_to_seq)
          AND messages.kind = 'USER' AND messages.deleted_at IS NULL
          AND messages.sender_id IS DISTINCT FROM memberships.user_id
          AND NOT ${haveBlock(Prisma.raw('messages.sender_id'), Prisma.raw('memberships.user_id'))}
          AND (${wantsNotifications(config, 'ALL', now)}
            OR (${wantsNotifications(config, 'MENTIONS', now)}
              AND (messages.mentions_everyone OR memberships.user_id = ANY (messages.mentioned_ids) OR EXISTS (
                SELECT FROM messages replied
                WHERE replied.conversation_id = messages.conversation_id AND replied.seq = messages.reply_to_seq
                  AND replied.sender_id = memberships.user_id
              ))))
        ORDER BY messages.seq DESC LIMIT ${COUNT_MAX}::int
      ) AS those
    ) AS unread ON unread.count > 0
    JOIN LATERAL (
      SELECT messages.seq, coalesce(messages.text, '') AS text, messages.encrypted IS NOT NULL AS is_encrypted,
             coalesce(users.display_name, '') AS display_name
      FROM messages LEFT JOIN users ON users.id = messages.sender_id
      WHERE messages.conversation_id = conversations.id AND messages.seq = unread.seq
    ) AS newest ON true
    WHERE memberships.user_id = ${userId}::uuid AND conversations.latest_seq > marks.read_seq
    ORDER BY conversations.last_activity_at DESC, conversations.id DESC LIMIT ${limit}::int`);

/** Ends the wait of a user: they have read everything, or want no emails. */
export const endDigest = (db: Db | Tx, userId: string): Promise<unknown> =>
  db.mailDigest.deleteMany({ where: { userId } });

/** Continues the wait of a user. `wasSent` if an email was sent now. */
export const continueDigest = (db: Db, userId: string, afterMs: number, wasSent: boolean): Promise<number> =>
  db.$executeRaw`
    UPDATE mail_digests SET due_at = clock_timestamp() + ${afterMs}::float8 * interval '1 millisecond',
      claimed_until = '-infinity', sent_count = sent_count + ${Number(wasSent)}::int,
      sent_at = CASE WHEN ${wasSent}::boolean THEN clock_timestamp() ELSE sent_at END
    WHERE user_id = ${userId}::uuid`;
