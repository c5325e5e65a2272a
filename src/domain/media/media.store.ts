import { type Attachment, type AttachmentKind, type Message, Prisma } from '../../generated/prisma/client.js';
import { type Db, queryIn, type Sql, type SqlTransaction, type Tx } from '../../infra/database/database.js';
import type { ObjectName } from '../../infra/media/store.js';
import type { AttachmentOwner } from './media.owners.js';
import type { Usable } from './media.policy.js';

export type { Attachment, AttachmentKind };

/** A smaller version of an attachment, as it is stored in the column `variants`. */
export interface Variant {
  name: Exclude<ObjectName, 'upload' | 'original'>;
  contentType: string;
  width: number;
  height: number;
  byteSize: number;
}

/** What clients can learn about an attachment. It is the same for everybody who can see the message. */
export type AttachmentInfo = Pick<
  Attachment,
  | ('id' | 'kind' | 'state' | 'filename' | 'contentType' | 'byteSize' | 'width' | 'height')
  | ('durationMs' | 'thumbHash' | 'waveform' | 'altText')
> & { variants: Variant[] };

/** The object that contains the file itself: files of kind FILE are kept as they were sent. */
export const originalOf = ({ kind }: Pick<Attachment, 'kind'>): ObjectName => (kind === 'FILE' ? 'upload' : 'original');

const infoColumns = Prisma.sql`
  attachment.id::text, attachment.kind::text, attachment.state::text, attachment.filename,
  attachment.content_type AS "contentType", attachment.byte_size AS "byteSize", attachment.width, attachment.height,
  attachment.duration_ms AS "durationMs", attachment.thumb_hash AS "thumbHash", attachment.waveform,
  attachment.alt_text AS "altText", attachment.variants`;

/** The attachments of each of these messages, in the same order. Without a statement if none of them has any. */
export async function findAttachments(
  db: Db | Tx,
  messages: readonly Pick<Message, 'id' | 'attachmentCount'>[],
): Promise<AttachmentInfo[][]> {
  const ids = messages.flatMap(({ id, attachmentCount }) => (attachmentCount === 0 ? [] : [id]));
  if (ids.length === 0) return messages.map(() => []);
  const rows = await db.$queryRaw<(AttachmentInfo & { messageId: string })[]>`
    SELECT attachment.message_id::text AS "messageId", ${infoColumns}
    FROM attachments attachment WHERE message_id = ANY (${ids}::uuid[])
    ORDER BY position`;
  const byMessage = new Map<string, AttachmentInfo[]>();
  for (const { messageId, ...info } of rows) {
    byMessage.set(messageId, [...(byMessage.get(messageId) ?? []), info]);
  }
  return messages.map(({ id }) => byMessage.get(id) ?? []);
}

/** An upload that a message is to contain, locked until the end of the transaction. */
export type LockedUpload = AttachmentInfo & Usable;

/** Locks these uploads in a fixed order. Unknown ids are skipped. */
export const lockUploads = (tx: Tx | SqlTransaction, ids: readonly string[]): Promise<LockedUpload[]> =>
  queryIn<LockedUpload>(
    tx,
    Prisma.sql`
    SELECT attachment.uploader_id::text AS "uploaderId",
           num_nonnulls(attachment.message_id, attachment.avatar_of, attachment.image_of, attachment.status_id) > 0
             AS "isUsed",
           coalesce(attachment.expires_at < clock_timestamp(), false) AS "hasExpired", ${infoColumns}
    FROM attachments attachment WHERE id = ANY (${[...new Set(ids)]}::uuid[])
    ORDER BY id FOR UPDATE`,
  );

/** Puts uploads into messages that were just stored. */
export async function storeInMessages(
  sql: SqlTransaction,
  places: readonly { attachmentId: string; messageId: string; position: number }[],
): Promise<void> {
  await sql.query(Prisma.sql`
    UPDATE attachments SET message_id = message.id, conversation_id = message.conversation_id, seq = message.seq,
           position = place.position, expires_at = NULL
    FROM unnest(${places.map((each) => each.attachmentId)}::uuid[], ${places.map((each) => each.messageId)}::uuid[],
                ${places.map((each) => each.position)}::int[]) AS place (attachment_id, message_id, position)
    JOIN messages message ON message.id = place.message_id
    WHERE attachments.id = place.attachment_id`);
}

/** The files that one user has uploaded and not deleted. */
export interface Usage {
  bytes: number;
  /** The number of uploads that are not complete. */
  open: number;
}

export async function readUsage(db: Db | Tx, userId: string): Promise<Usage> {
  const [row] = await db.$queryRaw<Usage[]>`
    SELECT coalesce(sum(byte_size), 0)::float8 AS bytes, count(*) FILTER (WHERE state = 'UPLOADING')::int AS open
    FROM attachments WHERE uploader_id = ${userId}::uuid`;
  return row ?? { bytes: 0, open: 0 };
}

/** How many files wait to be processed, and for how many attachments the bytes wait to be deleted. */
export async function readBacklog(sql: Sql): Promise<{ processing: number; deletions: number }> {
  const [row] = await sql.query<{ processing: number; deletions: number }>(Prisma.sql`
    SELECT (SELECT count(*)::int FROM attachments WHERE state = 'PROCESSING') AS processing,
           (SELECT count(*)::int FROM media_deletions) AS deletions`);
  return row ?? { processing: 0, deletions: 0 };
}

/**
 * Whether a user can see an attachment: it is in a message that they can see, the picture of any user or of a group that
 * they can see, an upload of their own that is not used in a conversation, or something that they can see shows it.
 */
const isVisibleTo = (userId: Prisma.Sql, owners: readonly AttachmentOwner[]) => Prisma.sql`(
  EXISTS (
    SELECT FROM memberships own
    WHERE own.conversation_id = coalesce(attachment.conversation_id, attachment.image_of) AND own.user_id = ${userId}
      AND coalesce(attachment.seq > own.hidden_to_seq, TRUE))
  OR (attachment.avatar_of IS NOT NULL AND attachment.state = 'READY')
  OR EXISTS (
    SELECT FROM conversations place WHERE place.id = attachment.image_of AND place.visibility = 'PUBLIC'
      AND attachment.state = 'READY')
  OR (num_nonnulls(attachment.message_id, attachment.image_of, attachment.status_id) = 0
      AND attachment.uploader_id = ${userId})
  ${Prisma.join([Prisma.empty, ...owners.map((owner) => Prisma.sql`OR ${owner.isVisibleTo(userId)}`)], ' ')})`;

/** These attachments, in the same order. An entry is null if the user may not open it. */
export async function findOpenable(
  sql: Sql,
  owners: readonly AttachmentOwner[],
  keys: readonly { userId: string; attachmentId: string }[],
): Promise<(Served | null)[]> {
  const rows = await sql.query<Served & { n: number }>(Prisma.sql`
    SELECT key.n::int AS n, attachment.store_key AS "storeKey", attachment.status_id IS NULL AS "isLasting", ${infoColumns}
    FROM unnest(${keys.map((key) => key.userId)}::uuid[], ${keys.map((key) => key.attachmentId)}::uuid[])
         WITH ORDINALITY AS key (user_id, attachment_id, n)
    JOIN attachments attachment ON attachment.id = key.attachment_id
    WHERE ${isVisibleTo(Prisma.sql`key.user_id`, owners)}`);
  const found = new Array<Served | null>(keys.length).fill(null);
  for (const { n, ...served } of rows) found[n - 1] = served;
  return found;
}

/** An attachment with what is needed to serve its bytes. */
export interface Served extends AttachmentInfo {
  storeKey: string;
  /** False if the permission to open it ends at a certain time, so that nobody may keep it. */
  isLasting: boolean;
}

/** The pictures of users and groups with these ids, in the same order. An entry is null if it is no longer a picture. */
export async function findPictures(sql: Sql, ids: readonly string[]): Promise<(Served | null)[]> {
  const rows = await sql.query<Served>(Prisma.sql`
    SELECT attachment.store_key AS "storeKey", TRUE AS "isLasting", ${infoColumns} FROM attachments attachment
    WHERE attachment.id = ANY (${ids}::uuid[]) AND num_nonnulls(attachment.avatar_of, attachment.image_of) > 0
      AND attachment.state = 'READY'`);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** Whether the user can see each of these attachments, in the same order. */
export async function findVisibleAttachments(
  db: Db,
  owners: readonly AttachmentOwner[],
  userId: string,
  ids: readonly string[],
): Promise<boolean[]> {
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT attachment.id::text FROM attachments attachment
    WHERE attachment.id = ANY (${ids}::uuid[]) AND ${isVisibleTo(Prisma.sql`${userId}::uuid`, owners)}`;
  const visible = new Set(rows.map(({ id }) => id));
  return ids.map((id) => visible.has(id));
}

/** A page of the attachments of one conversation, newest first. */
export interface AttachmentsPage {
  kind: AttachmentKind | null;
  /** The place after which the page begins, or null. */
  beyond: { seq: number; position: number } | null;
  limit: number;
}

/**
 * The same page of the attachments of each of these conversations, in the same order. It is empty for conversations that
 * the user is not a member of.
 */
export async function findPages(
  sql: Sql,
  userId: string,
  conversationIds: readonly string[],
  { kind, beyond, limit }: AttachmentsPage,
): Promise<Listed[][]> {
  const rows = await sql.query<Listed>(Prisma.sql`
    SELECT found.*
    FROM memberships own
    CROSS JOIN LATERAL (
      SELECT attachment.conversation_id::text AS "conversationId", attachment.message_id::text AS "messageId",
             attachment.seq, attachment.position, ${infoColumns}
      FROM attachments attachment
      WHERE attachment.conversation_id = own.conversation_id AND attachment.seq > own.hidden_to_seq
        AND (${kind}::text IS NULL OR attachment.kind::text = ${kind}::text)
        AND (${beyond === null} OR (attachment.seq, -attachment.position)
             < (${beyond?.seq ?? 0}::int, ${-(beyond?.position ?? 0)}::int))
      ORDER BY attachment.seq DESC, attachment.position LIMIT ${limit}::int
    ) found
    WHERE own.user_id = ${userId}::uuid AND own.conversation_id = ANY (${conversationIds}::uuid[])
    ORDER BY found.seq DESC, found.position`);
  const pages = new Map<string, Listed[]>();
  for (const row of rows) pages.set(row.conversationId, [...(pages.get(row.conversationId) ?? []), row]);
  return conversationIds.map((id) => pages.get(id) ?? []);
}

/** An attachment of a message, with its place. */
export type Listed = AttachmentInfo & { conversationId: string; messageId: string; seq: number; position: number };

/** These messages, in the same order, with null for unknown ids. */
export async function findMessages(db: Db, ids: readonly string[]): Promise<(Message | null)[]> {
  const messages = await db.message.findMany({ where: { id: { in: [...ids] } } });
  const byId = new Map(messages.map((message) => [message.id, message]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** The number of rows deleted per statement, so that locks are short. */
const TRIM_BATCH = 1_000;

/** Deletes uploads that were not used in time. Returns their number. */
export async function trimUploads(db: Db): Promise<number> {
  for (let trimmed = 0; ; ) {
    const count = await db.$executeRaw`
      DELETE FROM attachments WHERE id IN (
        SELECT id FROM attachments WHERE expires_at < clock_timestamp() LIMIT ${TRIM_BATCH} FOR UPDATE SKIP LOCKED
      ) AND message_id IS NULL`;
    trimmed += count;
    if (count < TRIM_BATCH) return trimmed;
  }
}
