import { Prisma } from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';
import type { ChangeRow } from '../../realtime/change.js';
import { messageChangeTypes } from '../message/message.events.js';
import { wantsNotifications } from '../notifier/notifier.levels.js';

/** The type of the change of a new message. */
export const SENT = messageChangeTypes.sent.type;

/** New messages, and the conversations in which they were sent. */
export interface NewMessages {
  ids: readonly string[];
  conversationIds: readonly string[];
}

/** The messages that were sent with these changes. */
export function newMessagesOf(changes: readonly ChangeRow[]): NewMessages {
  const sent = changes.filter(({ type }) => type === SENT);
  return {
    ids: sent.flatMap(({ messageId }) => messageId ?? []),
    conversationIds: [...new Set(sent.map(({ conversationId }) => conversationId))],
  };
}

/** The default of the notification level, for users who have not chosen one. */
export type MessageDefaults = Pick<Config, 'notificationLevel'>;

const now = Prisma.sql`clock_timestamp()`;

/**
 * Selects which of some members are to be notified of new messages, according to their settings: those other than the
 * sender who can see the message. The columns are `seq`, `is_mention` (whether the message mentions the user or replies to
 * them) and `is_for_all` (whether the user is notified of every message), and those of `candidates`.
 * @param candidates selects members, with the columns `conversation_id` and `user_id`.
 */
export const recipientsOf = (
  config: MessageDefaults,
  { ids }: Pick<NewMessages, 'ids'>,
  candidates: Prisma.Sql,
): Prisma.Sql => Prisma.sql`
  SELECT candidate.*, messages.seq, mention.is_one AS is_mention, ${wantsNotifications(config, 'ALL', now)} AS is_for_all
  FROM messages
  JOIN (${candidates}) AS candidate ON candidate.conversation_id = messages.conversation_id
    AND candidate.user_id IS DISTINCT FROM messages.sender_id
  JOIN memberships ON memberships.conversation_id = candidate.conversation_id
    AND memberships.user_id = candidate.user_id AND memberships.hidden_to_seq < messages.seq
  LEFT JOIN messages replied
    ON replied.conversation_id = messages.conversation_id AND replied.seq = messages.reply_to_seq
  CROSS JOIN LATERAL (
    SELECT messages.mentions_everyone OR candidate.user_id = ANY (messages.mentioned_ids)
      OR coalesce(replied.sender_id = candidate.user_id, false) AS is_one
  ) AS mention
  LEFT JOIN member_notification_settings own_settings ON own_settings.membership_id = memberships.id
  LEFT JOIN notification_settings settings ON settings.user_id = candidate.user_id
  WHERE messages.id = ANY (${ids}::uuid[]) AND messages.kind = 'USER' AND messages.deleted_at IS NULL
    AND (${wantsNotifications(config, 'ALL', now)}
      OR (mention.is_one AND ${wantsNotifications(config, 'MENTIONS', now)}))`;
