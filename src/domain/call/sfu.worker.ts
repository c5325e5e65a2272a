import pLimit from 'p-limit';
import { createPolling } from '../../infra/async/polling.js';
import type { LiveKit } from '../../infra/livekit.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { callsChanged } from './call.change.js';
import { sfu, sfuIdentityOf } from './sfu.js';
import { claimTasks, type DueTask, deleteTask, nextTaskMs, repeatTask, retryTask } from './sfu.store.js';

/** The longest and the shortest time between two checks for tasks, in milliseconds. */
const POLL_MS = 5_000;
const POLL_MIN_MS = 20;
/** The number of tasks that are claimed, and done, at the same time; and how long a claim lasts, in milliseconds. */
const TASKS_AT_ONCE = 8;
const CLAIM_MS = 15_000;
/**
 * The time after which a task is repeated, because a device that has left may have connected again, in milliseconds.
 */
const REPEAT_MS = 60_000;
/** The pause after the first failure and the longest one, in milliseconds. */
const RETRY_MS = 1_000;
const RETRY_MAX_MS = 60_000;
/** The time after the expiry of the last token after which a failing task is abandoned, in milliseconds. */
const GIVEN_UP_MS = 86_400_000;

/**
 * Disconnects devices that have left a call from the SFU, and deletes the rooms of calls that have ended. A task is
 * stored with the change of the call, so that none is lost; if a node crashes, another one carries it out.
 */
export const sfuWorker = defineService('SFU worker', (deps: Deps): { close(): Promise<void> } => {
  const { server } = sfu.of(deps);
  return server ? createSfuWorker(deps, server) : { close: async () => {} };
});

function createSfuWorker({ database, log }: Deps, server: LiveKit): { close(): Promise<void> } {
  const { sql } = database;
  const limit = pLimit(TASKS_AT_ONCE);
  const polling = createPolling({
    async check() {
      while (!polling.isClosed) {
        const due = await claimTasks(sql, TASKS_AT_ONCE, CLAIM_MS);
        if (due.length === 0) return;
        await Promise.all(due.map((task) => limit(() => carryOut(task))));
      }
    },
    nextMs: async () => Math.min(Math.max((await nextTaskMs(sql)) ?? POLL_MS, POLL_MIN_MS), POLL_MS),
    intervalMs: POLL_MS,
    onError: (error) => log.warn({ err: error }, 'tasks for the SFU could not be read; retrying'),
  });

  async function carryOut({ id, room, partyId, failures, isLast }: DueTask): Promise<void> {
    try {
      if (partyId === null) await server.deleteRoom(room);
      else await server.removeParticipant(room, sfuIdentityOf(partyId));
    } catch (error) {
      log.warn({ err: error, room }, 'devices could not be disconnected from the SFU; retrying');
      await retryTask(sql, id, Math.min(RETRY_MS * 2 ** failures, RETRY_MAX_MS), GIVEN_UP_MS);
      return;
    }
    await (isLast ? deleteTask(sql, id) : repeatTask(sql, id, REPEAT_MS));
  }

  database.onCommitted(callsChanged, () => polling.wake());
  polling.wake();
  return { close: () => polling.close() };
}
