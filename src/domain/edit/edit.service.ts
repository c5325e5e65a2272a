import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import type { Message, MessageVersion } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { canModerate } from '../conversation/membership.policy.js';
import { canSee } from '../message/message.policy.js';
import { canReadVersions } from './edit.policy.js';
import type { Versions, VersionsPage } from './edit.store.js';

/**
 * A page of a message's earlier texts, the latest first; null where they are not for the viewer.
 * @param read gives what of a message is there, whoever may see it.
 * @throws {ChatError} BAD_USER_INPUT.
 */
export async function listVersions(
  { config }: Deps,
  viewer: Viewer,
  message: Pick<Message, 'id' | 'seq' | 'senderId'>,
  args: PageArgs,
  read: (messageId: string, page: VersionsPage) => Promise<Versions | null>,
): Promise<Page<MessageVersion> | null> {
  const list = `edits:${message.id}`;
  const page = readPageArgs(list, args, ['int'], config);
  const found = await read(message.id, { beyond: page.from?.[0] ?? null, limit: page.size + 1 });
  if (!found || !canSee(message, found.own)) return null;
  if (!canReadVersions(message, viewer.userId, canModerate(found.conversation, found.own), config)) return null;
  return toPage(list, page, found.versions, (row) => [row.number]);
}
