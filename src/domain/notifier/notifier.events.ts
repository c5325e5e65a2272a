import type { Notification } from '../../generated/prisma/client.js';
import type { SqlTransaction, Tx } from '../../infra/database/database.js';
import type { ChangeKind } from '../../realtime/change.js';
import { recordPersonalChanges } from '../../realtime/personal-log.js';
import { reviveDates } from '../../realtime/wire.js';

/** The types of changes of the inbox. `subjectId` is the notification. */
export const NOTIFICATION_ADDED = 'NOTIFICATION_ADDED';
export const NOTIFICATION_UPDATED = 'NOTIFICATION_UPDATED';
export const NOTIFICATION_REMOVED = 'NOTIFICATION_REMOVED';
export const notificationTypes = [NOTIFICATION_ADDED, NOTIFICATION_UPDATED, NOTIFICATION_REMOVED] as const;

export interface NotificationChanged {
  /** The notification after the change; null if it was removed. */
  notification: Notification | null;
}

/** A notification, and what happened to it. */
export interface StoredNotification extends Notification {
  type: (typeof notificationTypes)[number];
}

/** Records changes of notifications, for all devices of their users. */
export const recordNotificationChanges = (tx: Tx | SqlTransaction, stored: readonly StoredNotification[]): void =>
  recordPersonalChanges(
    tx,
    stored.map(({ type, ...notification }) => ({
      userId: notification.userId,
      type,
      subjectId: notification.id,
      actorId: null,
      data: { notification: type === NOTIFICATION_REMOVED ? null : notification } satisfies NotificationChanged,
    })),
  );

/** To be incremented whenever the data sent between nodes changes. */
const VERSION = 1;

export const notificationChanges: ChangeKind<NotificationChanged> = {
  types: notificationTypes,
  encode: (data) => ({ v: VERSION, ...data }),
  decode(json) {
    const { v, ...data } = json as { v: number } & NotificationChanged;
    if (v !== VERSION) return undefined;
    if (data.notification) reviveDates(data.notification, 'createdAt', 'readAt');
    return data;
  },
  async load(db, rows) {
    const found = await db.notification.findMany({
      where: {
        id: { in: rows.flatMap(({ type, subjectId }) => (type === NOTIFICATION_REMOVED ? [] : (subjectId ?? []))) },
      },
    });
    const byId = new Map(found.map((notification) => [notification.id, notification]));
    return rows.map(({ type, subjectId }) => {
      if (type === NOTIFICATION_REMOVED) return { notification: null };
      const notification = byId.get(subjectId ?? '');
      // One that was removed since has a later change.
      return notification ? { notification } : null;
    });
  },
};
