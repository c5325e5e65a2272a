import type { Call } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import { announceAfterCommit, defineAnnouncement } from '../../infra/database/unit-of-work.js';
import type { Deps } from '../../platform/deps.js';
import { recordChange } from '../../realtime/change-log.js';
import { countChanges } from '../conversation/conversation.store.js';
import { recordSystemMessage } from '../group/system-message.js';
import { callChanged } from './call.events.js';
import { completeWith, type FullCall } from './call.store.js';
import { tokensLastMs } from './sfu.js';
import { requestRemovals } from './sfu.store.js';

declare module '../message/system-event.js' {
  interface SystemEvent {
    /** For CALL_ENDED: the call. */
    callId?: string;
  }
}

/** Calls that were committed after a change. */
export const callsChanged =
  defineAnnouncement<Pick<Call, 'state' | 'endReason' | 'answeredAt' | 'endedAt'>>('calls changed');

/**
 * Records a change of a call, whose conversation is locked: for all members, and, when it has ended, with a system message.
 * @param actorId the user who made the change; null if it was the server.
 */
export async function recordCallChange(
  deps: Pick<Deps, 'config' | 'features'>,
  tx: Tx,
  call: Call,
  actorId: string | null,
): Promise<FullCall> {
  const conversation = await countChanges(tx, call.conversationId, { changes: 1 });
  const full = await completeWith(tx, call, conversation);
  await recordChange(tx, callChanged(full, actorId));
  if (call.sfuRoom !== null) await requestRemovals(tx, call, tokensLastMs(deps.config));
  announceAfterCommit(tx, callsChanged, call);
  if (call.state === 'ENDED') {
    await recordSystemMessage(deps, tx, call.conversationId, {
      type: 'CALL_ENDED',
      actorId: call.startedById,
      subjectIds: [...new Set(full.parties.map(({ userId }) => userId))],
      newValue: call.endReason,
      callId: call.id,
    });
  }
  return full;
}
