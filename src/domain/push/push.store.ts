import { newId } from '../../core/ids.js';
import {
  type NotificationLevel,
  Prisma,
  type PushKind,
  type PushPreview,
  type PushSubscription,
  type Session,
} from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';
import type { Db, Sql, SqlTransaction, Tx } from '../../infra/database/database.js';
import { unreadMessages } from '../conversation/conversation.store.js';
import { haveBlock } from '../user/reach.store.js';
import type { PushResult, PushWait } from './push.policy.js';
import { type MessageDefaults, type NewMessages, recipientsOf } from './recipients.js';

export type { PushSubscription };

/** A device as its client registers it. */
export interface Device {
  kind: PushKind;
  /** The app of a gateway; empty for Web Push. */
  appId: string;
  endpoint: string;
  p256dh: Uint8Array<ArrayBuffer> | null;
  auth: Uint8Array<ArrayBuffer> | null;
}

/**
 * Whether a session has not ended. It does not end before the transaction does.
 */
export async function holdSession(tx: Tx, sessionId: string): Promise<boolean> {
  const rows = await tx.$queryRaw<object[]>`
    SELECT FROM sessions WHERE id = ${sessionId}::uuid AND ended_at IS NULL FOR SHARE`;
  return rows.length > 0;
}

/**
 * Stores the subscription of a device. A device that was registered before keeps its subscription if it has the same user;
 * otherwise the new user takes it over, because only one of them is using the device.
 */
export async function storeSubscription(
  tx: Tx,
  { userId, sessionId }: { userId: string; sessionId: string },
  device: Device,
): Promise<PushSubscription> {
  const { appId, endpoint } = device;
  await tx.pushSubscription.deleteMany({ where: { appId, endpoint, userId: { not: userId } } });
  return tx.pushSubscription.upsert({
    where: { appId_endpoint: { appId, endpoint } },
    create: { id: newId(), userId, sessionId, ...device },
    update: { ...device, sessionId, failures: 0, pausedUntil: new Date() },
  });
}

/** Deletes the oldest subscriptions of a user that exceed the maximum. */
export const trimSubscriptions = (tx: Tx, userId: string, max: number) => tx.$executeRaw`
  DELETE FROM push_subscriptions WHERE id IN (
    SELECT id FROM push_subscriptions WHERE user_id = ${userId}::uuid ORDER BY created_at DESC, id DESC OFFSET ${max}::int
  )`;

/** The subscriptions of a user whose sessions last, the newest first. */
export const listSubscriptions = (db: Db, userId: string, take: number): Promise<PushSubscription[]> =>
  db.pushSubscription.findMany({
    where: { userId, session: { endedAt: null, expiresAt: { gt: new Date() } } },
    orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
    take,
  });

/** These subscriptions of a user, in the same order; null for those that were deleted. */
export async function findSubscriptions(
  db: Db,
  userId: string,
  ids: readonly string[],
): Promise<(PushSubscription | null)[]> {
  const found = await db.pushSubscription.findMany({ where: { id: { in: [...ids] }, userId } });
  const byId = new Map(found.map((subscription) => [subscription.id, subscription]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** These sessions, in the same order; null for those that were deleted. */
export async function findSessions(db: Db, ids: readonly string[]): Promise<(Session | null)[]> {
  const sessions = await db.session.findMany({ where: { id: { in: [...ids] } } });
  const byId = new Map(sessions.map((session) => [session.id, session]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** Deletes the subscriptions of sessions that have expired. Returns the number of deleted rows. */
export const deleteExpiredSubscriptions = (db: Db): Promise<number> => db.$executeRaw`
  DELETE FROM push_subscriptions USING sessions WHERE sessions.id = session_id AND sessions.expires_at < clock_timestamp()`;

// ── jobs ──

/** The collapse key of the messages of a conversation, as an SQL expression. */
const conversationKey = Prisma.sql`'c:' || recipient.conversation_id`;

// These expressions are of `member_notification_settings own` and `notification_settings`, which may be missing.
const isMuted = Prisma.sql`coalesce(own.muted_until > clock_timestamp(), false)`;
const levelOf = (byDefault: NotificationLevel) =>
  Prisma.sql`coalesce(own.level::text, notification_settings.default_level::text, ${byDefault}::text)`;

/**
 * What a further message changes in a push that waits: nothing, if the push is open and contains the message by its
 * conversation's position.
 */
const collapse = Prisma.sql`
  ON CONFLICT (subscription_id, collapse_key) DO UPDATE SET
    from_seq = least(job.from_seq, excluded.from_seq), to_seq = greatest(job.to_seq, excluded.to_seq),
    is_mention = job.is_mention OR excluded.is_mention, is_open = job.is_open OR excluded.is_open
  WHERE NOT job.is_open OR excluded.from_seq < job.from_seq OR (excluded.is_mention AND NOT job.is_mention)`;

/** The last message of a push, as an SQL expression of \`push_jobs job\` and \`push_positions position\`, which may be missing. */
const lastSeq = Prisma.sql`CASE WHEN job.is_open THEN greatest(job.to_seq, position.seq) ELSE job.to_seq END`;

/**
 * Adds new messages to the pushes of all members who have devices and want to be notified of them. An open push that
 * waits contains them when the positions have moved, so that its row is not written. The positions stay locked until
 * the end of the transaction: a push ends either before, or includes the messages (\`endJobs\`).
 * @returns the number of pushes that were added or changed.
 */
export async function enqueueMessages(
  sql: SqlTransaction,
  messages: NewMessages,
  config: MessageDefaults,
): Promise<number> {
  const { ids, conversationIds } = messages;
  const moving = sql.query(
    Prisma.sql`
    INSERT INTO push_positions AS position (conversation_id, seq)
    SELECT conversation_id, max(seq) FROM messages WHERE id = ANY (${ids}::uuid[])
    GROUP BY conversation_id ORDER BY conversation_id
    ON CONFLICT (conversation_id) DO UPDATE SET seq = greatest(position.seq, excluded.seq)`,
    'movePushPositions',
  );
  // Most messages add nothing, because they are in conversations in which all devices have an open push. Both statements are
  // planned each time, because groups differ in size.
  const looking = sql.query<{ isAny: boolean }>(Prisma.sql`
    WITH lacking AS MATERIALIZED (${withoutOpenPush(conversationIds)})
    SELECT EXISTS (SELECT FROM lacking) OR EXISTS (
      SELECT FROM messages
      WHERE id = ANY (${ids}::uuid[]) AND (mentions_everyone OR mentioned_ids <> '{}' OR reply_to_seq IS NOT NULL)
    ) AS "isAny"`);
  const [, [found]] = await Promise.all([moving, looking]);
  if (!found?.isAny) return 0;
  const [row] = await sql.query<{ count: number }>(Prisma.sql`
    WITH concerned AS MATERIALIZED (
      SELECT conversation_id, unnest(mentioned_ids) AS user_id FROM messages WHERE id = ANY (${ids}::uuid[])
      UNION ALL
      SELECT replied.conversation_id, replied.sender_id
      FROM messages
      JOIN messages replied
        ON replied.conversation_id = messages.conversation_id AND replied.seq = messages.reply_to_seq
      WHERE messages.id = ANY (${ids}::uuid[])
    ),
    candidate AS MATERIALIZED (
      ${withoutOpenPush(conversationIds)}
      UNION ALL
      -- The open pushes that become urgent.
      SELECT job.conversation_id, sub.user_id, sub.id
      FROM push_jobs job
      JOIN push_subscriptions sub ON sub.id = job.subscription_id
      WHERE job.conversation_id = ANY (${conversationIds}::uuid[]) AND job.is_open AND NOT job.is_mention
        AND ((job.conversation_id, sub.user_id) IN (SELECT conversation_id, user_id FROM concerned)
          OR job.conversation_id IN (
            SELECT conversation_id FROM messages WHERE id = ANY (${ids}::uuid[]) AND mentions_everyone
          ))
    ),
    added AS (
      INSERT INTO push_jobs AS job (subscription_id, collapse_key, conversation_id, from_seq, to_seq, is_mention, is_open)
      SELECT recipient.subscription_id, ${conversationKey}, recipient.conversation_id, min(recipient.seq),
             max(recipient.seq), bool_or(recipient.is_mention), bool_or(recipient.is_for_all)
      FROM (${recipientsOf(config, messages, Prisma.sql`SELECT * FROM candidate`)}) AS recipient
      GROUP BY recipient.subscription_id, recipient.conversation_id
      -- In a fixed order, so that transactions do not deadlock.
      ORDER BY recipient.subscription_id, recipient.conversation_id
      ${collapse}
      RETURNING 1
    )
    SELECT count(*)::int AS count FROM added`);
  return row?.count ?? 0;
}

/**
 * Selects the devices of members of these conversations that have no open push. Written so that the database can exclude the
 * devices with an open push first, whose memberships are then not read.
 */
function withoutOpenPush(conversationIds: readonly string[]): Prisma.Sql {
  const [id, ...others] = conversationIds;
  // It can estimate much better how many pushes a single conversation has.
  const conversation =
    others.length === 0
      ? Prisma.sql`(SELECT ${id}::uuid AS id) AS conversation`
      : Prisma.sql`unnest(${conversationIds}::uuid[]) AS conversation (id)`;
  return Prisma.sql`
    SELECT own.conversation_id, own.user_id, sub.id AS subscription_id
    FROM ${conversation}
    CROSS JOIN push_subscriptions sub
    JOIN memberships own ON own.conversation_id = conversation.id AND own.user_id = sub.user_id
    WHERE NOT EXISTS (
      SELECT FROM push_jobs job
      WHERE job.conversation_id = conversation.id AND job.subscription_id = sub.id AND job.is_open
    )`;
}

/** A message that begins to concern a user after it was sent, for example because an edit has added a mention. */
export interface LateMention {
  userId: string;
  conversationId: string;
  seq: number;
}

/** Adds messages to the pushes of the users whom they concern. Returns the number of pushes that were added or changed. */
export async function enqueueMentions(sql: SqlTransaction, mentions: readonly LateMention[]): Promise<number> {
  const rows = await sql.query(Prisma.sql`
    INSERT INTO push_jobs AS job (subscription_id, collapse_key, conversation_id, from_seq, to_seq, is_mention)
    SELECT sub.id, ${conversationKey}, recipient.conversation_id, min(recipient.seq), max(recipient.seq), true
    FROM unnest(
      ${mentions.map(({ userId }) => userId)}::uuid[], ${mentions.map(({ conversationId }) => conversationId)}::uuid[],
      ${mentions.map(({ seq }) => seq)}::int[]
    ) AS recipient (user_id, conversation_id, seq)
    JOIN push_subscriptions sub ON sub.user_id = recipient.user_id
    GROUP BY sub.id, recipient.conversation_id
    ORDER BY sub.id, recipient.conversation_id
    ${collapse}
    RETURNING 1`);
  return rows.length;
}

/**
 * Adds pushes about something other than messages to all devices of these users, in one statement. `recipients` selects
 * `user_id`, `conversation_id` and `subject_id`. Returns the number of pushes.
 */
export async function enqueueSubjects(sql: SqlTransaction, type: string, recipients: Prisma.Sql): Promise<number> {
  const rows = await sql.query(Prisma.sql`
    INSERT INTO push_jobs
      (subscription_id, collapse_key, conversation_id, from_seq, to_seq, is_mention, subject_type, subject_id)
    SELECT sub.id, ${type}::text || ':' || recipient.subject_id, recipient.conversation_id, 0, 0, true, ${type}::text,
           recipient.subject_id
    FROM (${recipients}) AS recipient JOIN push_subscriptions sub ON sub.user_id = recipient.user_id
    ORDER BY sub.id, recipient.subject_id
    ON CONFLICT DO NOTHING
    RETURNING 1`);
  return rows.length;
}

/** A job that this node has claimed. What it is about is read afterwards (\`findDue\`). */
export interface ClaimedJob {
  subscriptionId: string;
  collapseKey: string;
  conversationId: string;
  tries: number;
  waits: PushWait[];
  createdAt: Date;
  subjectType: string | null;
  subjectId: string | null;
  /** How long ago it was created, in milliseconds by the clock of the database. */
  ageMs: number;
}

/** Claims jobs that are due. Jobs that another node has claimed are skipped until its claim ends. */
export const claimJobs = (sql: Sql, count: number, claimMs: number): Promise<ClaimedJob[]> =>
  sql.query<ClaimedJob>(Prisma.sql`
    UPDATE push_jobs SET claimed_until = clock_timestamp() + ${claimMs}::int * interval '1 millisecond'
    WHERE (subscription_id, collapse_key) IN (
      SELECT subscription_id, collapse_key FROM push_jobs
      WHERE due_at <= clock_timestamp() AND claimed_until < clock_timestamp()
      ORDER BY due_at LIMIT ${count}::int FOR UPDATE SKIP LOCKED
    )
    RETURNING subscription_id::text AS "subscriptionId", collapse_key AS "collapseKey",
              conversation_id::text AS "conversationId", tries, waits, created_at AS "createdAt",
              subject_type AS "subjectType", subject_id::text AS "subjectId",
              (extract(epoch FROM clock_timestamp() - created_at) * 1000)::float8 AS "ageMs"`);

/** The content and the destination of a push, with everything that decides whether it is sent. */
export interface DuePush {
  subscriptionId: string;
  userId: string;
  kind: PushKind;
  appId: string;
  endpoint: string;
  p256dh: Uint8Array | null;
  auth: Uint8Array | null;
  registeredAt: Date;
  /** The range of the messages. Not all of them are of the push. */
  fromSeq: number;
  toSeq: number;
  /** Whether one of the messages mentions the user or replies to them. */
  isMention: boolean;
  /** For how long nothing may be sent to the device, in milliseconds. */
  pausedMs: number;
  isSignedIn: boolean;
  isMember: boolean;
  isRead: boolean;
  isMuted: boolean;
  level: NotificationLevel;
  preview: PushPreview;
  /** The language that the user has chosen; null if they have not. */
  locale: string | null;
  doNotDisturbUntil: Date | null;
  quietFrom: string | null;
  quietTo: string | null;
  quietTimeZone: string | null;
  /** The number of messages that are left. */
  count: number;
  /** Their numbers: the newest ones, if there are many. */
  seqs: number[];
  /** Up to which message the user has read the conversation, or cannot see it. Null if they are not a member. */
  readSeq: number | null;
  /** Whether there are messages that are left out because one of the two users has blocked the other. */
  isBlocked: boolean;
  conversationKind: 'DIRECT' | 'GROUP';
  title: string | null;
  /** The newest message that is left; null if there is none. */
  messageId: string | null;
  seq: number | null;
  text: string | null;
  /** The encrypted content of the message, with its keys and its device. */
  encrypted: Uint8Array | null;
  senderName: string | null;
  /** The number of unread messages in all conversations that the user has not muted. */
  unreadCount: number;
}

/** The defaults for users who have not chosen a value. */
type Defaults = Pick<Config, 'notificationLevel' | 'notificationPreview'>;

/**
 * The current state of claimed jobs, in the same order; undefined if the subscription has been deleted. It must be read after
 * the claim was committed: messages that the notifier adds to a push afterwards are found when the job ends.
 */
export async function findDue(
  sql: Sql,
  jobs: readonly ClaimedJob[],
  { notificationLevel, notificationPreview }: Defaults,
): Promise<(DuePush | undefined)[]> {
  const rows = await sql.query<DuePush & { n: number }>(Prisma.sql`
    SELECT claimed.n::int AS n, sub.id::text AS "subscriptionId", sub.user_id::text AS "userId", sub.kind::text AS kind,
           sub.app_id AS "appId", sub.endpoint, sub.p256dh, sub.auth, sub.created_at AS "registeredAt",
           job.from_seq AS "fromSeq", range.to_seq AS "toSeq", job.is_mention AS "isMention",
           greatest(0, extract(epoch FROM CASE WHEN isfinite(sub.paused_until)
             THEN sub.paused_until - clock_timestamp() ELSE interval '0' END) * 1000)::float8 AS "pausedMs",
           (sessions.ended_at IS NULL AND sessions.expires_at > clock_timestamp()
             AND users.deleted_at IS NULL AND users.suspended_at IS NULL) AS "isSignedIn",
           memberships.id IS NOT NULL AS "isMember",
           coalesce(seen.seq >= range.to_seq, false) AS "isRead",
           ${isMuted} AS "isMuted", ${levelOf(notificationLevel)} AS level,
           coalesce(notification_settings.push_preview::text, ${notificationPreview}::text) AS preview, notification_settings.locale,
           notification_settings.do_not_disturb_until AS "doNotDisturbUntil",
           notification_settings.quiet_from AS "quietFrom", notification_settings.quiet_to AS "quietTo",
           notification_settings.quiet_time_zone AS "quietTimeZone",
           coalesce(counted.count, 0)::int AS count, coalesce(counted.seqs, '{}') AS seqs, seen.seq AS "readSeq", coalesce(counted.blocked, 0) > 0 AS "isBlocked",
           conversations.kind::text AS "conversationKind", conversations.title,
           newest.id::text AS "messageId", newest.seq, newest.text, newest.encrypted, newest.display_name AS "senderName",
           coalesce(unread.count, 0)::int AS "unreadCount"
    FROM unnest(${jobs.map((job) => job.subscriptionId)}::uuid[], ${jobs.map((job) => job.collapseKey)}::text[])
         WITH ORDINALITY AS claimed (subscription_id, collapse_key, n)
    JOIN push_jobs job ON job.subscription_id = claimed.subscription_id AND job.collapse_key = claimed.collapse_key
    LEFT JOIN push_positions position ON position.conversation_id = job.conversation_id
    CROSS JOIN LATERAL (SELECT ${lastSeq} AS to_seq) AS range
    JOIN push_subscriptions sub ON sub.id = job.subscription_id
    JOIN sessions ON sessions.id = sub.session_id
    JOIN users ON users.id = sub.user_id
    JOIN conversations ON conversations.id = job.conversation_id
    LEFT JOIN memberships ON memberships.conversation_id = job.conversation_id AND memberships.user_id = sub.user_id
    LEFT JOIN member_notification_settings own ON own.membership_id = memberships.id
    LEFT JOIN notification_settings ON notification_settings.user_id = sub.user_id
    LEFT JOIN marks ON marks.conversation_id = job.conversation_id AND marks.user_id = sub.user_id
    LEFT JOIN LATERAL (
      SELECT greatest(marks.read_seq, memberships.hidden_to_seq) AS seq
    ) AS seen ON true
    LEFT JOIN LATERAL (
      SELECT count(*) FILTER (WHERE NOT left_out) AS count, count(*) FILTER (WHERE left_out) AS blocked,
             array_agg(seq ORDER BY seq) FILTER (WHERE NOT left_out) AS seqs
      FROM (
        SELECT messages.seq, ${haveBlock(Prisma.raw('messages.sender_id'), Prisma.raw('sub.user_id'))} AS left_out FROM messages
        WHERE messages.conversation_id = job.conversation_id
          AND messages.seq BETWEEN greatest(job.from_seq, seen.seq + 1) AND range.to_seq
          AND messages.kind = 'USER' AND messages.deleted_at IS NULL AND messages.sender_id IS DISTINCT FROM sub.user_id
        ORDER BY messages.seq DESC LIMIT ${COUNT_MAX}::int
      ) AS those
    ) AS counted ON true
    LEFT JOIN LATERAL (
      SELECT messages.id, messages.seq, messages.text, messages.encrypted, sender.display_name
      FROM messages LEFT JOIN users sender ON sender.id = messages.sender_id
      WHERE counted.count > 0 AND messages.conversation_id = job.conversation_id
        AND messages.seq BETWEEN greatest(job.from_seq, seen.seq + 1) AND range.to_seq
        AND messages.kind = 'USER' AND messages.deleted_at IS NULL AND messages.sender_id IS DISTINCT FROM sub.user_id
        AND NOT ${haveBlock(Prisma.raw('messages.sender_id'), Prisma.raw('sub.user_id'))}
      ORDER BY messages.seq DESC LIMIT 1
    ) AS newest ON true
    LEFT JOIN LATERAL (${unreadOf(Prisma.raw('sub.user_id'))}) AS unread ON true`);
  const found: (DuePush | undefined)[] = jobs.map(() => undefined);
  for (const { n, ...row } of rows) found[n - 1] = row;
  return found;
}

/** The maximum number of messages that are counted for one push. */
export const COUNT_MAX = 100;

/** Counts the unread messages of a user in all conversations that they have not muted. */
export const unreadOf = (userId: Prisma.Sql) => Prisma.sql`
  SELECT sum(each.count)::int AS count FROM (
    SELECT ${unreadMessages} AS count
    FROM memberships
    JOIN conversations ON conversations.id = memberships.conversation_id
    JOIN marks ON marks.conversation_id = memberships.conversation_id AND marks.user_id = memberships.user_id
    LEFT JOIN member_notification_settings own ON own.membership_id = memberships.id
    WHERE memberships.user_id = ${userId} AND conversations.latest_seq > marks.read_seq AND NOT ${isMuted}
  ) AS each`;

/** What to store about a job after an attempt to send it. */
export type JobEnd = Omit<ClaimedJob, 'ageMs'> &
  (
    | {
        end: 'DONE';
        result: PushResult;
        /** Whose push it was, and about which messages; absent if the device was removed, which is recorded already. */
        push?: Pick<DuePush, 'userId' | 'kind' | 'seqs' | 'readSeq' | 'fromSeq' | 'toSeq' | 'unreadCount'> | undefined;
      }
    /** It is due again after this time. A failed attempt counts, and pauses the device. */
    | { end: 'LATER'; afterMs: number; wait: PushWait }
    /** The device is deleted. */
    | { end: 'GONE' }
  );

/**
 * Stores the ends of jobs, and records the outcomes of the pushes. A job to which messages were added meanwhile stays, for these
 * messages.
 */
export async function endJobs(sql: Sql, ends: readonly JobEnd[]): Promise<void> {
  const of = <End extends JobEnd['end']>(end: End) =>
    ends.filter((each): each is Extract<JobEnd, { end: End }> => each.end === end);
  const [done, later, gone] = [of('DONE'), of('LATER'), of('GONE')];
  if (gone.length > 0) {
    const ids = gone.map((each) => each.subscriptionId);
    // Recorded here, because the deletion of a subscription records another reason.
    await sql.query(Prisma.sql`
      WITH ended AS (DELETE FROM push_jobs WHERE subscription_id = ANY (${ids}::uuid[]) RETURNING *)
      INSERT INTO push_records
        (user_id, subscription_id, kind, conversation_id, from_seq, to_seq, result, tries, waits, queued_at)
      SELECT sub.user_id, sub.id, sub.kind, job.conversation_id, job.from_seq, ${lastSeq}, 'GONE', job.tries, job.waits,
             job.created_at
      FROM ended job
      JOIN push_subscriptions sub ON sub.id = job.subscription_id
      LEFT JOIN push_positions position ON position.conversation_id = job.conversation_id`);
    await sql.query(Prisma.sql`DELETE FROM push_subscriptions WHERE id = ANY (${ids}::uuid[])`);
  }
  if (done.length > 0) {
    const delivered = new Map(
      done.flatMap(({ result, subscriptionId, push }) =>
        result === 'SENT' && push ? [[subscriptionId, push.unreadCount]] : [],
      ),
    );
    if (delivered.size > 0) {
      await sql.query(Prisma.sql`
        UPDATE push_subscriptions sub SET last_succeeded_at = clock_timestamp(), failures = 0, badge = delivered.badge
        FROM unnest(${[...delivered.keys()]}::uuid[], ${[...delivered.values()]}::int[]) AS delivered (id, badge)
        WHERE sub.id = delivered.id`);
    }
    const rows = done.map(({ subscriptionId, collapseKey, conversationId, tries, waits, createdAt, result, push }) => {
      const { userId, kind, seqs, readSeq, fromSeq, toSeq } = push ?? {};
      const ended = { subscriptionId, collapseKey, conversationId, tries, waits, createdAt, result };
      return { ...ended, userId, kind, seqs, readSeq, fromSeq, toSeq };
    });
    await sql.query(Prisma.sql`
      WITH ended AS MATERIALIZED (
        SELECT "subscriptionId" AS subscription_id, "collapseKey" AS collapse_key, "conversationId" AS conversation_id,
               tries, "fromSeq" AS from_seq, "toSeq" AS to_seq, waits, "createdAt" AS created_at, result,
               "userId" AS user_id, kind, seqs, "readSeq" AS read_seq
        FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS ended (
          "subscriptionId" uuid, "collapseKey" text, "conversationId" uuid, tries int, "fromSeq" int,
          "toSeq" int, waits text[], "createdAt" timestamptz, result text, "userId" uuid, kind "PushKind", seqs int[],
          "readSeq" int
        )
      ),
      recorded AS (
        INSERT INTO push_records
          (user_id, subscription_id, kind, conversation_id, from_seq, to_seq, result, seqs, read_seq, tries, waits, queued_at)
        SELECT user_id, subscription_id, kind, conversation_id, from_seq, to_seq, result, seqs, read_seq, tries, waits,
               created_at
        FROM ended WHERE user_id IS NOT NULL
      ),
      -- Waits for the notifier if it is adding messages, and then includes them.
      position AS MATERIALIZED (
        SELECT conversation_id, seq FROM push_positions WHERE conversation_id IN (SELECT conversation_id FROM ended)
        ORDER BY conversation_id FOR UPDATE
      ),
      -- What is left of each job, without the messages that are done; nothing of one whose device was removed.
      rest AS MATERIALIZED (
        SELECT job.subscription_id, job.collapse_key,
               CASE WHEN job.from_seq < ended.from_seq THEN job.from_seq ELSE ended.to_seq + 1 END AS from_seq,
               ${lastSeq} AS to_seq
        FROM ended
        JOIN push_jobs job ON job.subscription_id = ended.subscription_id AND job.collapse_key = ended.collapse_key
        LEFT JOIN position ON position.conversation_id = job.conversation_id
        FOR UPDATE OF job
      ),
      deleted AS (
        DELETE FROM push_jobs job USING rest
        WHERE job.subscription_id = rest.subscription_id AND job.collapse_key = rest.collapse_key
          AND (rest.from_seq <= rest.to_seq) IS NOT TRUE
      )
      UPDATE push_jobs job SET from_seq = rest.from_seq, to_seq = rest.to_seq, tries = 0, waits = '{}',
             created_at = clock_timestamp(), due_at = clock_timestamp(), claimed_until = '-infinity'
      FROM rest
      WHERE job.subscription_id = rest.subscription_id AND job.collapse_key = rest.collapse_key
        AND rest.from_seq <= rest.to_seq`);
  }
  if (later.length > 0) {
    const hasFailed = ({ wait }: { wait: PushWait }) => wait === 'FAILED_ATTEMPT';
    const failed = later.filter(hasFailed);
    if (failed.length > 0) {
      await sql.query(Prisma.sql`
        UPDATE push_subscriptions sub
        SET failures = failures + 1, paused_until = clock_timestamp() + failed.after_ms * interval '1 millisecond'
        FROM (SELECT id, max(after_ms) AS after_ms FROM unnest(
          ${failed.map((each) => each.subscriptionId)}::uuid[], ${failed.map((each) => Math.ceil(each.afterMs))}::bigint[]
        ) AS each (id, after_ms) GROUP BY id) AS failed
        WHERE sub.id = failed.id`);
    }
    await sql.query(Prisma.sql`
      UPDATE push_jobs job
      SET due_at = clock_timestamp() + later.after_ms * interval '1 millisecond', claimed_until = '-infinity',
          tries = job.tries + later.has_failed::int,
          waits = array_append(array_remove(job.waits, later.wait), later.wait)
      FROM (SELECT * FROM unnest(
        ${later.map((each) => each.subscriptionId)}::uuid[], ${later.map((each) => each.collapseKey)}::text[],
        ${later.map((each) => Math.ceil(each.afterMs))}::bigint[], ${later.map(hasFailed)}::boolean[],
        ${later.map((each) => each.wait)}::text[]
      ) AS later (subscription_id, collapse_key, after_ms, has_failed, wait)) AS later
      WHERE job.subscription_id = later.subscription_id AND job.collapse_key = later.collapse_key`);
  }
}

/** The number of milliseconds until the next job that nobody has claimed is due; null if there is none. */
export async function nextDueMs(sql: Sql): Promise<number | null> {
  const [row] = await sql.query<{ ms: number }>(Prisma.sql`
    SELECT (extract(epoch FROM due_at - clock_timestamp()) * 1000)::float8 AS ms FROM push_jobs
    WHERE claimed_until < clock_timestamp() ORDER BY due_at LIMIT 1`);
  return row?.ms ?? null;
}

/** The number of jobs that wait, and for how long the oldest one has been due, in seconds. */
export async function readBacklog(sql: Sql): Promise<{ count: number; seconds: number }> {
  const [row] = await sql.query<{ count: number; seconds: number }>(Prisma.sql`
    SELECT count(*)::int AS count,
           coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(due_at))), 0)::float8 AS seconds
    FROM push_jobs`);
  return row ?? { count: 0, seconds: 0 };
}
