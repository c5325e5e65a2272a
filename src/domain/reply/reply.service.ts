import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import type { Message } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import type { RepliesPage } from './reply.store.js';

/**
 * A page of what answers a message, oldest first, tombstones of what was deleted among them.
 * @param read gives those that answer one message, by its conversation and number; none to who does not see that.
 * @throws {ChatError} BAD_USER_INPUT.
 */
export async function listReplies(
  { config }: Deps,
  message: Pick<Message, 'id' | 'conversationId' | 'seq'>,
  args: PageArgs,
  read: (key: string, page: RepliesPage) => Promise<Message[]>,
): Promise<Page<Message>> {
  const list = `replies:${message.id}`;
  const page = readPageArgs(list, args, ['int'], config);
  const rows = await read(`${message.conversationId} ${message.seq}`, {
    beyond: page.from?.[0] ?? 0,
    limit: page.size + 1,
  });
  return toPage(list, page, rows, (row) => [row.seq]);
}
