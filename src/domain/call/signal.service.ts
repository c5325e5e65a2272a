import { badInput, limitReached, notFound } from '../../core/errors.js';
import type { CallSignal } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import { definePersonRate, take } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { recordPersonalChanges } from '../../realtime/personal-log.js';
import { CALL_SIGNALS, type SignalsSent } from './call.events.js';
import { exchangeSignals } from './call.store.js';

const signalPerPerson = definePersonRate(
  'You are sending signals too quickly. Try again in a moment.',
  ({ rateCallSignalPerPerson }) => rateCallSignalPerPerson,
);

/** The largest number of a signal. */
const SEQ_MAX = 2 ** 31 - 1;

/**
 * Stores signals for another device in a call until it acknowledges them, and removes those that this device acknowledges.
 * Signals to a device that has left are dropped.
 * @throws {ChatError} BAD_USER_INPUT of `input.payloads`, of one of them, or of `input.acknowledgedSeq`; NOT_FOUND of
 *   `input.fromPartyId`: it is not a device of this session in this call; FORBIDDEN of `input.toPartyId` with the limit: too
 *   many signals wait for it; RATE_LIMITED.
 */
export async function sendCallSignals(
  deps: Deps,
  viewer: Viewer,
  input: {
    callId: string;
    fromPartyId: string;
    toPartyId: string;
    payloads: readonly string[];
    acknowledgedSeq?: number | null | undefined;
  },
): Promise<void> {
  const { callId, fromPartyId, toPartyId, payloads } = input;
  const { callSignalMaxBytes, callSignalsMax } = deps.config;
  if (payloads.length > callSignalsMax) {
    throw badInput('input.payloads', `A request can send at most ${callSignalsMax} signals.`, 'callSignalsMax');
  }
  for (const [index, payload] of payloads.entries()) {
    if (Buffer.byteLength(payload) <= callSignalMaxBytes) continue;
    const message = `A signal can have at most ${callSignalMaxBytes} bytes.`;
    throw badInput(`input.payloads.${index}`, message, 'callSignalMaxBytes');
  }
  const acknowledgedSeq = input.acknowledgedSeq ?? 0;
  if (acknowledgedSeq < 0) throw badInput('input.acknowledgedSeq', 'The number of a signal is at least 1.');
  take(deps, signalPerPerson, viewer);
  await deps.database.sql.transaction(async (sql) => {
    const stored = await exchangeSignals(sql, {
      callId,
      fromPartyId,
      toPartyId,
      userId: viewer.userId,
      sessionId: viewer.sessionId,
      payloads,
      acknowledgedSeq: Math.min(acknowledgedSeq, SEQ_MAX),
      waitingMax: callSignalsMax,
    });
    if (!stored) throw notFound('input.fromPartyId', 'Party');
    const { toUserId, lastSeq, isFull } = stored;
    if (isFull && payloads.length > 0) {
      const message = `At most ${callSignalsMax} signals can wait for a device.`;
      throw limitReached('callSignalsMax', message, 'input.toPartyId');
    }
    if (toUserId === null || lastSeq === null) return;
    const signals = payloads.map(
      (payload, index): CallSignal => ({
        toPartyId,
        seq: lastSeq - payloads.length + 1 + index,
        callId,
        fromPartyId,
        payload,
      }),
    );
    const data: SignalsSent = { signals };
    recordPersonalChanges(sql, [
      { userId: toUserId, type: CALL_SIGNALS, subjectId: toPartyId, actorId: viewer.userId, data },
    ]);
  });
}
