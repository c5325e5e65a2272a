import type { Row } from '@parley/client';

/** The maximum number of rows in the document. Few enough for every key press to be fast, and more than anyone sees. */
export const WINDOW_ROWS = 300;
/** How many rows the window moves at once. */
const STEP_ROWS = 100;

/** Where the window begins; without one, it ends with the last row. */
export interface Window {
  firstKey: string;
  toEnd: boolean;
}

export interface Visible {
  rows: readonly Row[];
  /** The index of the first of them. */
  start: number;
}

/** The rows of a window. */
export function windowAround(rows: readonly Row[], window: Window | undefined): Visible {
  const found = window ? rows.findIndex(({ key }) => key === window.firstKey) : -1;
  const start = found >= 0 ? found : Math.max(0, rows.length - WINDOW_ROWS);
  return { rows: rows.slice(start, start + WINDOW_ROWS), start };
}

/** The window that begins earlier or later; undefined if there are no further rows on that side. */
export function windowBeyond(rows: readonly Row[], visible: Visible, direction: -1 | 1): Window | undefined {
  const last = Math.max(0, rows.length - WINDOW_ROWS);
  const start = Math.min(last, Math.max(0, visible.start + direction * STEP_ROWS));
  const first = rows[start];
  return start === visible.start || !first ? undefined : { firstKey: first.key, toEnd: start === last };
}
