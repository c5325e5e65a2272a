import type { Parley } from '@parley/client';
import { startPush } from '../push/start.ts';
import { fitAboveKeyboard } from '../shell/keyboard.ts';

/** Starts what every page needs, but not for its first view. */
export default function startLater(parley: Parley): void {
  fitAboveKeyboard();
  startPush(parley);
}
