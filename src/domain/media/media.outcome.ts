import type { Attachment, Prisma } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { recordChange } from '../../realtime/change-log.js';
import { conversationChanged } from '../conversation/conversation.events.js';
import {
  changeConversation,
  countChanges,
  findModeratorIds,
  lock,
  lockAndNumber,
} from '../conversation/conversation.store.js';
import { changePerson } from '../conversation/person-change.js';
import { messageChanged } from '../message/message.events.js';
import { messageParts } from '../message/message.part.js';
import { storedPicture } from '../user/picture.js';
import { lockUserForUpdate } from '../user/user.store.js';
import { attachmentOwners } from './media.owners.js';
import { mediaChanged } from './media.part.js';

/** Rolls the transaction back, because the attachment was processed, deleted, or put to another use in the meantime. */
class HasChanged extends Error {}

/** The outcome of the processing of a file: the columns to set. */
type Outcome = Prisma.AttachmentUpdateManyMutationInput & { state: 'READY' | 'REJECTED' };

/**
 * Stores the outcome of the processing of a file. If a message contains it, the change is recorded; a picture of a user or
 * group replaces the previous one.
 * @returns false if the attachment was deleted or processed in the meantime.
 */
export async function attachmentDone(deps: Deps, id: string, outcome: Outcome): Promise<boolean> {
  const { db } = deps.database;
  for (;;) {
    const found = await db.attachment.findUnique({ where: { id, state: 'PROCESSING' } });
    if (!found) return false;
    const { messageId, avatarOf, imageOf, statusId } = found;
    const where = { id, state: 'PROCESSING', messageId, avatarOf, imageOf, statusId } as const;
    const store = async (tx: Pick<Tx, 'attachment'>, data: Prisma.AttachmentUpdateManyMutationInput = outcome) => {
      const { count } = await tx.attachment.updateMany({ where, data });
      if (count === 0) throw new HasChanged();
    };
    const isRejectedPicture = outcome.state === 'REJECTED' && (avatarOf ?? imageOf) !== null;
    try {
      if (messageId !== null) await doneInMessage(deps, found, store);
      // The previous picture stays. The uploader can see for a while that this one was rejected.
      else if (isRejectedPicture) await store(db, { ...outcome, ...noPicture(deps) });
      else if (avatarOf !== null) await doneAsAvatar(deps, id, avatarOf, store);
      else if (imageOf !== null) await doneAsImage(deps, found, imageOf, store);
      else if (statusId !== null) await doneWithOwner(deps, found, store);
      else await store(db);
      return true;
    } catch (error) {
      if (!(error instanceof HasChanged)) throw error;
    }
  }
}

const noPicture = ({ config }: Pick<Deps, 'config'>) => ({
  avatarOf: null,
  imageOf: null,
  expiresAt: new Date(Date.now() + config.uploadTtlMs),
});

type Store = (tx: Tx) => Promise<void>;

async function doneInMessage(deps: Deps, { messageId, conversationId, uploaderId }: Attachment, store: Store) {
  if (messageId === null || conversationId === null) throw new HasChanged();
  await changeConversation(deps, conversationId, async (tx) => {
    const conversation = await lockAndNumber(tx, conversationId);
    await store(tx);
    const message = await tx.message.findUnique({ where: { id: messageId }, include: { sender: true } });
    if (!conversation || !message) throw new HasChanged();
    const loaded = messageParts.of(deps);
    const [parts = loaded.empty] = await loaded.load(tx, [message]);
    const moderatorIds = (await findModeratorIds(tx, [conversation.id])).get(conversation.id) ?? null;
    const full = { ...message, parts, conversation: { ...conversation, moderatorIds } };
    await recordChange(tx, messageChanged(mediaChanged, { id: uploaderId }, full));
  });
}

async function doneWithOwner(deps: Deps, { id }: Attachment, store: Store) {
  await deps.database.transaction(async (tx) => {
    await store(tx);
    const done = await tx.attachment.findUniqueOrThrow({ where: { id } });
    for (const owner of attachmentOwners.of(deps)) await owner.onDone(deps, tx, done);
  });
}

async function doneAsAvatar(deps: Deps, id: string, userId: string, store: Store) {
  await changePerson(deps, userId, async (tx) => {
    if (!(await lockUserForUpdate(tx, userId))) throw new HasChanged();
    await store(tx);
    return tx.user.update({ where: { id: userId }, data: { avatarUrl: storedPicture(id) } });
  });
}

async function doneAsImage(deps: Deps, { id, uploaderId }: Attachment, conversationId: string, store: Store) {
  await changeConversation(deps, conversationId, async (tx) => {
    await lock(tx, conversationId);
    await store(tx);
    const where = { id: conversationId };
    await tx.conversation.update({ where, data: { imageUrl: storedPicture(id) }, select: { id: true } });
    const conversation = await countChanges(tx, conversationId, { changes: 1 });
    await recordChange(tx, conversationChanged('updated', uploaderId, null, { conversation }));
  });
}
