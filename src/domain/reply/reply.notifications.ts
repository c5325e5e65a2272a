import { Prisma } from '../../generated/prisma/client.js';
import { isNotifying, mentionedBy, textChangeTypes, unlessNewWithout } from '../message/message.notifications.js';
import type { NotificationSource } from '../notifier/notifier.sources.js';

/** Notifies of replies to a user's message, except of those that mention the user, which are notified as mentions. */
export const replySource: NotificationSource = {
  kind: 'REPLY',
  types: textChangeTypes,
  concerns: () => unlessNewWithout(Prisma.sql`message.reply_to_seq IS NOT NULL`),
  occurrences: ({ config }) => Prisma.sql`
    SELECT quoted.sender_id AS user_id, message.sender_id AS actor_id, message.id AS subject_id, quoted.id AS collapse_id,
           message.conversation_id, message.seq, change.at
    FROM change
    JOIN messages message ON message.id = change.message_id AND ${isNotifying(config)}
      AND message.reply_to_seq IS NOT NULL
    JOIN messages quoted ON quoted.conversation_id = message.conversation_id AND quoted.seq = message.reply_to_seq
    WHERE quoted.sender_id NOT IN (${mentionedBy(config)})`,
  compared: () => Prisma.sql`occurrence.subject_id = change.message_id`,
  isReadWithMessage: true,
};
