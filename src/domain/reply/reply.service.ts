import { type Page, type PageArgs, readPage } from '../../core/page.js';
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
  return readPage(args, config, {
    name: `replies:${message.id}`,
    keys: ['int'],
    read: ({ from, size }) =>
      read(`${message.conversationId} ${message.seq}`, { beyond: from?.[0] ?? 0, limit: size + 1 }),
    keysetOf: (row) => [row.seq],
  });
}
