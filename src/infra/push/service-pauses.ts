import { LRUCache } from 'lru-cache';

/**
 * The push services, by origin, that this node does not use for a while because requests to them have failed, so that a
 * service that is down does not occupy the connections and the time that pushes to other services need.
 */
export interface ServicePauses {
  /** The number of milliseconds for which nothing should be sent to a service; 0 if it can be used. */
  waitOf(origin: string): number;
  /** Reports a failed request. After several in a row, the service is paused. */
  failed(origin: string): void;
  /** Reports a response that shows that the service works. */
  worked(origin: string): void;
}

/** The number of failures in a row after which a service is paused. */
const FAILURES_MIN = 5;
const PAUSE_MS = 2_000;
const PAUSE_MAX_MS = 5 * 60_000;
/** The maximum number of services that are remembered. */
const SERVICES_MAX = 1_000;

export function createServicePauses(now = () => Date.now()): ServicePauses {
  const failing = new LRUCache<string, { failures: number; until: number }>({ max: SERVICES_MAX });
  return {
    waitOf: (origin) => Math.max(0, (failing.get(origin)?.until ?? 0) - now()),
    failed(origin) {
      const { failures: before = 0, until = 0 } = failing.get(origin) ?? {};
      // Requests that were in progress when the pause began add no information.
      if (until > now()) return;
      const failures = before + 1;
      const pause = Math.min(PAUSE_MS * 2 ** Math.max(0, failures - FAILURES_MIN), PAUSE_MAX_MS);
      failing.set(origin, { failures, until: failures < FAILURES_MIN ? 0 : now() + pause });
    },
    worked: (origin) => void failing.delete(origin),
  };
}
