import type { Parley } from '@parley/client';
import { watchAttention } from './attention.ts';
import { deviceOf } from './device.ts';
import { followLanguage } from './language.ts';
import { followReading } from './reading.ts';

/**
 * Starts the parts of pushes that run on every page: registers this browser, reports attention, and follows what has
 * been read and the language.
 */
export function startPush(parley: Parley): void {
  deviceOf(parley);
  watchAttention(parley);
  followReading(parley);
  followLanguage(parley);
  navigator.serviceWorker?.addEventListener('message', open);
}

/** Shows the page of a notification that the user has clicked. */
function open({ data }: MessageEvent): void {
  if (data?.type !== 'open') return;
  if (data.path !== location.pathname) history.pushState(null, '', data.path);
  // The router follows it, as if the user had gone there.
  dispatchEvent(new PopStateEvent('popstate'));
}
