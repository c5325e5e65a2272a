import type { Conversation, ConversationView, Message } from '@parley/client';
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from 'react';
import { useHasCalls } from '../../calls.ts';
import { useText } from '../../locales/locale.tsx';
import { type PaneActions, PaneContext } from '../../pane.ts';
import { usePaced, useParley, useServerInfo } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { IconButton } from '../../shell/button.tsx';
import { Confirm } from '../../shell/confirm.tsx';
import { Icon } from '../../shell/icon.tsx';
import { Notice } from '../../shell/notice.tsx';
import { Link, useNavigation } from '../../shell/router.tsx';
import { IN_FRONT } from '../../shell/side-panel.tsx';
import { useToast } from '../../shell/toast.tsx';
import { useChat } from './chat-context.ts';
import { Composer, type ComposerMode } from './composer.tsx';
import styles from './message-pane.module.css';
import { MissedNotice } from './missed-notice.tsx';
import { isShown, nameOf, pictureOf, presenceOf } from './names.ts';
import { Timeline } from './timeline.tsx';

const CallButtons = lazy(() => import('../call/call-buttons.tsx'));
const Closed = lazy(() => import('./closed.tsx'));
// The menu is not needed before the messages are shown.
const LevelButton = lazy(() =>
  import('../notifications/level-menu.tsx').then((module) => ({ default: module.LevelButton })),
);
const EncryptedComposer = lazy(() => import('../sealed/encrypted-composer.tsx'));
const Lock = lazy(() => import('../sealed/lock.tsx'));
const ConversationPanel = lazy(() => import('../group/conversation-panel.tsx'));
const MessageDetails = lazy(() => import('./message-details.tsx'));
const MessageNotified = lazy(() => import('./message-notified.tsx'));
const Pins = lazy(() => import('./pins.tsx'));
const ReportDialog = lazy(() => import('../report/report-dialog.tsx'));
const VerifiedBadge = lazy(() => import('../encryption/verified-badge.tsx'));
const SummaryPanel = lazy(() => import('../summary/summary-panel.tsx'));
const UserPanel = lazy(() => import('../group/user-panel.tsx'));

/** What is shown next to the messages. */
type Panel = { name: 'conversation' | 'summary' } | { name: 'user'; id: string };

/** A conversation: its header, its messages, and where the viewer writes. */
export function MessagePane({ id }: { id: string }) {
  const { app, pane } = useText();
  const parley = useParley();
  const closePanel = () => setPanel(undefined);
  const handle = useMemo(() => parley.conversation(id), [parley, id]);
  const view = usePaced(handle);
  const toast = useToast();
  const [mode, setMode] = useState<ComposerMode>();
  const [deleting, setDeleting] = useState<Message>();
  const [about, setAbout] = useState<{ message: Message; Content: typeof MessageDetails }>();
  const [panel, setPanel] = useState<Panel>();
  const { route } = useNavigation();
  const jump = useRef<PaneActions['jump']>(undefined);
  const actions = useMemo<PaneActions>(
    () => ({
      handle,
      reply: (message) => setMode({ kind: 'reply', message }),
      edit: (message) => setMode({ kind: 'edit', message }),
      remove: setDeleting,
      showDetails: (message) => setAbout({ message, Content: MessageDetails }),
      showNotified: (message) => setAbout({ message, Content: MessageNotified }),
      report: (message) => setAbout({ message, Content: ReportDialog }),
      showUser: ({ id: userId }) => setPanel({ name: 'user', id: userId }),
      jump: (seq) => jump.current?.(seq),
    }),
    [handle],
  );
  const { conversation, error } = view;
  const isKnown = conversation !== undefined;
  useEffect(() => {
    if (isKnown && route.name === 'conversation' && route.seq !== undefined) jump.current?.(route.seq);
  }, [route, isKnown]);
  const firstUnread = useFirstUnreadSeq(conversation);
  const Writer = conversation?.encryption === 'END_TO_END' ? EncryptedComposer : Composer;
  const current = useCurrentMode(mode, view);
  const { hits } = useChat();
  const [points, setPoints] = useState<readonly number[]>([]);
  const marks = useMemo(() => {
    const found = hits.filter(({ conversationId }) => conversationId === id).map(({ seq }) => seq);
    return [...new Set([...found, ...points])];
  }, [hits, points, id]);
  if (!conversation) {
    if (!error) return <div className={styles.pane} role="status" aria-label={app.loading} />;
    return error.code === 'NOT_FOUND' || error.code === 'BAD_USER_INPUT' ? (
      <Notice title={app.notFoundTitle} text={app.notFoundText}>
        <Link to={{ name: 'home' }}>{app.toStart}</Link>
      </Notice>
    ) : (
      <Notice title={app.crashedTitle} text={error.message} role="alert" />
    );
  }
  const editLast = () => {
    const isEditable = (message: Message) => {
      const { viewerCanEdit, editableUntil } = message;
      return viewerCanEdit && isShown(message) && (editableUntil === null || Date.parse(editableUntil) > Date.now());
    };
    const last = view.rows.findLast(({ message, isOwn }) => isOwn && message && isEditable(message))?.message;
    if (last) setMode({ kind: 'edit', message: last });
  };
  const remove = async (message: Message) => {
    setDeleting(undefined);
    try {
      await handle.delete(message.id);
    } catch (thrown) {
      toast((thrown as Error).message);
    }
  };
  return (
    <PaneContext.Provider value={actions}>
      <div className={styles.layout} data-panel={panel ? '' : undefined}>
        <div className={styles.pane}>
          <Header
            conversation={conversation}
            onPanel={(name) => setPanel(name === panel?.name ? undefined : { name })}
          />
          <MissedNotice conversationId={id} />
          <Suspense>
            <Pins conversationId={id} onJump={actions.jump} />
          </Suspense>
          <Timeline handle={handle} view={view} conversation={conversation} marks={marks} jump={jump} />
          <Suspense fallback={<div className={styles.closed} />}>
            {conversation.viewerCanSend ? (
              <Writer
                conversation={conversation}
                handle={handle}
                name={nameOf(conversation)}
                mode={current}
                setMode={setMode}
                editLast={editLast}
              />
            ) : (
              <Closed conversation={conversation} />
            )}
          </Suspense>
        </div>
        <Suspense
          fallback={
            <p role="status" className="visually-hidden">
              {app.loading}
            </p>
          }
        >
          {panel?.name === 'conversation' && (
            <ConversationPanel conversation={conversation} onUser={actions.showUser} onClose={closePanel} />
          )}
          {panel?.name === 'user' && <UserPanel key={panel.id} id={panel.id} onClose={closePanel} />}
          {panel?.name === 'summary' && (
            <SummaryPanel
              conversation={conversation}
              firstUnread={firstUnread}
              onPoints={setPoints}
              onJump={(seq) => {
                if (matchMedia(IN_FRONT).matches) closePanel();
                actions.jump(seq);
              }}
              onClose={closePanel}
            />
          )}
        </Suspense>
      </div>
      {deleting && (
        <Confirm
          title={pane.deleteTitle}
          text={pane.deleteText}
          action={pane.delete}
          onConfirm={() => void remove(deleting)}
          onClose={() => setDeleting(undefined)}
        />
      )}
      {about && (
        <Suspense>
          <about.Content message={about.message} onClose={() => setAbout(undefined)} />
        </Suspense>
      )}
    </PaneContext.Provider>
  );
}

/** The mode with the current state of its message. Nobody can edit a message that has been deleted meanwhile. */
function useCurrentMode(mode: ComposerMode | undefined, { rows }: ConversationView): ComposerMode | undefined {
  const id = mode?.message.id;
  const latest = rows.find(({ message }) => message && message.id === id)?.message;
  const isGone = mode?.kind === 'edit' && latest !== undefined && latest.deletedAt !== null;
  const isDeleted = latest?.deletedAt != null;
  return useMemo(
    () => (isGone || !mode ? undefined : isDeleted && latest ? { ...mode, message: latest } : mode),
    [mode, isGone, isDeleted, latest],
  );
}

/** The `seq` of the first message that was unread when the conversation was opened. */
function useFirstUnreadSeq(conversation: Conversation | undefined): number | undefined {
  const first = useRef<number | null>(undefined);
  const { readSeq, unreadCount } = conversation?.viewerMembership ?? {};
  if (conversation && first.current === undefined) first.current = unreadCount ? (readSeq ?? 0) + 1 : null;
  return first.current ?? undefined;
}

function Header({
  conversation,
  onPanel,
}: {
  conversation: Conversation;
  onPanel(name: 'conversation' | 'summary'): void;
}) {
  const text = useText();
  const { app, pane } = text;
  const { openSearch } = useChat();
  const hasSearch = useServerInfo()?.features.includes('search') ?? false;
  const hasCalls = useHasCalls();
  const { id, counterpart, memberCount, viewerMembership } = conversation;
  const presence = presenceOf(text, counterpart);
  const about = counterpart ? (presence?.label ?? `@${counterpart.username}`) : pane.members(memberCount);
  return (
    <header className={styles.header}>
      <Link to={{ name: 'home' }} className={styles.back} aria-label={app.back} title={app.back}>
        <Icon name="back" />
      </Link>
      <h1 className={styles.heading}>
        <button type="button" className={styles.about} title={pane.info} onClick={() => onPanel('conversation')}>
          <Avatar name={nameOf(conversation)} {...pictureOf(conversation)} size={36} />
          <span className={styles.names}>
            <strong>
              <bdi>{nameOf(conversation)}</bdi>
              <Suspense>
                {conversation.encryption === 'END_TO_END' && (
                  <>
                    <Lock />
                    {counterpart && <VerifiedBadge userId={counterpart.id} />}
                  </>
                )}
              </Suspense>
            </strong>
            <span data-status={presence?.status}>
              <bdi>{about}</bdi>
            </span>
          </span>
        </button>
      </h1>
      {viewerMembership && (
        <>
          <Suspense>{hasCalls && <CallButtons conversation={conversation} />}</Suspense>
          <IconButton label={pane.summarize} onClick={() => onPanel('summary')}>
            <Icon name="spark" />
          </IconButton>
          {hasSearch && (
            <IconButton label={pane.search} onClick={() => openSearch(id)}>
              <Icon name="search" />
            </IconButton>
          )}
          <Suspense fallback={<span className={styles.waiting} />}>
            <LevelButton conversationId={id} />
          </Suspense>
        </>
      )}
    </header>
  );
}
