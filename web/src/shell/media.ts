import { useCallback, useMemo, useSyncExternalStore } from 'react';

/** Whether a media query matches, at any time. */
export function useMedia(query: string): boolean {
  // Making a list takes longer than reading it.
  const list = useMemo(() => matchMedia(query), [query]);
  const subscribe = useCallback(
    (listener: () => void) => {
      list.addEventListener('change', listener);
      return () => list.removeEventListener('change', listener);
    },
    [list],
  );
  return useSyncExternalStore(subscribe, () => list.matches);
}
