import { lazy, Suspense, useEffect, useMemo, useRef, useState } from 'react';
import { useFiles } from '../../files.ts';
import { useText } from '../../locales/locale.tsx';
import { useParley, useSelected, useServerInfo } from '../../parley.ts';
import { Icon } from '../../shell/icon.tsx';
import { useMedia } from '../../shell/media.ts';
import { Notice } from '../../shell/notice.tsx';
import { useNavigation } from '../../shell/router.tsx';
import { useShortcut } from '../../shell/shortcuts.ts';
import styles from './chat.module.css';
import { ChatContext, type Hit } from './chat-context.ts';
import { ConnectionBanner } from './connection-banner.tsx';
import { ConversationList } from './conversation-list.tsx';
import { MessagePane } from './message-pane.tsx';

const Inbox = lazy(() => import('../notifications/inbox.tsx'));
const MissedDialog = lazy(() => import('./missed-dialog.tsx'));
const PeopleDialog = lazy(() => import('./people-dialog.tsx'));
const PushOffer = lazy(() => import('../../push/push-offer.tsx'));
const SearchPanel = lazy(() => import('../search/search-panel.tsx'));
const ShortcutList = lazy(() => import('../switcher/shortcut-list.tsx'));
const Start = lazy(() => import('../start/start.tsx'));
const Switcher = lazy(() => import('../switcher/switcher.tsx'));

interface Search {
  /** The conversation to which it is limited. */
  scopeId: string | undefined;
  /** Whether it is in front of the conversation on a narrow screen: until a result is opened. */
  isInFront: boolean;
}

/** The list of conversations, or a search, next to one of them; on a narrow screen, one or the other. */
export function Chat() {
  const { app, pane } = useText();
  const { route, go } = useNavigation();
  const { conversations } = useParley();
  const isEmpty = useSelected(conversations, (list) => list.isLoaded && list.conversations.length === 0);
  const [search, setSearch] = useState<Search>();
  const scope = useSelected(conversations, (list) => list.conversations.find(({ id }) => id === search?.scopeId));
  const [isInboxOpen, setInboxOpen] = useState(false);
  const [hits, setHits] = useState<readonly Hit[]>([]);
  const [dialog, setDialog] = useState<'people' | 'switcher' | 'keys' | 'missed'>();
  const context = useMemo(
    () => ({
      openSearch: (scopeId?: string) => setSearch({ scopeId, isInFront: true }),
      openPeople: () => setDialog('people'),
      openMissed: () => setDialog('missed'),
      hits,
    }),
    [hits],
  );
  // So that uploads are continued after a page reload.
  useFiles('later');
  const features = useServerInfo()?.features;
  const hasSearch = features?.includes('search') ?? false;
  const offersPushes = (useHasSent() || isInboxOpen) && features?.includes('webPush');
  useShortcut('mod+k', () => setDialog('switcher'));
  useShortcut('?', () => setDialog('keys'));
  useShortcut('n', context.openPeople);
  useShortcut('i', () => go({ name: 'notifications' }));
  useShortcut('/', () => hasSearch && context.openSearch());
  // A dialog that has been replaced by another one reports that it is closed.
  const closer = (name: typeof dialog) => () => setDialog((shown) => (shown === name ? undefined : shown));
  useEffect(() => setSearch((before) => before && { ...before, isInFront: false }), [route]);
  // The inbox and the conversations that are opened from it are next to each other, until it is closed.
  useEffect(() => {
    if (route.name === 'notifications') {
      setSearch(undefined);
      setInboxOpen(true);
    } else if (route.name === 'home') setInboxOpen(false);
  }, [route]);
  const lastId = useRef<string>(undefined);
  if (route.name !== 'notifications') lastId.current = route.name === 'conversation' ? route.id : undefined;
  const isNarrow = useMedia('(width < 44rem)');
  const id = isNarrow && route.name === 'notifications' ? undefined : lastId.current;
  const closeInbox = () => {
    setInboxOpen(false);
    go(id === undefined ? { name: 'home' } : { name: 'conversation', id });
  };
  return (
    <ChatContext.Provider value={context}>
      <main className={styles.chat} data-open={id === undefined || search?.isInFront ? undefined : ''}>
        <Suspense>{offersPushes && <PushOffer />}</Suspense>
        <div className={styles.side}>
          {search ? (
            <Suspense fallback={<p role="status" aria-label={app.loading} />}>
              <SearchPanel
                scope={scope}
                onLeaveScope={() => setSearch({ ...search, scopeId: undefined })}
                onHits={setHits}
                onClose={() => setSearch(undefined)}
              />
            </Suspense>
          ) : isInboxOpen ? (
            <Suspense fallback={<p role="status" aria-label={app.loading} />}>
              <Inbox currentId={id} isInFront={route.name === 'notifications'} onClose={closeInbox} />
            </Suspense>
          ) : (
            <ConversationList currentId={id} />
          )}
        </div>
        <div className={styles.main}>
          {id !== undefined ? (
            <MessagePane key={id} id={id} />
          ) : isEmpty ? (
            <Suspense>
              <Start onFind={context.openPeople} />
            </Suspense>
          ) : (
            <Notice title={pane.choose} text={pane.chooseText} icon={<Icon name="message" size={36} />} />
          )}
        </div>
        <ConnectionBanner />
        <Suspense>
          {dialog === 'missed' && <MissedDialog onClose={closer('missed')} />}
          {dialog === 'people' && <PeopleDialog onClose={closer('people')} />}
          {dialog === 'switcher' && <Switcher onClose={closer('switcher')} />}
          {dialog === 'keys' && <ShortcutList onClose={closer('keys')} />}
        </Suspense>
      </main>
    </ChatContext.Provider>
  );
}

/** Whether the user has sent a message since the page was loaded. */
function useHasSent(): boolean {
  const { outbox } = useParley();
  const [hasSent, setHasSent] = useState(false);
  useEffect(
    () =>
      outbox.subscribe(({ length }) => {
        if (length > 0) setHasSent(true);
      }),
    [outbox],
  );
  return hasSent;
}
