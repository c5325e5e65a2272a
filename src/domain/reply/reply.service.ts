import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import type { Message } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import type { RepliesPage } from './reply.store.js';

/**
 * A page of the replies to a message, oldest first, including tombstones of deleted replies.
 * @param read loads a page of the replies to a message by a key of the form `conversationId seq`. It returns an empty
 *   array if the viewer cannot see the message.
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
