import { changesOf } from '@parley/client/changes';
import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { useText } from '../../locales/locale.tsx';
import { useParley, useReadable } from '../../parley.ts';
import { useTimes } from '../../shell/time.ts';
import styles from './connection-banner.module.css';

/** How long a disconnection lasts before it is shown, in milliseconds: most end before anyone would notice. */
const PATIENCE_MS = 2_000;
const SHOWN_MS = 2_500;

/** The browser notices the loss of the network before the connection does. */
function watchNetwork(listener: () => void): () => void {
  addEventListener('online', listener);
  addEventListener('offline', listener);
  return () => {
    removeEventListener('online', listener);
    removeEventListener('offline', listener);
  };
}

/**
 * Shows that the app is not connected, and when it is connected again. It floats below the headers, and covers neither
 * them nor the composer.
 */
export function ConnectionBanner() {
  const { connection: texts } = useText();
  const connection = useReadable(useParley().connection);
  const changes = changesOf(useParley());
  const completeUntil = useReadable(changes.completeUntil);
  const late = useReadable(changes.lateMessages);
  /** The number of late messages when the connection was lost. */
  const lateBefore = useRef(0);
  const times = useTimes();
  const isOnline = useSyncExternalStore(watchNetwork, () => navigator.onLine);
  const isAway = !isOnline || (connection.status !== 'live' && connection.status !== 'off');
  const [state, setState] = useState<'none' | 'away' | 'back'>('none');
  useEffect(() => {
    if (isAway) {
      // The network can be back before the connection is: then this is still the same disconnection.
      if (state === 'none') lateBefore.current = changes.lateMessages.value;
      const timer = setTimeout(() => setState('away'), PATIENCE_MS);
      return () => clearTimeout(timer);
    }
    setState((before) => (before === 'none' ? 'none' : 'back'));
    const timer = setTimeout(() => setState('none'), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [isAway]);
  const text = {
    none: undefined,
    away: isOnline ? texts.connecting : texts.offline,
    back: texts.back(late - lateBefore.current),
  }[state];
  return (
    <div role="status" className={styles.banner}>
      {text !== undefined && (
        <p data-state={state}>
          <i aria-hidden="true" />
          <span>
            {text} {state === 'away' && completeUntil !== undefined && texts.complete(times.precise(completeUntil))}
          </span>
        </p>
      )}
    </div>
  );
}
