import { Prisma } from '../../generated/prisma/client.js';
import type { NotificationRemoval } from '../notifier/notifier.sources.js';
import type { ListChangeType } from '../relationship/relationship.events.js';

const blocked: ListChangeType = 'BLOCKED';

/** Blocking a user removes what they caused from the inbox. */
export const blockRemoval: NotificationRemoval = {
  types: [blocked],
  ended: Prisma.sql`occurrence.user_id = change.log_id AND occurrence.actor_id = change.subject_id`,
};
