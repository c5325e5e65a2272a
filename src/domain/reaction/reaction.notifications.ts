import { Prisma } from '../../generated/prisma/client.js';
import { messageChangeTypes } from '../message/message.events.js';
import type { NotificationSource } from '../notifier/notifier.sources.js';
import { reacted } from './reaction.part.js';

const deleted = messageChangeTypes.deleted.type;

/** Notifies of users who react to a user's message: once for each of them, whichever emojis they use. */
export const reactionSource: NotificationSource = {
  kind: 'REACTION',
  types: () => [reacted.type, deleted],
  // Only the reactions of the user who made the change, because there can be many others.
  occurrences: () => Prisma.sql`
    SELECT message.sender_id AS user_id, reaction.user_id AS actor_id, message.id AS subject_id, message.id AS collapse_id,
           message.conversation_id, message.seq, change.at
    FROM change
    JOIN messages message ON message.id = change.message_id AND message.deleted_at IS NULL
    JOIN reactions reaction ON reaction.message_id = message.id AND reaction.user_id = change.actor_id
    WHERE change.type = ${reacted.type}`,
  compared: () => Prisma.sql`
    occurrence.subject_id = change.message_id
    AND (occurrence.actor_id = change.actor_id OR change.type = ${deleted})`,
  // Reactions usually follow after the sender has read their own message.
  isReadWithMessage: false,
};
