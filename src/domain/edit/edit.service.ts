import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import type { Message, MessageVersion } from '../../generated/prisma/client.js';
import { findMembership } from '../conversation/conversation.store.js';
import { canModerate } from '../conversation/membership.policy.js';
import type { Deps, Viewer } from '../deps.js';
import { canSee } from '../message/message.policy.js';
import { canReadVersions } from './edit.policy.js';

/**
 * A page of a message's earlier texts, the latest first; null where they are not for the viewer.
 * @throws {ChatError} BAD_USER_INPUT.
 */
export async function listVersions(
  { database: { db }, config }: Deps,
  viewer: Viewer,
  message: Pick<Message, 'id' | 'conversationId' | 'seq' | 'senderId'>,
  args: PageArgs,
): Promise<Page<MessageVersion> | null> {
  const list = `edits:${message.id}`;
  const page = readPageArgs(list, args, ['int'], config);
  const { conversationId } = message;
  const own = await findMembership(db, conversationId, viewer.userId);
  const conversation = await db.conversation.findUnique({ where: { id: conversationId }, select: { kind: true } });
  if (!conversation || !canSee(message, own)) return null;
  if (!canReadVersions(message, viewer.userId, canModerate(conversation, own), config)) return null;
  const from = page.from?.[0];
  const rows = await db.messageVersion.findMany({
    where: { messageId: message.id, ...(from === undefined ? {} : { number: { lt: from } }) },
    orderBy: { number: 'desc' },
    take: page.size + 1,
  });
  return toPage(list, page, rows, (row) => [row.number]);
}
