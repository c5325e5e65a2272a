import pLimit from 'p-limit';
import { createPolling } from '../../infra/async/polling.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { changeConversation, lock } from '../conversation/conversation.store.js';
import { callsChanged } from './call.change.js';
import { reconnected, settle } from './call.service.js';
import { claimDue, type DueCall, deleteSignals, nextRingEndMs, releaseCall, see } from './call.store.js';

/**
 * Changes calls because of the time or of events outside of them, on every node: it ends those that nobody answers or
 * that all devices have lost, and notices which devices are connected. A call is claimed by one node. If that node
 * crashes, another one takes over.
 */
export interface CallWorker {
  /** To be called when clients can connect to this node: from then on, it can determine which devices are silent. */
  serve(): void;
  /** Counts a device as connected until the returned function is called. */
  follow(partyId: string): () => void;
  /** The number of devices in calls that are connected to this node. */
  readonly connected: number;
  /** The calls that this node has ended, by reason. */
  readonly ended: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/**
 * The longest time between two checks for calls that are due, in milliseconds: while there are live calls, and without
 * any.
 */
const POLL_LIVE_MS = 1_000;
const POLL_IDLE_MS = 5_000;
const POLL_MIN_MS = 20;
/** How long a claim of a call lasts, in milliseconds. */
const CLAIM_MS = 5_000;
/** The number of calls that are changed at the same time. */
const CHANGES_AT_ONCE = 4;
/** How often connected devices are recorded as seen, in milliseconds. */
const SEE_MS = 2_500;
/** How long signals are kept after the end of a call, and how often they are deleted, in milliseconds. */
const SIGNALS_KEPT_MS = 60_000;
const DELETE_SIGNALS_MS = 15_000;

function createCallWorker(deps: Deps): CallWorker {
  const { config, database, log } = deps;
  const { sql } = database;
  /** The connected devices, with the number of their streams. */
  const connected = new Map<string, number>();
  const ended = new Map<string, number>();
  let isServing = false;
  /**
   * Since when this node can determine which devices are silent. After a start or a failure, devices may be silent because they
   * could not reach a node, or a node could not reach the database.
   */
  let reliableSince = 0;
  let signalsDeletedAt = Number.NEGATIVE_INFINITY;
  const changing = pLimit(CHANGES_AT_ONCE);
  const seeing = pLimit(1);
  const canLose = () => isServing && performance.now() - reliableSince >= config.callReconnectingAfterMs;

  const polling = createPolling({
    check,
    async nextMs() {
      const { isAnyLive, ms } = await nextRingEndMs(sql);
      const longest = isAnyLive || connected.size > 0 ? POLL_LIVE_MS : POLL_IDLE_MS;
      return Math.min(Math.max(ms ?? longest, POLL_MIN_MS), longest);
    },
    intervalMs: POLL_LIVE_MS,
    onError(error) {
      reliableSince = performance.now();
      log.warn({ err: error }, 'calls that are due could not be read; retrying');
    },
  });

  async function check(): Promise<void> {
    for (;;) {
      if (polling.isClosed) return;
      const canLoseNow = canLose();
      const due = await claimDue(sql, config, canLoseNow, CLAIM_MS);
      if (due.length === 0) break;
      await Promise.all(due.map((call) => changing(() => change(call, canLoseNow))));
    }
    if (performance.now() - signalsDeletedAt < DELETE_SIGNALS_MS) return;
    signalsDeletedAt = performance.now();
    await deleteSignals(sql, SIGNALS_KEPT_MS);
  }

  async function change({ id, conversationId, version }: DueCall, canLoseNow: boolean): Promise<void> {
    try {
      const call = await changeConversation(deps, conversationId, async (tx) => {
        const conversation = await lock(tx, conversationId);
        return conversation && settle(deps, tx, id, conversation, { canLose: canLoseNow });
      });
      // A call that did not change is not checked again immediately.
      if (call && call.version !== version) await releaseCall(sql, id);
    } catch (error) {
      // The claim ends after some time, and any node tries again.
      if (!polling.isClosed) log.warn({ err: error, callId: id }, 'call could not be changed; retrying');
    }
  }

  async function seeConnected(partyIds: readonly string[]): Promise<void> {
    if (partyIds.length === 0) return;
    try {
      for (const party of await see(sql, partyIds)) await reconnected(deps, party);
    } catch (error) {
      reliableSince = performance.now();
      if (!polling.isClosed) log.warn({ err: error }, 'connected devices of calls could not be recorded; retrying');
    }
  }

  const timer = setInterval(() => {
    if (seeing.activeCount === 0) void seeing(() => seeConnected([...connected.keys()]));
  }, SEE_MS);
  database.onCommitted(callsChanged, (calls) => {
    for (const { state, endReason } of calls) {
      if (state === 'ENDED' && endReason) ended.set(endReason, (ended.get(endReason) ?? 0) + 1);
    }
    polling.wake();
  });
  polling.wake();

  return {
    serve() {
      isServing = true;
      reliableSince = performance.now();
    },
    ended,
    get connected() {
      return connected.size;
    },
    follow(partyId) {
      connected.set(partyId, (connected.get(partyId) ?? 0) + 1);
      void seeing(() => seeConnected([partyId]));
      let isFollowed = true;
      return () => {
        if (!isFollowed) return;
        isFollowed = false;
        const count = (connected.get(partyId) ?? 1) - 1;
        if (count > 0) connected.set(partyId, count);
        else connected.delete(partyId);
        // The session may have ended.
        polling.wake();
      };
    },
    async close() {
      clearInterval(timer);
      await polling.close();
    },
  };
}

export const callWorker = defineService('call worker', createCallWorker);
