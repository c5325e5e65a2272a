import { createLoopTime } from '../infra/async/loop-time.js';
import { createShares, createUsage, type Usage, whenWithinShare } from '../infra/async/shares.js';
import { defineService } from './service.js';

/**
 * Divides the processing time of a node among the users who cause its work. Keys are user ids, or the networks of
 * clients that are not signed in.
 */
export interface NodeTime {
  /** Tracks who is using the node. */
  readonly usage: Usage;
  /** Charges used time, in milliseconds, to a key. */
  spend(key: string, ms: number): void;
  /** Resolves when the key does not exceed its share of the time, or when nobody else is using the node. */
  whenWithinShare(key: string): Promise<void>;
  /** Begins work of this weight. The returned function ends it and returns its part of the busy time (`LoopTime`). */
  begin(weight: number): () => number;
}

/** The time in milliseconds that the work of one user can take at once. */
const AT_ONCE_MS = 500;

/** @param share the part of the time that each user may take, from 0 to 1; infinite: nothing waits. */
export function createNodeTime({ share }: { share: number }): NodeTime {
  const shares = createShares({ share, atOnceMs: AT_ONCE_MS });
  const loopTime = createLoopTime();
  const usage = createUsage();
  return {
    usage,
    spend: (key, ms) => void shares.spend(key, ms),
    whenWithinShare: (key) => whenWithinShare(key, shares, usage),
    begin: (weight) => loopTime.begin(weight),
  };
}

export const nodeTime = defineService('node time', ({ config }) =>
  createNodeTime({ share: config.timePerPersonPercent / 100 }),
);
