import { afterKeyset, type PageRequest } from '../../core/page.js';
import { type Message, Prisma, type Report } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';
import { type EncryptedContent, readColumn } from '../encryption/encryption.content.js';

export type { Report };

/** A file of a reported message. */
export interface ReportedFile {
  name: string;
  contentType: string;
  byteSize: number;
}

/** A message that a user can see, with everything that a report of it contains. */
export interface Reportable
  extends Pick<
    Message,
    'id' | 'conversationId' | 'kind' | 'senderId' | 'text' | 'clientMessageId' | 'createdAt' | 'editedAt' | 'deletedAt'
  > {
  encrypted: EncryptedContent | null;
  /** The message to which it replies, if the user can see it. */
  replyToId: string | null;
  /** The texts before edits, oldest first. */
  earlierTexts: string[];
  files: ReportedFile[];
}

/** The maximum number of earlier texts in a report: the latest ones. */
const EARLIER_TEXTS_MAX = 20;

/** The message with this id; undefined if the user cannot see it. */
export async function findReportable(db: Db | Tx, userId: string, messageId: string): Promise<Reportable | undefined> {
  type Row = Omit<Reportable, 'encrypted'> & { encrypted: Uint8Array | null };
  const [row] = await db.$queryRaw<Row[]>`
    SELECT message.id::text, message.conversation_id::text AS "conversationId", message.kind::text AS kind,
           message.sender_id::text AS "senderId", message.text, message.client_message_id AS "clientMessageId",
           message.created_at AS "createdAt", message.edited_at AS "editedAt", message.deleted_at AS "deletedAt",
           message.encrypted, quoted.id::text AS "replyToId",
           ARRAY(
             SELECT text FROM (
               SELECT number, text FROM message_versions WHERE message_id = message.id
               ORDER BY number DESC LIMIT ${EARLIER_TEXTS_MAX}::int
             ) version ORDER BY number
           ) AS "earlierTexts",
           (SELECT coalesce(jsonb_agg(
              jsonb_build_object('name', filename, 'contentType', content_type, 'byteSize', byte_size) ORDER BY position
            ), '[]') FROM attachments WHERE message_id = message.id) AS files
    FROM messages message
    JOIN memberships own ON own.conversation_id = message.conversation_id AND own.user_id = ${userId}::uuid
      AND message.seq > own.hidden_to_seq
    LEFT JOIN messages quoted ON quoted.conversation_id = message.conversation_id
      AND quoted.seq = message.reply_to_seq AND quoted.seq > own.hidden_to_seq
    WHERE message.id = ${messageId}::uuid`;
  return row && { ...row, encrypted: row.encrypted && readColumn(row.encrypted) };
}

/** A device and all its certificates, the current one first. */
export interface CertifiedDevice {
  userId: string;
  signatureKey: Uint8Array;
  certificates: Uint8Array[];
}

/**
 * The maximum number of certificates that are read. Clients never replace the certificate of a device, so only senders who want to
 * deny what they have signed have more than one.
 */
const CERTIFICATES_MAX = 1_000;

export async function findCertifiedDevice(db: Db | Tx, deviceId: string): Promise<CertifiedDevice | undefined> {
  const device = await db.device.findUnique({ where: { id: deviceId } });
  if (!device) return undefined;
  const former = await db.formerCertificate.findMany({
    where: { deviceId },
    orderBy: { replacedAt: 'desc' },
    take: CERTIFICATES_MAX - 1,
  });
  const { userId, signatureKey, certificate } = device;
  return { userId, signatureKey, certificates: [certificate, ...former.map((each) => each.certificate)] };
}

/** Whether the reporter has an open report of a message. */
export const hasOpen = async (db: Db, reporterId: string, messageId: string): Promise<boolean> =>
  (await db.report.count({ where: { reporterId, openForMessageId: messageId } })) > 0;

/** Stores a report unless the reporter has an open one of the same message. Returns whether it is new. */
export async function storeReport(tx: Tx, data: Prisma.ReportCreateManyInput): Promise<boolean> {
  return (await tx.report.createMany({ data: [data], skipDuplicates: true })).count > 0;
}

/** Locks a report until the end of the transaction. */
export async function lockReport(tx: Tx, id: string): Promise<Report | null> {
  await tx.$queryRaw`SELECT FROM reports WHERE id = ${id}::uuid FOR UPDATE`;
  return tx.report.findUnique({ where: { id } });
}

/** When the user last reported each of these messages, in the same order; null if never. */
export async function findReportedAt(
  db: Db,
  reporterId: string,
  messageIds: readonly string[],
): Promise<(Date | null)[]> {
  const rows = await db.$queryRaw<{ messageId: string; at: Date }[]>`
    SELECT message_id::text AS "messageId", max(created_at) AS at FROM reports
    WHERE reporter_id = ${reporterId}::uuid AND message_id = ANY (${messageIds}::uuid[]) GROUP BY message_id`;
  const byMessage = new Map(rows.map(({ messageId, at }) => [messageId, at]));
  return messageIds.map((id) => byMessage.get(id) ?? null);
}

/** Which reports are listed. */
export interface ReportFilter {
  isOpen?: boolean | undefined;
}

/** Lists reports that a moderator can decide about, latest first. */
export function listReports(
  db: Db,
  viewerId: string,
  { isOpen }: ReportFilter,
  page: PageRequest<readonly ['date', 'uuid']>,
): Promise<Report[]> {
  return db.report.findMany({
    where: {
      reportedUserId: { not: viewerId },
      ...(isOpen !== undefined && { resolvedAt: isOpen ? null : { not: null } }),
      AND: afterKeyset(page.from, 'createdAt', 'id', 'latest first'),
    },
    orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
    take: page.size + 1,
  });
}

/** The number of open reports. */
export const countOpen = (db: Db): Promise<number> => db.report.count({ where: { resolvedAt: null } });

/** The number of rows deleted per statement, so that locks are short. */
const TRIM_BATCH = 1_000;

/** Deletes reports whose retention has ended. Returns their number. */
export async function trimReports(
  db: Db,
  { openMs, resolvedMs }: { openMs: number; resolvedMs: number },
): Promise<number> {
  const before = (ms: number) => Prisma.sql`clock_timestamp() - ${ms}::float8 * interval '1 millisecond'`;
  for (let trimmed = 0; ; ) {
    const count = await db.$executeRaw`
      DELETE FROM reports WHERE id IN (
        SELECT id FROM reports
        WHERE (resolved_at IS NULL AND created_at < ${before(openMs)}) OR resolved_at < ${before(resolvedMs)}
        LIMIT ${TRIM_BATCH} FOR UPDATE SKIP LOCKED
      )`;
    trimmed += count;
    if (count < TRIM_BATCH) return trimmed;
  }
}

/** Removes who has reported, and what they have written about it. The moderators can still decide about the messages. */
export async function forgetReporter(tx: Tx, userId: string): Promise<void> {
  await tx.report.updateMany({ where: { reporterId: userId }, data: { reporterId: null, comment: null } });
}
