import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import type { Message } from '../../generated/prisma/client.js';
import { findMembership } from '../conversation/conversation.store.js';
import type { Deps, Viewer } from '../deps.js';
import { canSee } from '../message/message.policy.js';

/**
 * A page of what answers a message, oldest first, tombstones of what was deleted among them. `query` is what of them is
 * to be read.
 * @throws {ChatError} BAD_USER_INPUT.
 */
export async function listReplies(
  { database, config }: Deps,
  viewer: Viewer,
  message: Pick<Message, 'id' | 'conversationId' | 'seq'>,
  args: PageArgs,
  query: object,
): Promise<Page<Message>> {
  const list = `replies:${message.id}`;
  const page = readPageArgs(list, args, ['int'], config);
  const { conversationId, seq } = message;
  const own = await findMembership(database.db, conversationId, viewer.userId);
  const from = page.from?.[0];
  const rows = canSee(message, own)
    ? await database.db.message.findMany({
        ...query,
        where: { conversationId, replyToSeq: seq, ...(from === undefined ? {} : { seq: { gt: from } }) },
        orderBy: { seq: 'asc' },
        take: page.size + 1,
      })
    : [];
  return toPage(list, page, rows, (row) => [row.seq]);
}
