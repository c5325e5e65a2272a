import { type PointerEvent, useRef } from 'react';

/** How far a finger moves when it swipes, in pixels. */
const SWIPE_PX = 60;
/** How long a press lasts that is not a tap any more, in milliseconds. */
const TAP_MS = 300;

/** What a press on the picture of a status means. Left and right are those of the direction of the text. */
export interface Gestures {
  onHold(isHeld: boolean): void;
  onTap(side: 'start' | 'end'): void;
  onSwipe(to: 'start' | 'end' | 'down'): void;
}

export function useGestures({ onHold, onTap, onSwipe }: Gestures) {
  const begun = useRef<{ x: number; y: number; at: number }>(undefined);
  const end = () => {
    const found = begun.current;
    begun.current = undefined;
    if (found) onHold(false);
    return found;
  };
  return {
    onPointerDown(event: PointerEvent<HTMLElement>) {
      if (event.button !== 0) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      begun.current = { x: event.clientX, y: event.clientY, at: event.timeStamp };
      onHold(true);
    },
    onPointerUp(event: PointerEvent<HTMLElement>) {
      const found = end();
      if (!found) return;
      const [x, y] = [event.clientX - found.x, event.clientY - found.y];
      const isRtl = getComputedStyle(event.currentTarget).direction === 'rtl';
      if (Math.abs(x) > SWIPE_PX && Math.abs(x) > Math.abs(y)) onSwipe(x < 0 === isRtl ? 'start' : 'end');
      else if (y > SWIPE_PX * 1.5) onSwipe('down');
      else if (event.timeStamp - found.at < TAP_MS && Math.hypot(x, y) < SWIPE_PX / 3) {
        const { left, width } = event.currentTarget.getBoundingClientRect();
        const isLeft = event.clientX - left < width / 3;
        const isRight = event.clientX - left > (2 * width) / 3;
        onTap((isRtl ? isRight : isLeft) ? 'start' : 'end');
      }
    },
    onPointerCancel: () => void end(),
  };
}
