import type { ConversationHandle } from '@parley/client';
import { type RefObject, useEffect } from 'react';
import type { Visible } from './window.ts';

/** How long a message must be visible before it counts as read, in milliseconds. */
const SEEN_MS = 500;

/** Reports how far the viewer has read: only what was visible, in a window that has the focus. */
export function useReadMarks(
  scroller: RefObject<HTMLElement | null>,
  handle: ConversationHandle,
  { rows }: Visible,
): void {
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const mark = () => {
      if (document.visibilityState !== 'visible' || !document.hasFocus()) return;
      // On a narrow screen, a search can be displayed instead of the messages.
      if (element.clientHeight === 0) return;
      const end = element.scrollTop + element.clientHeight;
      const seqs = new Map(rows.map(({ key, message }) => [key, message?.seq]));
      for (const row of [...element.querySelectorAll<HTMLElement>('[data-key]')].reverse()) {
        const seq = seqs.get(row.dataset['key'] ?? '');
        if (seq === undefined || row.offsetTop + Math.min(row.offsetHeight, 40) > end) continue;
        handle.markRead(seq);
        return;
      }
    };
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(mark, SEEN_MS);
    };
    wait();
    element.addEventListener('scroll', wait, { passive: true });
    addEventListener('focus', wait);
    document.addEventListener('visibilitychange', wait);
    return () => {
      clearTimeout(timer);
      element.removeEventListener('scroll', wait);
      removeEventListener('focus', wait);
      document.removeEventListener('visibilitychange', wait);
    };
  }, [scroller, handle, rows]);
}
