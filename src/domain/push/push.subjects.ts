import type { Sql } from '../../infra/database/database.js';
import { defineExtensionPoint } from '../../platform/feature.js';
import type { Language } from './push.languages.js';

/** The content of a push that is not about messages. */
export interface PushNotice {
  /** The field of the push with the global id of the subject, with which apps load it, and the id. */
  idField: string;
  id: string;
  /** Pushes with the same key replace each other on a device. */
  key: string;
  /** The user who caused it. */
  senderName: string;
  texts: Readonly<Record<Language, string>>;
  /** How long push services keep the push for a device that is offline, in milliseconds; by default like messages. */
  ttlMs: number | undefined;
}

/**
 * Something other than messages that is pushed, with high urgency and also to users who are looking at a device. It is
 * enqueued with `enqueueSubject` in the transaction that causes it, and decided when the push is due.
 */
export interface PushSubject {
  readonly type: string;
  /**
   * The present content of a push about each of these, in the same order; undefined if there is nothing to report any
   * more.
   */
  find(sql: Sql, wanted: readonly { id: string; userId: string }[]): Promise<readonly (PushNotice | undefined)[]>;
}

export const pushSubjects = defineExtensionPoint<PushSubject>('push subjects');
