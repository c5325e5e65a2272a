import { type Page, type PageArgs, readPage } from '../../core/page.js';
import type { Conversation } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import type { AttachmentKind, AttachmentsPage, Listed } from './media.store.js';

/**
 * A page of the attachments of a conversation that the viewer can see, newest message first, and within a message in its
 * order.
 * @param read loads a page, which is empty for non-members.
 * @throws {ChatError} BAD_USER_INPUT.
 */
export async function listAttachments(
  { config }: Deps,
  { id }: Pick<Conversation, 'id'>,
  { kind = null, ...args }: PageArgs & { kind?: AttachmentKind | null | undefined },
  read: (conversationId: string, page: AttachmentsPage) => Promise<Listed[]>,
): Promise<Page<Listed>> {
  return readPage(args, config, {
    name: `attachments:${id}:${kind ?? ''}`,
    keys: ['int', 'int'],
    read: ({ from, size }) =>
      read(id, { kind, beyond: from ? { seq: from[0], position: from[1] } : null, limit: size + 1 }),
    keysetOf: (row) => [row.seq, row.position],
  });
}
