import { type RefObject, useEffect, useRef } from 'react';

/** How often the progress is shown, in milliseconds. */
const STEP = 50;

/**
 * Measures how long something has been shown, without the time in which it was paused, and writes it into the style of an
 * element, so that nothing is rendered for it.
 * @param durationMs undefined for a video, which reports its own progress.
 */
export function useProgress(
  key: string | undefined,
  { durationMs, isRunning, onEnd }: { durationMs: number | undefined; isRunning: boolean; onEnd(): void },
): { bar: RefObject<HTMLElement | null>; show(part: number): void } {
  const bar = useRef<HTMLElement>(null);
  const elapsed = useRef(0);
  const latest = useRef(onEnd);
  latest.current = onEnd;
  const show = (part: number) => bar.current?.style.setProperty('--part', `${Math.min(1, part)}`);
  useEffect(() => {
    elapsed.current = 0;
    show(0);
  }, [key]);
  useEffect(() => {
    if (!isRunning || durationMs === undefined) return;
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      elapsed.current += now - last;
      last = now;
      show(elapsed.current / durationMs);
      if (elapsed.current < durationMs) return;
      clearInterval(timer);
      latest.current();
    }, STEP);
    return () => clearInterval(timer);
  }, [key, isRunning, durationMs]);
  return { bar, show };
}
