import {
  type Conversation,
  type Membership,
  type Message,
  type MessageVersion,
  Prisma,
} from '../../generated/prisma/client.js';
import type { Sql, Tx } from '../../infra/database/database.js';
import { membershipColumns } from '../conversation/conversation.store.js';

/** A page of up to `limit` earlier texts with numbers lower than `beyond`, or of the newest ones if it is null. */
export interface VersionsPage {
  beyond: number | null;
  limit: number;
}

/** Earlier texts of a message, newest first, with the data that decides who can read them. */
export interface Versions {
  conversation: Pick<Conversation, 'kind'>;
  own: Membership | null;
  versions: MessageVersion[];
}

/**
 * The same page of earlier texts of each of these messages, in the same order. It is null if the message does not
 * exist.
 */
export async function findVersions(
  sql: Sql,
  userId: string,
  messageIds: readonly string[],
  { beyond, limit }: VersionsPage,
): Promise<(Versions | null)[]> {
  type Row = MessageVersion & { messageId: string; kind: Conversation['kind']; number: number | null };
  const rows = await sql.query<Row & Record<string, unknown>>(Prisma.sql`
    SELECT messages.id::text AS "messageId", conversations.kind::text AS kind, ${membershipColumns.select},
           version.number, version.text, version.written_at AS "writtenAt"
    FROM messages
    JOIN conversations ON conversations.id = messages.conversation_id
    LEFT JOIN memberships own ON own.conversation_id = conversations.id AND own.user_id = ${userId}::uuid
    LEFT JOIN LATERAL (
      SELECT number, text, written_at FROM message_versions
      WHERE message_id = messages.id AND (${beyond}::int IS NULL OR number < ${beyond}::int)
      ORDER BY number DESC LIMIT ${limit}::int
    ) version ON own.id IS NOT NULL
    WHERE messages.id = ANY (${messageIds}::uuid[])
    ORDER BY version.number DESC`);
  const byMessage = new Map<string, Versions>();
  for (const row of rows) {
    const { messageId, kind, number, text, writtenAt } = row;
    const found = byMessage.get(messageId) ?? {
      conversation: { kind },
      own: membershipColumns.of(row) ?? null,
      versions: [],
    };
    byMessage.set(messageId, found);
    if (number !== null) found.versions.push({ messageId, number, text, writtenAt });
  }
  return messageIds.map((id) => byMessage.get(id) ?? null);
}

/**
 * Stores the current text of a message before it is replaced. At most `max` earlier texts are kept: the first one and
 * the newest ones.
 */
export async function storeVersion(
  tx: Tx,
  { id: messageId, text, createdAt, editedAt }: Pick<Message, 'id' | 'text' | 'createdAt' | 'editedAt'>,
  max: number,
): Promise<void> {
  if (text === null || max === 0) return;
  const newest = await tx.messageVersion.aggregate({ where: { messageId }, _max: { number: true } });
  const number = (newest._max.number ?? 0) + 1;
  // If only the first text is kept, it has been stored already.
  if (max > 1 || number === 1) {
    await tx.messageVersion.create({ data: { messageId, number, text, writtenAt: editedAt ?? createdAt } });
  }
  await tx.messageVersion.deleteMany({ where: { messageId, number: { gt: 1, lte: number - (max - 1) } } });
}
