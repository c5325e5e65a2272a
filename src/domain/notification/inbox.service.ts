import { notFound } from '../../core/errors.js';
import { type Page, type PageArgs, readPage } from '../../core/page.js';
import type { Notification } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import { defineLookup } from '../../platform/service.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import {
  type ChangeEvent,
  type ChangeStream,
  defineStreamKind,
  type StreamEvent,
} from '../../realtime/change-stream.js';
import { type NotificationChanged, notificationTypes, recordNotificationChanges } from '../notifier/notifier.events.js';
import { readOne, readUpTo } from '../notifier/notifier.store.js';
import { openPersonalStream } from '../session/session.streams.js';
import { requireActiveViewer } from '../user/user.store.js';
import { countUnread, listInbox } from './inbox.store.js';

/**
 * The viewer's notifications, latest first; optionally only the unread ones.
 * @throws {ChatError} BAD_USER_INPUT of the page's arguments.
 */
export async function pageOfNotifications(
  { database, config }: Deps,
  { userId }: Viewer,
  unreadOnly: boolean,
  args: PageArgs,
): Promise<Page<Notification>> {
  return readPage(args, config, {
    name: `notifications:${userId}${unreadOnly ? ':unread' : ''}`,
    keys: ['date', 'uuid'],
    read: (page) => listInbox(database.db, userId, unreadOnly, page),
    keysetOf: (row) => [row.createdAt, row.id],
  });
}

/**
 * Marks all notifications of the viewer up to this one as read, in the order of the inbox, or only this one.
 * @throws {ChatError} NOT_FOUND of `input.upToId`: the viewer has no such notification (any more).
 */
export async function markNotificationsRead(
  { database }: Deps,
  viewer: Viewer,
  { upToId, onlyThis }: { upToId: string; onlyThis: boolean },
): Promise<void> {
  await database.transaction(async (tx) => {
    await requireActiveViewer(tx, viewer);
    const newest = await tx.notification.findUnique({ where: { id: upToId, userId: viewer.userId } });
    if (!newest) throw notFound('input.upToId', 'Notification');
    recordNotificationChanges(tx, await (onlyThis ? readOne(tx, newest) : readUpTo(tx, newest)));
  });
}

/** The number of unread notifications of a user. Users whose streams have events at the same time share a read. */
export const unreadNotificationsLookup = defineLookup(
  'unread notifications',
  ({ database }, userIds: readonly string[]) => countUnread(database.sql, userIds),
);

const notificationEventTypes = ['ADDED', 'UPDATED', 'REMOVED'] as const;
type NotificationEventType = (typeof notificationEventTypes)[number];

/** One event of the `notifications` stream. */
export type NotificationEvent = StreamEvent<NotificationEventType, NotificationChanged>;

const streamKind = defineStreamKind<NotificationEventType, NotificationChanged>({
  types: notificationTypes,
  typeOf: ({ type }) => notificationEventTypes[(notificationTypes as readonly string[]).indexOf(type)],
});

/**
 * Streams changes of the viewer's inbox.
 * @throws {ChatError} BAD_USER_INPUT or CURSOR_EXPIRED of `after`.
 */
export const streamNotifications = (
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  after: string | null | undefined,
): Promise<ChangeStream<ChangeEvent<NotificationEventType, NotificationChanged>>> =>
  openPersonalStream(deps, viewer, connection, { kind: streamKind, after });
