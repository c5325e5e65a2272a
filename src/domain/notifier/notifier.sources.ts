import type { NotificationKind, Prisma } from '../../generated/prisma/client.js';
import type { SqlTransaction } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineExtensionPoint } from '../../platform/feature.js';
import type { ChangeRow } from '../../realtime/change.js';

// The notifier does not depend on other features. Sources define what notifies users, removals also define what ends
// notifications, and outputs do what else happens when somebody is notified, such as pushes. All of them are SQL over a
// relation `change`, a batch of the change log with these columns:
//
//   type text, log_id uuid (the conversation or user), message_id uuid, subject_id uuid, actor_id uuid, at timestamptz

type SourceDeps = Pick<Deps, 'config' | 'features'>;

/**
 * Something that notifies users. For each change of its types, the notifier compares the occurrences that it has stored
 * with those that the source finds in the current state: it adds the missing ones and removes those that no longer
 * exist. So it does not matter how often, or in which order, changes are processed.
 */
export interface NotificationSource {
  readonly kind: NotificationKind;
  /** The types of changes after which occurrences of this source may have appeared or ended. */
  types(deps: SourceDeps): readonly string[];
  /**
   * A condition on `change`, which is cheaper than `occurrences`: whether occurrences may have appeared or ended with the
   * change. Without it, all changes of the types are compared.
   */
  concerns?(deps: SourceDeps): Prisma.Sql;
  /**
   * Selects the occurrences that exist now, for the changes in `change`, with the columns
   *
   *   user_id uuid (who is to be notified), actor_id uuid (who caused it), subject_id uuid (what caused it: at most one
   *   occurrence per user, subject and actor), collapse_id uuid (occurrences with the same one are one notification),
   *   conversation_id uuid, seq int (the message to show, or null), at timestamptz
   *
   * The source need not exclude the actor, users who are not members or cannot see the message, and those who do not want
   * to be notified: the notifier does. The work must be bounded for each change, however many members there are.
   */
  occurrences(deps: SourceDeps): Prisma.Sql;
  /** A condition on `occurrence` and `change`: which stored occurrences of this kind are compared after a change. */
  compared(deps: SourceDeps): Prisma.Sql;
  /** Whether who has read the message has seen the occurrence as well. */
  readonly isReadWithMessage: boolean;
}

/** Ends occurrences of all kinds, for example because somebody has left a conversation. */
export interface NotificationRemoval {
  readonly types: readonly string[];
  /** A condition on `occurrence` and `change`. Occurrences that are newer than the change are not removed. */
  readonly ended: Prisma.Sql;
}

/** An occurrence that was added or removed. */
export interface Occurrence {
  userId: string;
  kind: NotificationKind;
  actorId: string;
  subjectId: string;
  collapseId: string;
  conversationId: string | null;
  seq: number | null;
}

/** What one transaction of the notifier has processed. */
export interface NotifierBatch {
  /** The changes, including those of the types that outputs ask for. */
  changes: readonly ChangeRow[];
  /** What users are notified of now, and have not read yet. */
  added: readonly Occurrence[];
  removed: readonly Occurrence[];
}

/**
 * Does something more when users are notified, in the transaction that stores the notifications and the position of the
 * notifier: what it writes is written exactly once, whichever node crashes. It should write with one statement for the
 * whole batch, not per user. `wantsNotifications` is the condition for members who are to be notified of every message.
 */
export interface NotificationOutput {
  /** Further types of changes that `NotifierBatch.changes` is to contain. */
  readonly types: readonly string[];
  write(deps: Deps, tx: SqlTransaction, batch: NotifierBatch): Promise<void>;
  /**
   * Is called when users may have read messages, with a condition on `marks mark`: which marks have moved. It is not called
   * for each mark, so that it should use one statement as well.
   */
  read?(deps: Deps, tx: SqlTransaction, moved: Prisma.Sql): Promise<void>;
}

export const notificationSources = defineExtensionPoint<NotificationSource>('notification sources');
export const notificationRemovals = defineExtensionPoint<NotificationRemoval>('notification removals');
export const notificationOutputs = defineExtensionPoint<NotificationOutput>('notification outputs');

/** The types of changes that the notifier reads. */
export const readTypes = (deps: SourceDeps): readonly string[] => [
  ...new Set([
    ...notificationSources.of(deps).flatMap((source) => source.types(deps)),
    ...notificationRemovals.of(deps).flatMap(({ types }) => types),
    ...notificationOutputs.of(deps).flatMap(({ types }) => types),
  ]),
];
