import { afterKeyset, type PageRequest } from '../../core/page.js';
import {
  type Attachment,
  Prisma,
  type Status,
  type StatusAudienceMode,
  type StatusMute,
  type StatusView,
  type User,
} from '../../generated/prisma/client.js';
import { type Db, queryIn, type Sql, type SqlTransaction, type Tx } from '../../infra/database/database.js';
import { defineLookup } from '../../platform/service.js';
import { haveBlock } from '../user/reach.store.js';
import { userColumns } from '../user/user.store.js';
import { STATUS_DELETED, STATUS_POSTED, type StatusChangeType } from './status.events.js';

export type { Status, StatusAudienceMode };

/** The columns that clients can learn about; `inputHash` is compared in the database only. */
const columns = Prisma.sql`
  status.id::text, status.author_id::text AS "authorId", status.client_status_id AS "clientStatusId", status.text,
  status.style, status.audience::text, status.created_at AS "createdAt", status.expires_at AS "expiresAt",
  status.deleted_at AS "deletedAt", ''::bytea AS "inputHash"`;

/** Whether an audience contains a user: SQL over the columns of an audience, all given as SQL expressions. */
const contains = (mode: Prisma.Sql, isListed: Prisma.Sql) => Prisma.sql`
  CASE ${mode} WHEN 'CONTACTS' THEN TRUE WHEN 'ONLY' THEN ${isListed} ELSE NOT ${isListed} END`;

/** Whether two users have each other as contacts, and neither has blocked the other: SQL over expressions of their ids. */
const areMutualContacts = (one: Prisma.Sql, other: Prisma.Sql) => Prisma.sql`(
  EXISTS (SELECT FROM contacts WHERE owner_id = ${one} AND user_id = ${other} OFFSET 0)
  AND EXISTS (SELECT FROM contacts WHERE owner_id = ${other} AND user_id = ${one} OFFSET 0)
  AND NOT ${haveBlock(one, other)})`;

/** Whether a user belongs to the audience of the row `status`, even if it has expired or was deleted. */
const isInAudience = (viewerId: Prisma.Sql) => Prisma.sql`(
  ${areMutualContacts(viewerId, Prisma.sql`status.author_id`)}
  AND ${contains(
    Prisma.sql`status.audience`,
    Prisma.sql`EXISTS (SELECT FROM status_listed WHERE status_id = status.id AND user_id = ${viewerId})`,
  )}
  AND EXISTS (SELECT FROM users WHERE id = status.author_id AND suspended_at IS NULL AND deleted_at IS NULL))`;

/** Whether the row `status` exists for clients: by the clock of the database, whether or not it was cleaned up. */
const isLive = Prisma.sql`(status.deleted_at IS NULL AND status.expires_at > statement_timestamp())`;

/** Whether a user can see the row `status`. All reads of statuses, and of what belongs to them, use this condition. */
export const isVisibleTo = (viewerId: Prisma.Sql) => Prisma.sql`(
  ${isLive} AND (
    status.author_id = ${viewerId}
    OR (${isInAudience(viewerId)}
      AND NOT EXISTS (SELECT FROM attachments WHERE status_id = status.id AND state <> 'READY'))))`;

/** These statuses, in the same order. An entry is null if the user cannot see the status. */
export async function findVisible(sql: Sql, viewerId: string, ids: readonly string[]): Promise<(Status | null)[]> {
  const rows = await sql.query<Status>(Prisma.sql`
    SELECT ${columns} FROM statuses status
    WHERE status.id = ANY (${ids}::uuid[]) AND ${isVisibleTo(Prisma.sql`${viewerId}::uuid`)}`);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** The present time by the clock that decides whether a status has expired. */
export async function readClock(sql: Sql): Promise<Date> {
  const [row] = await sql.query<{ now: Date }>(Prisma.sql`SELECT clock_timestamp() AS now`);
  return row?.now ?? new Date();
}

/** A status in the feed of a user. */
export type FeedStatus = Status & { author: User; isViewed: boolean; isMuted: boolean };

/** The statuses of others that a user can see, oldest first. */
export async function findFeed(sql: Sql, viewerId: string, withMuted: boolean): Promise<FeedStatus[]> {
  const viewer = Prisma.sql`${viewerId}::uuid`;
  const rows = await sql.query<Record<string, unknown>>(Prisma.sql`
    SELECT ${columns}, ${userColumns.select},
           EXISTS (SELECT FROM status_views WHERE status_id = status.id AND viewer_id = ${viewer}) AS "isViewed",
           mute.owner_id IS NOT NULL AS "isMuted"
    FROM contacts own
    JOIN statuses status ON status.author_id = own.user_id AND ${isVisibleTo(viewer)}
    JOIN users person ON person.id = status.author_id
    LEFT JOIN status_mutes mute ON mute.owner_id = own.owner_id AND mute.author_id = own.user_id
    WHERE own.owner_id = ${viewer} ${withMuted ? Prisma.empty : Prisma.sql`AND mute.owner_id IS NULL`}
    ORDER BY status.created_at, status.id`);
  return rows.flatMap((row) => {
    const author = userColumns.of(row);
    return author ? [{ ...(row as unknown as FeedStatus), author }] : [];
  });
}

/** The statuses of a user that have not expired, oldest first. */
export const findOwn = (sql: Sql, authorId: string): Promise<Status[]> =>
  sql.query<Status>(Prisma.sql`
    SELECT ${columns} FROM statuses status WHERE status.author_id = ${authorId}::uuid AND ${isLive}
    ORDER BY status.created_at, status.id`);

/** A status to be stored. */
export type NewStatus = Pick<Status, 'id' | 'authorId' | 'clientStatusId' | 'inputHash' | 'text' | 'style'>;

/** A status that was posted before with the same `clientStatusId`. */
export interface Posted {
  status: Status;
  /** Whether it was posted with the same input. */
  isSame: boolean;
}

const isSame = (inputHash: Uint8Array) =>
  Prisma.sql`input_hash = decode(${Buffer.from(inputHash).toString('hex')}, 'hex') AS "isSame"`;

const postedOf = ({ isSame, ...status }: Status & { isSame: boolean }): Posted => ({ status, isSame });

export async function findPosted(
  sql: SqlTransaction,
  { authorId, clientStatusId, inputHash }: Pick<NewStatus, 'authorId' | 'clientStatusId' | 'inputHash'>,
): Promise<Posted | undefined> {
  const [row] = await sql.query<Status & { isSame: boolean }>(Prisma.sql`
    SELECT ${columns}, ${isSame(inputHash)} FROM statuses status
    WHERE author_id = ${authorId}::uuid AND client_status_id = ${clientStatusId}`);
  return row && postedOf(row);
}

/**
 * Stores a status that expires after `ttlMs` milliseconds by the clock of the database, unless its `clientStatusId` was
 * used, or `max` statuses of the author have not expired. The caller has locked the count.
 * @param audience undefined for the one that the author has set.
 * @returns the status, or the one of before; undefined if there are too many.
 */
export async function storeStatus(
  sql: SqlTransaction,
  { id, authorId, clientStatusId, inputHash, text, style }: NewStatus,
  { audience, ttlMs, max }: { audience: Audience | undefined; ttlMs: number; max: number },
): Promise<(Posted & { isNew: boolean }) | undefined> {
  const author = Prisma.sql`${authorId}::uuid`;
  const [row] = await sql.query<Status & { isSame: boolean; isNew: boolean }>(
    Prisma.sql`
    WITH before AS (
      SELECT * FROM statuses WHERE author_id = ${author} AND client_status_id = ${clientStatusId}
    ),
    chosen AS (
      SELECT coalesce(${audience?.mode ?? null}::"StatusAudienceMode", own.mode, 'CONTACTS') AS mode,
             coalesce(${audience ? [...audience.listedIds] : null}::uuid[], own.listed_ids, '{}') AS listed_ids,
             clock_timestamp() AS at
      FROM (SELECT) one LEFT JOIN status_audiences own ON own.user_id = ${author}
    ),
    stored AS (
      INSERT INTO statuses (id, author_id, client_status_id, input_hash, text, style, audience, created_at, expires_at)
      SELECT ${id}::uuid, ${author}, ${clientStatusId}, decode(${Buffer.from(inputHash).toString('hex')}, 'hex'), ${text},
             ${style}, mode, at, at + ${ttlMs}::float8 * interval '1 millisecond'
      FROM chosen
      WHERE NOT EXISTS (SELECT FROM before)
        AND (SELECT count(*) FROM statuses status WHERE status.author_id = ${author} AND ${isLive}) < ${max}
      RETURNING *
    ),
    listed AS (
      INSERT INTO status_listed (status_id, user_id)
      SELECT stored.id, unnest(chosen.listed_ids) FROM stored, chosen WHERE chosen.mode <> 'CONTACTS'
    )
    SELECT ${columns}, ${isSame(inputHash)}, "isNew"
    FROM (SELECT *, TRUE AS "isNew" FROM stored UNION ALL SELECT *, FALSE FROM before) status`,
    'storeStatus',
  );
  if (!row) return undefined;
  const { isNew, ...posted } = row;
  return { ...postedOf(posted), isNew };
}

/** Lets a status show an upload. */
export async function attachFile(sql: SqlTransaction, statusId: string, attachmentId: string): Promise<void> {
  await sql.query(Prisma.sql`
    UPDATE attachments SET status_id = ${statusId}::uuid, expires_at = NULL WHERE id = ${attachmentId}::uuid`);
}

/** Deletes what a status shows, and its file. Returns null if there is no such status of this author. */
export async function deleteStatusRow(tx: Tx, authorId: string, id: string): Promise<{ isLive: boolean } | null> {
  const [row] = await tx.$queryRaw<{ isLive: boolean }[]>`
    SELECT ${isLive} AS "isLive" FROM statuses status
    WHERE status.id = ${id}::uuid AND status.author_id = ${authorId}::uuid FOR UPDATE`;
  if (!row) return null;
  if (row.isLive) {
    await tx.$executeRaw`UPDATE statuses SET deleted_at = clock_timestamp(), text = NULL WHERE id = ${id}::uuid`;
    await tx.attachment.deleteMany({ where: { statusId: id } });
  }
  return row;
}

// ── views ──

/** Stores that a user has viewed these of the statuses that they can see. Returns those that are new, and all of them. */
export async function storeViews(
  sql: Sql,
  viewerId: string,
  ids: readonly string[],
): Promise<{ status: Status; isNew: boolean }[]> {
  const viewer = Prisma.sql`${viewerId}::uuid`;
  const rows = await sql.query<Status & { isNew: boolean }>(Prisma.sql`
    WITH visible AS MATERIALIZED (
      SELECT status.* FROM statuses status WHERE status.id = ANY (${ids}::uuid[]) AND ${isVisibleTo(viewer)}
    ),
    stored AS (
      INSERT INTO status_views (status_id, viewer_id, is_reported)
      SELECT id, ${viewer}, NOT EXISTS (SELECT FROM status_views_hidden WHERE user_id = ${viewer})
      FROM visible WHERE author_id <> ${viewer} ORDER BY id
      ON CONFLICT DO NOTHING RETURNING status_id
    )
    SELECT ${columns}, status.id IN (SELECT status_id FROM stored) AS "isNew" FROM visible status`);
  const byId = new Map(rows.map(({ isNew, ...status }) => [status.id, { status, isNew }]));
  return [...new Set(ids)].flatMap((id) => byId.get(id) ?? []);
}

/** Whether a user has viewed a status. Reads are batched, for events that many viewers receive. */
export const viewedLookup = defineLookup(
  'viewed statuses',
  async ({ database }, keys: readonly { viewerId: string; statusId: string }[]): Promise<boolean[]> => {
    const rows = await database.sql.query<{ n: number }>(Prisma.sql`
      SELECT key.n::int AS n
      FROM unnest(${keys.map(({ statusId }) => statusId)}::uuid[], ${keys.map(({ viewerId }) => viewerId)}::uuid[])
           WITH ORDINALITY AS key (status_id, viewer_id, n)
      JOIN status_views viewed ON viewed.status_id = key.status_id AND viewed.viewer_id = key.viewer_id`);
    const viewed = new Set(rows.map(({ n }) => n - 1));
    return keys.map((_key, index) => viewed.has(index));
  },
);

/** The condition for the views that the author of a status can see. The count and the list use the same one. */
const REPORTED = { isReported: true } as const;

/** The number of views of each of these statuses that their author can see, in the same order. */
export async function countViews(db: Db, ids: readonly string[]): Promise<number[]> {
  const rows = await db.statusView.groupBy({
    by: ['statusId'],
    where: { statusId: { in: [...ids] }, ...REPORTED },
    _count: true,
  });
  const counts = new Map(rows.map(({ statusId, _count }) => [statusId, _count]));
  return ids.map((id) => counts.get(id) ?? 0);
}

/** A page of the views of a status that its author can see, latest first. */
export const listViews = (
  db: Db,
  statusId: string,
  page: PageRequest<readonly ['date', 'uuid']>,
): Promise<StatusView[]> =>
  db.statusView.findMany({
    where: { statusId, ...REPORTED, ...afterKeyset(page.from, 'viewedAt', 'viewerId', 'latest first') },
    orderBy: [{ viewedAt: 'desc' }, { viewerId: 'desc' }],
    take: page.size + 1,
  });

// ── audiences and settings ──

export interface Audience {
  mode: StatusAudienceMode;
  listedIds: readonly string[];
}

/** The audience of the user's next status. */
export async function findAudience(db: Db | Tx, userId: string): Promise<Audience> {
  const row = await db.statusAudience.findUnique({ where: { userId } });
  return row ?? { mode: 'CONTACTS', listedIds: [] };
}

/** Those of these ids that belong to users with an account. */
export async function findExisting(tx: Tx | SqlTransaction, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const rows = await queryIn<{ id: string }>(
    tx,
    Prisma.sql`SELECT id::text FROM users WHERE id = ANY (${ids}::uuid[]) AND deleted_at IS NULL`,
  );
  return new Set(rows.map(({ id }) => id));
}

/** A page of the users who would see a status with this audience now, by their ids. */
export async function listAudience(
  sql: Sql,
  authorId: string,
  { mode, listedIds }: Audience,
  { from, size }: PageRequest<readonly ['uuid']>,
): Promise<User[]> {
  const author = Prisma.sql`${authorId}::uuid`;
  const rows = await sql.query<Record<string, unknown>>(Prisma.sql`
    SELECT ${userColumns.select}
    FROM contacts own JOIN users person ON person.id = own.user_id AND person.deleted_at IS NULL
    WHERE own.owner_id = ${author} AND ${areMutualContacts(Prisma.sql`own.user_id`, author)}
      AND ${contains(Prisma.sql`${mode}::text`, Prisma.sql`(own.user_id = ANY (${listedIds}::uuid[]))`)}
      AND (${from === undefined} OR own.user_id > ${from?.[0] ?? authorId}::uuid)
    ORDER BY own.user_id LIMIT ${size + 1}::int`);
  return rows.flatMap((row) => userColumns.of(row) ?? []);
}

/** The number of users who would see a status with this audience now. */
export async function countAudience(sql: Sql, authorId: string, { mode, listedIds }: Audience): Promise<number> {
  const author = Prisma.sql`${authorId}::uuid`;
  const [row] = await sql.query<{ count: number }>(Prisma.sql`
    SELECT count(*)::int AS count
    FROM contacts own JOIN users person ON person.id = own.user_id AND person.deleted_at IS NULL
    WHERE own.owner_id = ${author} AND ${areMutualContacts(Prisma.sql`own.user_id`, author)}
      AND ${contains(Prisma.sql`${mode}::text`, Prisma.sql`(own.user_id = ANY (${listedIds}::uuid[]))`)}`);
  return row?.count ?? 0;
}

/** Whether views of and by each of these users are reported, in the same order. */
export async function findReporting(db: Db | Tx, userIds: readonly string[]): Promise<boolean[]> {
  const rows = await db.statusViewsHidden.findMany({ where: { userId: { in: [...userIds] } } });
  const hidden = new Set(rows.map(({ userId }) => userId));
  return userIds.map((id) => !hidden.has(id));
}

/** A page of the authors whom a user has muted, latest first. */
export async function listMutes(
  db: Db,
  ownerId: string,
  page: PageRequest<readonly ['date', 'uuid']>,
): Promise<(StatusMute & { author: User })[]> {
  const rows = await db.statusMute.findMany({
    where: { ownerId, ...afterKeyset(page.from, 'mutedAt', 'authorId', 'latest first') },
    orderBy: [{ mutedAt: 'desc' }, { authorId: 'desc' }],
    take: page.size + 1,
  });
  const authors = await db.user.findMany({ where: { id: { in: rows.map(({ authorId }) => authorId) } } });
  const byId = new Map(authors.map((author) => [author.id, author]));
  return rows.flatMap((row) => {
    const author = byId.get(row.authorId);
    return author ? [{ ...row, author }] : [];
  });
}

/** The files of these statuses, in the same order. */
export async function findFiles(db: Db, statusIds: readonly string[]): Promise<(Attachment | null)[]> {
  const rows = await db.attachment.findMany({ where: { statusId: { in: [...statusIds] } } });
  const byStatus = new Map(rows.map((row) => [row.statusId, row]));
  return statusIds.map((id) => byStatus.get(id) ?? null);
}

// ── delivery ──

/** A change of a status, and those of the asked users who are to be notified of it. */
export interface Delivery {
  authorId: string;
  changeSeq: number;
  type: StatusChangeType;
  status: Status;
  viewerIds: string[];
}

/** How long after a change it is still delivered, in milliseconds. Changes are noticed within seconds. */
const DELIVERED_WITHIN_MS = 60_000;
/** The maximum number of changes that one statement reads per author. */
const CHANGES_MAX = 100;

/**
 * Reads the changes of the statuses of these authors that have a number higher than `after`.
 * @param among the users who can be notified; null if there are too many of them to be sent to the database.
 */
export async function findDeliveries(
  sql: SqlTransaction,
  authors: readonly { id: string; after: number }[],
  among: readonly string[] | null,
): Promise<Delivery[]> {
  const statement = Prisma.sql`
    SELECT change.change_seq AS "changeSeq", change.type, ${columns},
           ARRAY(
             SELECT other.user_id::text FROM contacts other
             WHERE other.owner_id = status.author_id
               ${among ? Prisma.sql`AND other.user_id = ANY (${among}::uuid[])` : Prisma.empty}
               AND (change.type = ${STATUS_DELETED} AND ${isInAudience(Prisma.sql`other.user_id`)}
                    OR change.type = ${STATUS_POSTED} AND ${isVisibleTo(Prisma.sql`other.user_id`)})
               AND NOT EXISTS (SELECT FROM status_mutes WHERE owner_id = other.user_id AND author_id = status.author_id)
             UNION ALL
             SELECT status.author_id::text
           ) AS "viewerIds"
    FROM unnest(${authors.map(({ id }) => id)}::uuid[], ${authors.map(({ after }) => after)}::int[]) AS author (id, after)
    CROSS JOIN LATERAL (
      SELECT change_seq, type, subject_id FROM changes
      WHERE conversation_id = author.id AND change_seq > author.after AND type = ANY (${[STATUS_POSTED, STATUS_DELETED]})
        AND created_at > statement_timestamp() - ${DELIVERED_WITHIN_MS} * interval '1 millisecond'
      ORDER BY change_seq LIMIT ${CHANGES_MAX}
    ) change
    JOIN statuses status ON status.id = change.subject_id
    ORDER BY author.id, change.change_seq`;
  const name = among ? 'statusDeliveriesAmong' : 'statusDeliveries';
  const rows = await sql.query<Status & Omit<Delivery, 'status'>>(statement, name);
  return rows.map(({ changeSeq, type, viewerIds, ...status }) => ({
    authorId: status.authorId,
    changeSeq,
    type,
    status,
    viewerIds,
  }));
}

// ── replies ──

/** The status that a message replies to. */
export interface StatusReplyInfo {
  statusId: string;
  excerpt: string | null;
}

/** The number of characters of a status's text that a reply keeps. */
const EXCERPT_CHARS = 100;

/** A status to which the other user of a direct conversation can reply. */
export type Repliable = StatusReplyInfo & { n: number; senderId: string };

/** The statuses to which a message in each of these conversations wants to reply, with who can do so. */
export const findRepliable = (
  sql: Sql,
  wanted: readonly { conversationId: string; statusId: string }[],
): Promise<Repliable[]> =>
  sql.query<Repliable>(Prisma.sql`
    SELECT wanted.n::int AS n, status.id::text AS "statusId", left(status.text, ${EXCERPT_CHARS}) AS excerpt,
           sender.user_id::text AS "senderId"
    FROM unnest(${wanted.map(({ conversationId }) => conversationId)}::uuid[],
                ${wanted.map(({ statusId }) => statusId)}::uuid[]) WITH ORDINALITY AS wanted (conversation_id, status_id, n)
    JOIN conversations place ON place.id = wanted.conversation_id AND place.kind = 'DIRECT'
    JOIN statuses status ON status.id = wanted.status_id
    JOIN memberships author ON author.conversation_id = place.id AND author.user_id = status.author_id
    JOIN memberships sender ON sender.conversation_id = place.id AND sender.user_id <> status.author_id
    WHERE ${isVisibleTo(Prisma.sql`sender.user_id`)}`);

/** Stores to which statuses messages reply that were just inserted. */
export async function storeReplies(
  sql: SqlTransaction,
  replies: readonly (StatusReplyInfo & { messageId: string })[],
): Promise<void> {
  await sql.query(Prisma.sql`
    INSERT INTO status_replies (message_id, status_id, excerpt)
    SELECT message_id, status_id, nullif(excerpt, '')
    FROM unnest(${replies.map((each) => each.messageId)}::uuid[], ${replies.map((each) => each.statusId)}::uuid[],
                ${replies.map((each) => each.excerpt ?? '')}::text[]) AS reply (message_id, status_id, excerpt)`);
}

/** The status that each of these messages replies to, in the same order. Without a statement if none of them does. */
export async function findReplies(
  db: Db | Tx,
  messages: readonly { id: string; statusReply: boolean }[],
): Promise<(StatusReplyInfo | null)[]> {
  const ids = messages.flatMap(({ id, statusReply }) => (statusReply ? [id] : []));
  if (ids.length === 0) return messages.map(() => null);
  const rows = await db.statusReply.findMany({ where: { messageId: { in: ids } } });
  const byMessage = new Map(rows.map(({ messageId, statusId, excerpt }) => [messageId, { statusId, excerpt }]));
  return messages.map(({ id }) => byMessage.get(id) ?? null);
}

// ── deletion ──

/** The number of rows deleted per statement, so that locks are short. */
const TRIM_BATCH = 500;
/** How long a row remains, so that those who have seen it can be notified that it was deleted, in milliseconds. */
const KEPT_MS = 2 * DELIVERED_WITHIN_MS;

/** Deletes statuses that nobody can see any more, with what belongs to them. Returns their number. */
export async function trimStatuses(db: Db): Promise<number> {
  for (let trimmed = 0; ; ) {
    const count = await db.$executeRaw`
      DELETE FROM statuses WHERE id IN (
        SELECT id FROM statuses
        WHERE greatest(expires_at, deleted_at) < clock_timestamp() - ${KEPT_MS} * interval '1 millisecond'
          AND expires_at < clock_timestamp()
        LIMIT ${TRIM_BATCH} FOR UPDATE SKIP LOCKED
      )`;
    trimmed += count;
    if (count < TRIM_BATCH) return trimmed;
  }
}

/** Deletes everything about statuses that a user has posted, viewed and set. */
export async function deleteAllOf(tx: Tx, userId: string): Promise<void> {
  await tx.status.deleteMany({ where: { authorId: userId } });
  await tx.statusView.deleteMany({ where: { viewerId: userId } });
  await tx.statusMute.deleteMany({ where: { OR: [{ ownerId: userId }, { authorId: userId }] } });
  await tx.statusAudience.deleteMany({ where: { userId } });
  await tx.statusViewsHidden.deleteMany({ where: { userId } });
}
