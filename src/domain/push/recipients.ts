import { Prisma } from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';
import { wantsNotifications } from '../notifier/notifier.levels.js';

/** Of what users are notified who have not chosen it. */
export type MessageDefaults = Pick<Config, 'notificationLevel'>;

const now = Prisma.sql`clock_timestamp()`;

/**
 * Selects who is to be notified of new messages, with the columns `user_id`, `conversation_id`, `seq` and `is_mention`
 * (whether the message mentions the user or replies to them): the members other than the sender who can see the message,
 * according to their settings.
 */
export const recipientsOf = (config: MessageDefaults, messageIds: readonly string[]): Prisma.Sql => Prisma.sql`
  SELECT memberships.user_id, messages.conversation_id, messages.seq, mention.is_one AS is_mention
  FROM messages
  JOIN memberships ON memberships.conversation_id = messages.conversation_id
    AND memberships.user_id IS DISTINCT FROM messages.sender_id AND memberships.hidden_to_seq < messages.seq
  LEFT JOIN messages replied
    ON replied.conversation_id = messages.conversation_id AND replied.seq = messages.reply_to_seq
  CROSS JOIN LATERAL (
    SELECT messages.mentions_everyone OR memberships.user_id = ANY (messages.mentioned_ids)
      OR coalesce(replied.sender_id = memberships.user_id, false) AS is_one
  ) AS mention
  LEFT JOIN member_notification_settings own_settings ON own_settings.membership_id = memberships.id
  LEFT JOIN notification_settings settings ON settings.user_id = memberships.user_id
  WHERE messages.id = ANY (${messageIds}::uuid[]) AND messages.kind = 'USER' AND messages.deleted_at IS NULL
    AND (${wantsNotifications(config, 'ALL', now)}
      OR (mention.is_one AND ${wantsNotifications(config, 'MENTIONS', now)}))`;
