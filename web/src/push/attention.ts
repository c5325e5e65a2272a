import type { Parley } from '@parley/client';
import { SetAttentionDocument } from '../generated/screens/graphql.ts';

/**
 * How often the report that the user is looking is repeated, in milliseconds: the server discards it after
 * `PUSH_ATTENTION_TTL`.
 */
const REPEAT_MS = 60_000;
/** How long the window has to be in front first, so that the tab that the user has left reports before this one. */
const SETTLE_MS = 1_000;
/** After how many milliseconds without any input the user counts as absent, although the window is in front. */
const IDLE_MS = 3 * 60_000;

const inputs = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'] as const;

/**
 * Reports to the server whether the user is looking at the app, so that pushes to their devices wait for a moment. Only the
 * tab that has the focus reports it.
 */
export function watchAttention(parley: Parley): void {
  let lastInput = Date.now();
  let isReported = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const isSignedIn = () => parley.session.value.status === 'signedIn';
  const isLooking = () =>
    isSignedIn() && document.visibilityState === 'visible' && document.hasFocus() && Date.now() - lastInput < IDLE_MS;

  function report(active: boolean): void {
    isReported = active;
    // A lost report only changes when a push is sent.
    if (isSignedIn()) parley.request(SetAttentionDocument, { input: { active } }).catch(() => {});
  }

  function look(): void {
    clearTimeout(timer);
    timer = undefined;
    if (isLooking()) timer = setTimeout(repeat, isReported ? REPEAT_MS : SETTLE_MS);
    else if (isReported) report(false);
  }

  function repeat(): void {
    if (isLooking()) report(true);
    look();
  }

  const onInput = () => {
    lastInput = Date.now();
    if (timer === undefined) look();
  };
  for (const name of inputs) addEventListener(name, onInput, { passive: true, capture: true });
  for (const name of ['focus', 'blur', 'pagehide']) addEventListener(name, look);
  document.addEventListener('visibilitychange', look);
  parley.session.subscribe(look);
}
