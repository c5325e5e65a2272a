import { Prisma } from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';
import type { Deps } from '../../platform/deps.js';
import type { NotificationSource } from '../notifier/notifier.sources.js';
import { messageChangeTypes } from './message.events.js';
import { messageParts } from './message.part.js';

/** The types of changes after which a message has another text, or none. */
export const textChangeTypes = (deps: Pick<Deps, 'features'>): readonly string[] => [
  messageChangeTypes.sent.type,
  messageChangeTypes.deleted.type,
  ...messageParts.of(deps).changes.flatMap(({ type, changesText }) => (changesText ? [type] : [])),
];

/**
 * A condition in SQL on `message`: it is not deleted, and not so old that its notifications may have been removed. An edit
 * of an older one must not add them again.
 */
export const isNotifying = ({ notificationRetentionMs }: Pick<Config, 'notificationRetentionMs'>): Prisma.Sql =>
  Prisma.sql`(message.kind = 'USER' AND message.deleted_at IS NULL AND message.sender_id IS NOT NULL
    AND message.created_at > clock_timestamp() - ${notificationRetentionMs}::float8 * interval '1 millisecond')`;

/**
 * A condition in SQL on `change`: it is not the change of a new message, or one of a new message with this condition on
 * `message`. Nothing is stored for a new message that could have ended.
 */
export const unlessNewWithout = (condition: Prisma.Sql): Prisma.Sql => Prisma.sql`
  (change.type <> ${messageChangeTypes.sent.type}::text
    OR EXISTS (SELECT FROM messages message WHERE message.id = change.message_id AND (${condition})))`;

/** Selects the users whom `message` mentions, except by `@everyone` in a large group, where it only counts. */
export const mentionedBy = ({
  notificationEveryoneMaxMembers: max,
}: Pick<Config, 'notificationEveryoneMaxMembers'>): Prisma.Sql => Prisma.sql`
  SELECT unnest(message.mentioned_ids) AS user_id
  UNION
  -- OFFSET 0 keeps the planner from reading the members before their number is known. Users who joined later were not mentioned.
  SELECT marks.user_id
  FROM (
    SELECT id FROM conversations
    WHERE id = message.conversation_id AND message.mentions_everyone AND member_count <= ${max}::int OFFSET 0
  ) small
  JOIN marks ON marks.conversation_id = small.id AND marks.start_seq < message.seq`;

const mentions = Prisma.sql`message.mentions_everyone OR message.mentioned_ids <> '{}'`;

export const mentionSource: NotificationSource = {
  kind: 'MENTION',
  types: textChangeTypes,
  concerns: () => unlessNewWithout(mentions),
  occurrences: ({ config }) => Prisma.sql`
    SELECT mentioned.user_id, message.sender_id AS actor_id, message.id AS subject_id, message.id AS collapse_id,
           message.conversation_id, message.seq, change.at
    FROM change
    JOIN messages message ON message.id = change.message_id AND ${isNotifying(config)}
      AND (${mentions})
    CROSS JOIN LATERAL (${mentionedBy(config)}) mentioned`,
  compared: () => Prisma.sql`occurrence.subject_id = change.message_id`,
  isReadWithMessage: true,
};
