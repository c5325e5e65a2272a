import { Prisma } from '../../generated/prisma/client.js';
import { conversationChangeTypes } from '../conversation/conversation.events.js';
import type { NotificationRemoval, NotificationSource } from '../notifier/notifier.sources.js';

const { created, memberJoined, memberLeft } = conversationChangeTypes;

/** Notifies users who were added to a group by somebody else. */
export const additionSource: NotificationSource = {
  kind: 'ADDED_TO_GROUP',
  types: () => [created, memberJoined],
  occurrences: () => Prisma.sql`
    SELECT own.user_id, own.added_by_id AS actor_id, own.conversation_id AS subject_id,
           own.conversation_id AS collapse_id, own.conversation_id, NULL::int AS seq, change.at
    FROM change
    JOIN conversations ON conversations.id = change.log_id AND conversations.kind = 'GROUP'
    JOIN memberships own ON own.conversation_id = conversations.id
      AND (change.type = ${created} OR own.user_id = change.subject_id)`,
  compared: () => Prisma.sql`occurrence.subject_id = change.log_id AND occurrence.user_id = change.subject_id`,
  isReadWithMessage: false,
};

/** Users who have left a conversation can no longer see what notified them. */
export const departureRemoval: NotificationRemoval = {
  types: [memberLeft],
  ended: Prisma.sql`occurrence.user_id = change.subject_id AND occurrence.conversation_id = change.log_id`,
};
