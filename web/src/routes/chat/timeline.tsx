import type { Conversation, ConversationHandle, ConversationView, Row } from '@parley/client';
import {
  Fragment,
  type KeyboardEvent,
  lazy,
  type RefObject,
  Suspense,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { useText } from '../../locales/locale.tsx';
import type { PaneActions } from '../../pane.ts';
import { useParley, useReadable, useViewer } from '../../parley.ts';
import { Icon } from '../../shell/icon.tsx';
import { isSameDay, useTimes } from '../../shell/time.ts';
import { MessageRow } from './message-row.tsx';
import styles from './timeline.module.css';
import { useReadMarks } from './use-read-marks.ts';
import { WINDOW_ROWS, type Window, windowAround, windowBeyond } from './window.ts';

const Announcer = lazy(() => import('./announcer.tsx'));
const Rail = lazy(() => import('./rail.tsx'));

/** How close to an edge more rows are added, in pixels. */
const EDGE_PX = 800;
/** How far from the end still counts as the end. */
const END_PX = 40;
/** Messages of one sender within this time share a header. */
const GROUP_MS = 5 * 60_000;

/** From how many unread messages the newest page may begin after the first of them. */
const NEAR_ROWS = 30;
/** For how long the message stands out to which the viewer has jumped, in milliseconds. */
const TARGET_MS = 2_000;
/** From how many messages the history has a scroll bar of its own. */
const RAIL_MESSAGES = 100;
const noRows: readonly Row[] = [];

/** The row to which the viewer jumps. */
interface Target {
  key: string | undefined;
  /** Whether it has been scrolled to. */
  isReached: boolean;
  /** Whether it is only a position, and not a message that the viewer has chosen. */
  isPlace: boolean;
}

/** The row that keeps its place when rows above it change, and its distance from the top of the viewport. */
interface Anchor {
  key: string;
  top: number;
}

/** The messages of a conversation. A limited number of them are in the document. */
export function Timeline({
  handle,
  view,
  conversation,
  marks,
  jump,
}: {
  handle: ConversationHandle;
  view: ConversationView;
  conversation: Conversation;
  /** Messages that the scroll bar shows, by `seq`. */
  marks: readonly number[];
  /** Is given the function that scrolls to a message. */
  jump: RefObject<PaneActions['jump'] | undefined>;
}) {
  const { pane } = useText();
  const times = useTimes();
  const viewer = useViewer()?.user;
  const scroller = useRef<HTMLDivElement>(null);
  const anchor = useRef<Anchor | 'end' | undefined>(undefined);
  /** The position and the height of the viewport to which the anchor belongs. */
  const position = useRef(0);
  const height = useRef(0);
  const { hasEarlier, hasLater, isLoading, error } = view;
  const { key: firstUnread, isPending } = useFirstUnread(handle, view.rows, conversation);
  const rows = isPending ? noRows : view.rows;
  const [shown, setShown] = useState<Window>();
  const [isAtEnd, setAtEnd] = useState(true);
  const visible = useMemo(() => windowAround(rows, shown), [rows, shown]);
  // From here on, messages are expected to be encrypted.
  const sealedSeq = useMemo(
    () =>
      rows.find(({ message }) => message?.protection || message?.systemEvent?.type === 'ENCRYPTION_ENABLED')?.message
        ?.seq ?? Number.POSITIVE_INFINITY,
    [rows],
  );
  const isLastShown = !hasLater && visible.start + visible.rows.length >= rows.length;
  const unseen = useUnseen(rows, isAtEnd && !hasLater);
  const [target, setTarget] = useState<Target>();
  const permissions = usePermissions(conversation);
  useReadMarks(scroller, handle, visible);
  const logId = useId();
  const hasRail = conversation.latestSeq >= RAIL_MESSAGES && !isPending;

  const setAnchor = (element: HTMLElement) => {
    // The viewer was at the end, and only the space for the messages has changed: the end remains visible.
    if (anchor.current !== 'end' || element.clientHeight === height.current) {
      // Below the last row, there can be messages that are not loaded: then it is not the end.
      const isEnd = isLastShown || anchor.current === 'end';
      anchor.current = anchorOf(element, isEnd);
    }
    position.current = element.scrollTop;
    height.current = element.clientHeight;
  };
  const moved = useRef(() => {});
  moved.current = () => {
    const element = scroller.current;
    if (element && anchor.current !== undefined && element.scrollTop !== position.current) setAnchor(element);
  };
  // If the viewer has scrolled, the event comes only with the next frame: without this, a change of the rows would undo it. Before
  // anything is rendered, reading the position forces no layout.
  useEffect(() => handle.subscribe(() => moved.current()), [handle]);

  /** The last row that was rendered. It is close to the end of the rows if others were added after it. */
  const lastKey = useRef<string>(undefined);
  const isAddition = visible.rows.findLast(({ key }) => key === lastKey.current) !== undefined;
  /** @param isRendered whether the rows have just been rendered, so that reading positions forces a layout. */
  const keepPlace = (isRendered: boolean) => {
    const element = scroller.current;
    if (!element) return;
    if (target && !target.isReached) {
      const row = target.key === undefined ? null : rowOf(element, target.key);
      if (!row) return;
      const space = element.clientHeight - Math.min(row.offsetHeight, element.clientHeight);
      const top = target.isPlace ? row.offsetTop : row.offsetTop - space / 2;
      element.scrollTop = top;
      anchor.current = undefined;
      setAnchor(element);
      setAtEnd(anchor.current === 'end');
      // Too few rows below it are loaded: the effect below loads more of them, and this is called again.
      if (hasLater && top > element.scrollHeight - element.clientHeight) return;
      // Another one can have been set since this was rendered.
      setTarget((latest) => (latest === target ? { ...target, isReached: true } : latest));
      if (!target.isPlace) row.focus({ preventScroll: true });
    } else if (anchor.current === undefined) {
      // Until the first rows have arrived.
      if (element.querySelector('[data-key]') === null) return;
      const divider = element.querySelector<HTMLElement>('[data-divider]');
      if (divider) element.scrollTop = divider.offsetTop - element.clientHeight / 4;
      else element.scrollTop = element.scrollHeight;
      setAnchor(element);
    } else if (anchor.current === 'end') {
      // After an addition, the observer below does it when the layout is known, before it is painted.
      if (isRendered && isAddition) return;
      element.scrollTop = element.scrollHeight;
    } else {
      const row = rowOf(element, anchor.current.key);
      const drift = row === null ? 0 : topOf(element, row) - anchor.current.top;
      if (drift !== 0) element.scrollTop += drift;
    }
    position.current = element.scrollTop;
    height.current = element.clientHeight;
  };
  useLayoutEffect(() => {
    keepPlace(true);
    lastKey.current = visible.rows.at(-1)?.key;
  }, [visible, firstUnread, target]);

  const show = async (seq: number, isPlace: boolean) => {
    await handle.showAround(seq);
    const { rows: loaded } = handle.value;
    // A message that is hidden from the viewer does not exist for them: they see the next one.
    const at = loaded.findIndex(({ message }) => message && message.seq >= seq);
    const first = loaded[Math.max(0, at - WINDOW_ROWS / 2)];
    if (at < 0 || !first) return;
    setShown({ firstKey: first.key, toEnd: false });
    setTarget({ key: loaded[at]?.key, isReached: false, isPlace });
  };
  jump.current = (seq) => void show(seq, false);
  useEffect(() => {
    if (!target) return;
    const timer = setTimeout(() => setTarget((latest) => (latest === target ? undefined : latest)), TARGET_MS);
    return () => clearTimeout(timer);
  }, [target]);

  const content = useRef<HTMLDivElement>(null);
  const resized = useRef(() => {});
  resized.current = () => keepPlace(false);
  useEffect(() => {
    // Pictures and fonts change heights after the layout. It is observed only once, because each beginning counts as a change.
    const observer = new ResizeObserver(() => resized.current());
    if (content.current) observer.observe(content.current);
    if (scroller.current) observer.observe(scroller.current);
    return () => observer.disconnect();
  }, []);

  const moveTo = async (seq: number) => {
    if (seq >= conversation.latestSeq) toEnd();
    else await show(seq, true);
  };

  const onScroll = () => {
    const element = scroller.current;
    if (!element || anchor.current === undefined) return;
    setAnchor(element);
    setAtEnd(anchor.current === 'end');
    if (element.scrollTop < EDGE_PX) {
      const earlier = windowBeyond(rows, visible, -1);
      if (earlier) setShown(earlier);
      else if (hasEarlier && !isLoading) void handle.loadEarlier();
    } else if (isNearEnd(element)) {
      const later = windowBeyond(rows, visible, 1);
      if (later) setShown(later.toEnd ? undefined : later);
      else if (hasLater && !isLoading) void handle.loadLater();
    }
  };

  const toEnd = () => {
    setTarget(undefined);
    handle.showLatest();
    setShown(undefined);
    anchor.current = 'end';
    setAtEnd(true);
    keepPlace(false);
  };

  // One's own message is shown wherever the viewer was. It is not in the rows while there are later ones that are not loaded.
  const sending = useReadable(useParley().outbox).findLast(({ conversationId }) => conversationId === handle.id);
  const sendingKey = sending?.clientMessageId;
  useEffect(() => {
    if (sendingKey !== undefined) toEnd();
  }, [sendingKey]);
  useEffect(() => {
    const element = scroller.current;
    // After an error, more is loaded when the connection is live again.
    if (!element || anchor.current === undefined || isLoading || error) return;
    // Where all rows are visible, nothing can be scrolled to load the next ones. Nor is there a further event if the viewer
    // has reached the edge while others were being loaded.
    if (hasLater && isNearEnd(element)) void handle.loadLater();
    else if (hasEarlier && visible.start === 0 && position.current < EDGE_PX) void handle.loadEarlier();
  }, [handle, visible, hasEarlier, hasLater, isLoading, error]);

  return (
    <div className={styles.frame}>
      <div
        ref={scroller}
        id={logId}
        className={styles.scroller}
        data-rail={hasRail ? '' : undefined}
        onScroll={onScroll}
        onKeyDown={moveFocus}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: otherwise the keyboard could not scroll it
        tabIndex={0}
        role="log"
        // Otherwise the history and one's own messages would be read out as well: see the announcer.
        aria-live="off"
        aria-label={pane.messages}
      >
        <div ref={content} className={styles.content}>
          {!isPending && !hasEarlier && visible.start === 0 && <p className={styles.beginning}>{pane.beginning}</p>}
          {visible.rows.map((row, index) => {
            const before = index === 0 ? rows[visible.start - 1] : visible.rows[index - 1];
            const isDivider = row.key === firstUnread;
            const isTarget = target?.isReached === true && !target.isPlace && target.key === row.key;
            const isExposed = isPlain(row) && (row.message?.seq ?? 0) > sealedSeq;
            const isTabStop = index === visible.rows.length - 1;
            const startsDay = !before || !isSameDay(before.createdAt, row.createdAt);
            const startsGroup = startsDay || isDivider || !before || !isSameGroup(before, row);
            return (
              <Fragment key={row.key}>
                {startsDay && (
                  <h2 className={styles.day}>
                    <span>{times.day(row.createdAt)}</span>
                  </h2>
                )}
                {isDivider && (
                  <p className={styles.divider} data-divider="">
                    <span>{pane.unread}</span>
                  </p>
                )}
                <MessageRow
                  row={row}
                  viewer={viewer}
                  permissions={permissions}
                  isTarget={isTarget}
                  isExposed={isExposed}
                  isTabStop={isTabStop}
                  startsGroup={startsGroup}
                />
              </Fragment>
            );
          })}
        </div>
      </div>
      <Suspense>
        <Announcer handle={handle} />
      </Suspense>
      {hasRail && (
        <Suspense>
          <Rail
            handle={handle}
            scroller={scroller}
            latestSeq={conversation.latestSeq}
            unreadSeq={rows.find(({ key }) => key === firstUnread)?.message?.seq}
            marks={marks}
            logId={logId}
            onMove={moveTo}
          />
        </Suspense>
      )}
      <Typing names={view.typing.map(({ displayName }) => displayName)} />
      {(!isAtEnd || hasLater) && (
        <button type="button" className={styles.toEnd} onClick={toEnd} aria-label={pane.toLatest} title={pane.toLatest}>
          {unseen > 0 && <span>{pane.newMessages(unseen)}</span>}
          <Icon name="down" size={18} />
        </button>
      )}
    </div>
  );
}

/**
 * The arrow keys move the focus between messages. A message that is higher than the viewport is scrolled first, so that all
 * of it can be read.
 */
function moveFocus(event: KeyboardEvent<HTMLElement>): void {
  const row = event.target as HTMLElement;
  const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
  const scroller = event.currentTarget;
  if (step === 0 || row.dataset['key'] === undefined) return;
  event.preventDefault();
  const [inside, outside] = [row.getBoundingClientRect(), scroller.getBoundingClientRect()];
  const hidden = step < 0 ? outside.top - inside.top : inside.bottom - outside.bottom;
  if (hidden > 1) {
    scroller.scrollBy({ top: step * Math.min(hidden + 8, outside.height * 0.8) });
    return;
  }
  const rows = [...event.currentTarget.querySelectorAll<HTMLElement>('article')];
  const next = rows[rows.indexOf(row) + step];
  next?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: 'nearest' });
}

/** The same object as long as nothing changes, so that rows are not rendered again. */
function usePermissions({ kind, viewerCanSend, viewerCanPin, viewerCanUpdate }: Conversation) {
  return useMemo(
    () => ({ kind, viewerCanSend, viewerCanPin, viewerCanUpdate }),
    [kind, viewerCanSend, viewerCanPin, viewerCanUpdate],
  );
}

function Typing({ names }: { names: string[] }) {
  const { pane } = useText();
  return (
    <div className={styles.typing} aria-live="off">
      {names.length > 0 && (
        <p>
          <i aria-hidden="true" />
          <bdi>{pane.typing(names)}</bdi>
        </p>
      )}
    </div>
  );
}

/** Whether a message of a user is shown that is not encrypted. */
const isPlain = ({ message }: Row) =>
  message?.kind === 'USER' && message.protection === undefined && message.deletedAt === null;

const rowOf = (element: HTMLElement, key: string) =>
  element.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);

const topOf = (element: HTMLElement, row: HTMLElement) => row.offsetTop - element.scrollTop;

const isNearEnd = ({ scrollHeight, clientHeight, scrollTop }: HTMLElement) =>
  scrollHeight - clientHeight - scrollTop < EDGE_PX;

/** The first row that is visible, or the end. */
function anchorOf(element: HTMLElement, isEnd: boolean): Anchor | 'end' {
  const { scrollTop, scrollHeight, clientHeight } = element;
  if (isEnd && scrollHeight - clientHeight - scrollTop <= END_PX) return 'end';
  for (const row of element.querySelectorAll<HTMLElement>('[data-key]')) {
    if (row.offsetTop + row.offsetHeight > scrollTop) {
      return { key: row.dataset['key'] ?? '', top: topOf(element, row) };
    }
  }
  return 'end';
}

/** Whether two neighbours are messages of one person that follow each other closely. */
function isSameGroup(before: Row, row: Row): boolean {
  const sender = ({ message, isOwn }: Row) => (isOwn ? 'own' : message?.sender?.id);
  const isSystem = ({ message }: Row) => message?.kind === 'SYSTEM';
  if (isSystem(before) || isSystem(row) || sender(before) !== sender(row)) return false;
  return Date.parse(row.createdAt) - Date.parse(before.createdAt) < GROUP_MS;
}

/**
 * The key of the first message that was unread when the conversation was opened. The line above it stays while the
 * conversation is open. As long as the messages around it are being loaded, `isPending` is true.
 */
function useFirstUnread(handle: ConversationHandle, rows: readonly Row[], { viewerMembership }: Conversation) {
  const [openedAt] = useState(() => ({
    seq: viewerMembership?.readSeq ?? 0,
    count: viewerMembership?.unreadCount ?? 0,
  }));
  const [isPending, setPending] = useState(openedAt.count > NEAR_ROWS);
  useEffect(() => {
    if (openedAt.count > NEAR_ROWS) void handle.showAround(openedAt.seq + 1).finally(() => setPending(false));
  }, [handle, openedAt]);
  const key = useMemo(() => {
    if (openedAt.count === 0) return undefined;
    return rows.find(
      ({ message, isOwn }) => message && message.seq > openedAt.seq && !isOwn && message.kind !== 'SYSTEM',
    )?.key;
  }, [rows, openedAt]);
  return { key, isPending };
}

/** The number of messages of others that have arrived since the viewer left the end. */
function useUnseen(rows: readonly Row[], isAtEnd: boolean): number {
  const [lastSeen, setLastSeen] = useState(0);
  const latest = rows.findLast(({ message }) => message)?.message?.seq ?? 0;
  useEffect(() => {
    if (isAtEnd) setLastSeen(latest);
  }, [isAtEnd, latest]);
  if (isAtEnd || lastSeen === 0) return 0;
  return rows.filter(({ message, isOwn }) => message && message.seq > lastSeen && !isOwn).length;
}
