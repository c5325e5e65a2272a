import { type Notification, notificationsOf } from '@parley/client/notifications';
import { useEffect, useRef } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Button, IconButton } from '../../shell/button.tsx';
import { CallIcon } from '../../shell/call-icon.tsx';
import { Icon } from '../../shell/icon.tsx';
import { Link } from '../../shell/router.tsx';
import { isSameDay, useTimes } from '../../shell/time.ts';
import { useToast } from '../../shell/toast.tsx';
import { useTask } from '../../shell/use-task.ts';
import { moveFocus } from '../chat/conversation-list.tsx';
import { previewOf } from '../chat/names.ts';
import { describe, iconOf } from './describe.ts';
import styles from './inbox.module.css';

/** What concerns the user, latest first. It stays open next to the conversations that are opened from it. */
export default function Inbox({
  currentId,
  isInFront,
  onClose,
}: {
  currentId: string | undefined;
  /** Whether it is the page, and not only next to a conversation. */
  isInFront: boolean;
  onClose(): void;
}) {
  const { app, list, notifications: text } = useScreenText();
  const inbox = notificationsOf(useParley());
  const { notifications, unreadCount, hasMore, isLoaded } = useReadable(inbox);
  const task = useTask();
  const toast = useToast();
  const panel = useRef<HTMLElement>(null);
  // Also when the user returns from a conversation.
  useEffect(() => {
    if (isInFront) panel.current?.querySelector('button')?.focus();
  }, [isInFront]);
  // The heading of the page is that of an open conversation.
  const Title = currentId === undefined ? 'h1' : 'h2';
  const days = groupByDay(notifications);
  return (
    <section
      ref={panel}
      className={styles.panel}
      aria-label={text.title}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose();
        else moveFocus(event);
      }}
    >
      <header className={styles.header}>
        <IconButton label={text.close} onClick={onClose}>
          <Icon name="back" />
        </IconButton>
        <Title>{text.title}</Title>
        <IconButton
          label={text.markAll}
          aria-disabled={unreadCount === 0 ? true : undefined}
          onClick={() => {
            if (unreadCount > 0)
              void task.run(() => inbox.markAllRead()).then((isDone) => isDone && toast(text.allRead));
          }}
        >
          <Icon name="checks" />
        </IconButton>
      </header>
      <div className={styles.scroller}>
        {days.map(({ key, at, items }) => (
          <Day key={key} at={at} items={items} />
        ))}
        {notifications.length === 0 && (
          <div className={styles.none}>
            {isLoaded ? (
              <>
                <Icon name="bell" size={36} />
                <strong>{text.empty}</strong>
                <p>{text.emptyText}</p>
              </>
            ) : (
              <p role="status">{app.loading}</p>
            )}
          </div>
        )}
        {hasMore && (
          <p className={styles.more}>
            <Button kind="quiet" busy={task.isBusy} onClick={() => void task.run(() => inbox.loadMore())}>
              {list.more}
            </Button>
          </p>
        )}
      </div>
    </section>
  );
}

interface Group {
  key: string;
  at: string;
  items: Notification[];
}

function groupByDay(notifications: readonly Notification[]): Group[] {
  const groups: Group[] = [];
  for (const each of notifications) {
    const last = groups.at(-1);
    if (last && isSameDay(last.at, each.createdAt)) last.items.push(each);
    else groups.push({ key: each.id, at: each.createdAt, items: [each] });
  }
  return groups;
}

function Day({ at, items }: Pick<Group, 'at' | 'items'>) {
  const times = useTimes();
  const name = times.day(at);
  return (
    <section aria-label={name}>
      <p className={styles.day} aria-hidden="true">
        {name}
      </p>
      <ul>
        {items.map((notification) => (
          <Entry key={notification.id} notification={notification} />
        ))}
      </ul>
    </section>
  );
}

function Entry({ notification }: { notification: Notification }) {
  const text = useScreenText();
  const times = useTimes();
  const inbox = notificationsOf(useParley());
  const { id, actors, readAt, createdAt, conversation, conversationId, message } = notification;
  const what = describe(text, notification);
  // A newer server can use other values.
  if (what === undefined) return null;
  const [first] = actors;
  const isUnread = readAt === null;
  const content = (
    <>
      <span className={styles.picture}>
        <Avatar name={first?.displayName ?? ''} id={first?.id ?? id} url={first?.avatarUrl} size={40} />
        <span className={styles.kind}>
          {notification.kind === 'MISSED_CALL' ? (
            <CallIcon name="missed" size={14} />
          ) : (
            <Icon name={iconOf(notification)} size={14} />
          )}
        </span>
      </span>
      <span className={styles.body}>
        <span className={styles.what} dir="auto">
          {isUnread && <span className="visually-hidden">{text.notifications.unread}: </span>}
          {what}
        </span>
        {message && (
          <span className={styles.snippet} dir="auto">
            {message.deletedAt === null ? previewOf(text, message) : text.list.deleted}
          </span>
        )}
        <span className={styles.where}>
          {conversation?.title != null && <bdi>{conversation.title}</bdi>}
          <time dateTime={createdAt}>{times.time(createdAt)}</time>
        </span>
      </span>
      {isUnread && <span className={styles.dot} />}
    </>
  );
  return (
    <li>
      {conversationId === undefined ? (
        <span className={styles.entry}>{content}</span>
      ) : (
        <Link
          to={{ name: 'conversation', id: conversationId, seq: message?.seq }}
          className={styles.entry}
          data-unread={isUnread ? '' : undefined}
          // Without a connection, it stays unread.
          onClick={() => void inbox.markRead(id).catch(() => {})}
        >
          {content}
        </Link>
      )}
    </li>
  );
}
