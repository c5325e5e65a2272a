import type { Conversation } from '@parley/client';
import { draftsOf } from '@parley/client/drafts';
import { type KeyboardEvent, lazy, memo, Suspense, useLayoutEffect } from 'react';
import { useText } from '../../locales/locale.tsx';
import { noInbox, noLevel, useNotifications } from '../../notifications.ts';
import { usePaced, useParley, useReadable, useServerInfo, useViewer } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Button, IconButton } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import { Link } from '../../shell/router.tsx';
import { useTimes } from '../../shell/time.ts';
import { noRing, useStatuses } from '../../statuses.ts';
import { useChat } from './chat-context.ts';
import styles from './conversation-list.module.css';
import { plainText } from './message-text.tsx';
import { MissedNotice } from './missed-notice.tsx';
import { nameOf, pictureOf, presenceOf, previewOf, systemText } from './names.ts';

const Lock = lazy(() => import('../sealed/lock.tsx'));
const Start = lazy(() => import('../start/start.tsx'));
const StatusStrip = lazy(() => import('../status/status-strip.tsx'));

/** The conversations of the viewer, latest first. */
export function ConversationList({ currentId }: { currentId: string | undefined }) {
  const { app, list } = useText();
  const parley = useParley();
  const user = useViewer()?.user;
  const { conversations, hasMore, isLoaded } = usePaced(parley.conversations);
  const { openSearch, openPeople } = useChat();
  const hasStatuses = useStatuses('later') !== undefined;
  const hasSearch = useServerInfo()?.features.includes('search') ?? false;
  // The heading of the page is that of an open conversation.
  const Title = currentId === undefined ? 'h1' : 'h2';
  const focused = document.activeElement;
  useLayoutEffect(() => {
    // Browsers take the focus from an element that is moved, as those of the list are. The body does not need it, and
    // giving it to the body would force a layout.
    const isLost = document.activeElement === document.body && focused !== document.body;
    if (isLost) (focused as HTMLElement | null)?.focus({ preventScroll: true });
  });
  // Times of other days are written differently.
  const day = new Date().toDateString();
  return (
    <nav className={styles.list} aria-label={list.title}>
      <header className={styles.header}>
        <Link to={{ name: 'settings' }} className={styles.me} aria-label={list.settings} title={list.settings}>
          <Avatar name={user?.displayName ?? ''} id={user?.id ?? ''} url={user?.avatarUrl} size={32} />
        </Link>
        <Title>{list.title}</Title>
        {hasSearch && (
          <IconButton label={list.search} onClick={() => openSearch()}>
            <Icon name="search" />
          </IconButton>
        )}
        <Bell />
        <IconButton label={list.new} onClick={openPeople}>
          <Icon name="pencil" />
        </IconButton>
      </header>
      <MissedNotice />
      <Suspense>{hasStatuses && <StatusStrip />}</Suspense>
      <div className={styles.scroller}>
        {conversations.length > 0 && (
          <ul onKeyDown={moveFocus}>
            {conversations.map((conversation) => (
              <li key={conversation.id}>
                <Entry
                  conversation={conversation}
                  isCurrent={conversation.id === currentId}
                  viewerId={user?.id}
                  day={day}
                />
              </li>
            ))}
          </ul>
        )}
        {isLoaded && conversations.length === 0 && (
          <>
            <p className={styles.none}>{list.empty}</p>
            <div className={styles.start}>
              <Suspense>
                <Start onFind={openPeople} />
              </Suspense>
            </div>
          </>
        )}
        {!isLoaded && conversations.length === 0 && <Placeholders label={app.loading} />}
        {hasMore && (
          <p className={styles.more}>
            <Button kind="quiet" onClick={() => void parley.conversations.loadMore()}>
              {list.more}
            </Button>
          </p>
        )}
      </div>
    </nav>
  );
}

/** The way to the inbox, with the number of unread notifications. */
function Bell() {
  const { list } = useText();
  const { unreadCount } = useReadable(useNotifications('later') ?? noInbox);
  const label = list.notifications(unreadCount);
  return (
    <Link to={{ name: 'notifications' }} className={styles.bell} aria-label={label} title={label}>
      <Icon name="bell" />
      {unreadCount > 0 && (
        <span className={styles.badge} aria-hidden="true">
          {unreadCount > 99 ? '99+' : unreadCount}
        </span>
      )}
    </Link>
  );
}

/** The arrow keys move between the links of a list. */
export function moveFocus(event: KeyboardEvent<HTMLElement>): void {
  const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
  if (step === 0) return;
  const links = [...event.currentTarget.querySelectorAll('a')];
  const next = links[links.indexOf(document.activeElement as HTMLAnchorElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

/** One conversation. It is rendered again only if something about it has changed, or on the next day. */
const Entry = memo(function Entry({
  conversation,
  isCurrent,
  viewerId,
}: {
  conversation: Conversation;
  isCurrent: boolean;
  viewerId: string | undefined;
  day: string;
}) {
  const text = useText();
  const times = useTimes();
  const draft = useReadable(draftsOf(useParley()).of(conversation.id))?.text;
  const ring = useReadable(useStatuses('later')?.ring(conversation.counterpart?.id ?? '') ?? noRing);
  const { isSilent } = useReadable(useNotifications('later')?.level(conversation.id) ?? noLevel);
  const { lastMessage, viewerMembership, counterpart, lastActivityAt } = conversation;
  const unread = viewerMembership?.unreadCount ?? 0;
  const mentions = viewerMembership?.unreadMentionCount ?? 0;
  const presence = presenceOf(text, counterpart);
  const isGroup = conversation.kind === 'GROUP';
  const sender = lastMessage?.sender;
  const prefix = !sender
    ? undefined
    : sender.id === viewerId
      ? text.list.you
      : isGroup
        ? sender.displayName
        : undefined;
  const snippet = !lastMessage
    ? text.list.noMessages
    : lastMessage.deletedAt
      ? text.list.deleted
      : lastMessage.kind === 'SYSTEM'
        ? systemText(text, lastMessage)
        : previewOf(text, lastMessage);
  return (
    <Link
      to={{ name: 'conversation', id: conversation.id }}
      className={styles.entry}
      aria-current={isCurrent ? 'page' : undefined}
    >
      <span className={styles.picture} data-ring={ring}>
        <Avatar name={nameOf(conversation)} {...pictureOf(conversation)} size={44} />
        {presence && (
          <span className={styles.presence} data-status={presence.status} title={presence.label}>
            <span className="visually-hidden">{presence.label}</span>
          </span>
        )}
      </span>
      <span className={styles.body}>
        <span className={styles.line}>
          <span className={styles.name} dir="auto">
            {nameOf(conversation)}
          </span>
          <Suspense>{conversation.encryption === 'END_TO_END' && <Lock />}</Suspense>
          {isSilent && (
            <span className={styles.silent} title={text.list.muted}>
              <Icon name="bellOff" size={14} />
              <span className="visually-hidden">{text.list.muted}</span>
            </span>
          )}
          <time dateTime={lastActivityAt}>{times.brief(lastActivityAt)}</time>
        </span>
        <span className={styles.line}>
          <span className={styles.preview}>
            {/* What the viewer is writing at the moment is in front of them. */}
            {draft && !isCurrent ? (
              <span className={styles.snippet} dir="auto">
                <em className={styles.draft}>{text.list.draft}: </em>
                <bdi>{plainText(draft)}</bdi>
              </span>
            ) : (
              <span className={styles.snippet} dir="auto" data-faint={lastMessage?.deletedAt ? '' : undefined}>
                {prefix !== undefined && (
                  <>
                    <bdi>{prefix}</bdi>
                    {': '}
                  </>
                )}
                <bdi>{snippet}</bdi>
              </span>
            )}
          </span>
          {mentions > 0 && !isSilent && (
            <span className={styles.badge} title={text.list.mentions(mentions)}>
              @
            </span>
          )}
          {unread > 0 && (
            <span className={isSilent ? styles.quiet : styles.badge} title={text.list.unread(unread)}>
              {!isSilent && <span aria-hidden="true">{unread > 999 ? '999+' : unread}</span>}
              <span className="visually-hidden">{text.list.unread(unread)}</span>
            </span>
          )}
        </span>
      </span>
    </Link>
  );
});

function Placeholders({ label }: { label: string }) {
  return (
    <div role="status" aria-label={label}>
      {[60, 45, 70, 52, 64].map((width) => (
        <span key={width} className={styles.placeholder}>
          <i />
          <i style={{ inlineSize: `${width}%` }} />
        </span>
      ))}
    </div>
  );
}
