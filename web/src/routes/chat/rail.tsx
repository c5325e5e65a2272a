import type { ConversationHandle } from '@parley/client';
import { pinsOf } from '@parley/client/pins';
import { type KeyboardEvent, type PointerEvent, type RefObject, useEffect, useRef, useState } from 'react';
import { FirstMessageDocument } from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { useTimes } from '../../shell/time.ts';
import styles from './rail.module.css';

/** The least height of the handle, in percent. */
const LEAST_PERCENT = 4;
/** How far Page Up and Page Down go, as a share of the history, and the arrow keys, in messages. */
const PAGE_SHARE = 0.1;
const STEP_MESSAGES = 10;

/** The first and the last message that is visible, by `seq`. */
interface Place {
  first: number;
  last: number;
}

/**
 * A scroll bar over the whole history, of which the document contains only a part: messages are numbered without gaps, so
 * the place of each is known before it is loaded. It also shows where pinned and unread messages and search results are.
 */
export default function Rail({
  handle,
  scroller,
  latestSeq,
  unreadSeq,
  marks,
  logId,
  onMove,
}: {
  handle: ConversationHandle;
  /** The element that contains the messages. */
  scroller: RefObject<HTMLElement | null>;
  latestSeq: number;
  /** The first message that was unread when the conversation was opened. */
  unreadSeq: number | undefined;
  /** Search results and the sources of summaries, by `seq`. */
  marks: readonly number[];
  logId: string;
  /** Shows the messages around a `seq`. */
  onMove(seq: number): Promise<void>;
}) {
  const { rail: text } = useScreenText();
  const times = useTimes();
  const parley = useParley();
  const pinned = useReadable(pinsOf(parley).of(handle.id));
  const firstSeq = useFirstSeq(handle);
  const place = usePlace(scroller, latestSeq);
  const bar = useRef<HTMLDivElement>(null);
  const [dragged, setDragged] = useState<number>();
  const move = useLatestOnly(onMove);
  const count = Math.max(1, latestSeq - firstSeq + 1);
  const clamped = (seq: number) => Math.min(latestSeq, Math.max(firstSeq, Math.round(seq)));
  /** How far from the beginning a message is, in percent. */
  const percent = (seq: number) => (100 * (clamped(seq) - firstSeq)) / count;
  const goTo = (seq: number) => move(clamped(seq));

  const height = Math.min(100, Math.max(LEAST_PERCENT, percent(place.last + 1) - percent(place.first)));
  const isAtEnd = place.last >= latestSeq;
  const top = isAtEnd ? 100 - height : Math.min(100 - height, percent(place.first));
  const shown = dragged ?? place.first;
  const topOfDragged = (100 - height) * ((shown - firstSeq) / Math.max(1, latestSeq - firstSeq));
  const row = handle.value.rows.find(({ message }) => message && message.seq >= shown);
  const position = text.position(clamped(shown) - firstSeq + 1, count);

  const follow = (event: PointerEvent) => {
    const box = bar.current?.getBoundingClientRect();
    if (!box) return;
    const share = Math.min(1, Math.max(0, (event.clientY - box.top) / box.height));
    const seq = clamped(firstSeq + share * (latestSeq - firstSeq));
    setDragged(seq);
    void goTo(seq);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const page = Math.max(STEP_MESSAGES, count * PAGE_SHARE);
    const targets: Readonly<Record<string, number>> = {
      ArrowUp: place.first - STEP_MESSAGES,
      ArrowDown: place.first + STEP_MESSAGES,
      PageUp: place.first - page,
      PageDown: place.first + page,
      Home: firstSeq,
      End: latestSeq,
    };
    const seq = targets[event.key];
    if (seq === undefined) return;
    event.preventDefault();
    void goTo(seq);
  };
  return (
    <div
      ref={bar}
      className={styles.rail}
      data-dragged={dragged === undefined ? undefined : ''}
      role="scrollbar"
      tabIndex={0}
      aria-label={text.label}
      aria-controls={logId}
      aria-orientation="vertical"
      aria-valuemin={firstSeq}
      aria-valuemax={latestSeq}
      aria-valuenow={clamped(place.first)}
      aria-valuetext={position}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        follow(event);
      }}
      onPointerMove={(event) => dragged !== undefined && follow(event)}
      onPointerUp={() => setDragged(undefined)}
      onPointerCancel={() => setDragged(undefined)}
    >
      <span className={styles.track}>
        {unreadSeq !== undefined && (
          <i
            data-mark="unread"
            style={{ insetBlockStart: `${percent(unreadSeq)}%`, blockSize: `${100 - percent(unreadSeq)}%` }}
          />
        )}
        {pinned.map(({ id, seq }) => (
          <i key={id} data-mark="pin" style={{ insetBlockStart: `${percent(seq)}%` }} />
        ))}
        {marks.map((seq) => (
          <i key={seq} data-mark="found" style={{ insetBlockStart: `${percent(seq)}%` }} />
        ))}
        <span
          className={styles.handle}
          style={{ insetBlockStart: `${dragged === undefined ? top : topOfDragged}%`, blockSize: `${height}%` }}
        />
      </span>
      {dragged !== undefined && (
        <output className={styles.label} style={{ insetBlockStart: `${topOfDragged}%` }}>
          {row?.message?.seq === dragged && <strong>{times.day(row.createdAt)}</strong>}
          <span>{position}</span>
        </output>
      )}
    </div>
  );
}

/** The `seq` of the first message that the viewer can read: earlier ones can be hidden from new members. */
function useFirstSeq({ id }: ConversationHandle): number {
  const parley = useParley();
  const [first, setFirst] = useState(1);
  useEffect(() => {
    let isGone = false;
    parley.request(FirstMessageDocument, { id }).then(
      ({ conversation }) => !isGone && setFirst(conversation?.messages?.nodes[0]?.seq ?? 1),
      // Without a connection, the place is shown as if all messages could be read.
      () => {},
    );
    return () => {
      isGone = true;
    };
  }, [parley, id]);
  return first;
}

/** The messages that are visible. It is found once per frame, and only while something moves. */
function usePlace(scroller: RefObject<HTMLElement | null>, latestSeq: number): Place {
  const [place, setPlace] = useState<Place>({ first: latestSeq, last: latestSeq });
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    let frame = 0;
    const find = () => {
      frame = 0;
      const [from, to] = [element.scrollTop, element.scrollTop + element.clientHeight];
      const rows = [...element.querySelectorAll<HTMLElement>('[data-seq]')];
      const isBefore = (row: HTMLElement) => row.offsetTop + row.offsetHeight <= from;
      const first = rows[rows.findLastIndex(isBefore) + 1];
      const last = rows.findLast((row) => row.offsetTop < to);
      if (!first || !last) return;
      const next = { first: Number(first.dataset['seq']), last: Number(last.dataset['seq']) };
      setPlace((before) => (before.first === next.first && before.last === next.last ? before : next));
    };
    const wait = () => {
      frame ||= requestAnimationFrame(find);
    };
    wait();
    element.addEventListener('scroll', wait, { passive: true });
    const observer = new MutationObserver(wait);
    observer.observe(element, { childList: true, subtree: true });
    return () => {
      cancelAnimationFrame(frame);
      observer.disconnect();
      element.removeEventListener('scroll', wait);
    };
  }, [scroller]);
  return place;
}

/** Runs a task for the latest argument only: those that arrive while it runs replace each other. */
function useLatestOnly(task: (seq: number) => Promise<void>): (seq: number) => Promise<void> {
  const waiting = useRef<number>(undefined);
  const isRunning = useRef(false);
  const latest = useRef(task);
  latest.current = task;
  return async (seq) => {
    waiting.current = seq;
    if (isRunning.current) return;
    isRunning.current = true;
    while (waiting.current !== undefined) {
      const next = waiting.current;
      waiting.current = undefined;
      await latest.current(next).catch(() => {});
    }
    isRunning.current = false;
  };
}
