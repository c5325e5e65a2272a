import type { CallSignal } from '../../generated/prisma/client.js';
import type { Change, ChangeKind } from '../../realtime/change.js';
import { reviveDates } from '../../realtime/wire.js';
import { type FullCall, findFull, findWaitingSignals } from './call.store.js';

/** A change of a call in the log of its conversation. `subjectId` is the call. */
export const CALL_CHANGED = 'CALL_CHANGED';
/** In a user's personal log: they declined the call of a group on one of their devices. `subjectId` is the call. */
export const CALL_DECLINED = 'CALL_DECLINED';
/** In a user's personal log: signals to one of their devices. `subjectId` is the party. */
export const CALL_SIGNALS = 'CALL_SIGNALS';

export interface CallChanged {
  call: FullCall;
}

export interface SignalsSent {
  /**
   * Signals to the same party, in the order of their numbers. They may be preceded by signals that are not included.
   */
  signals: CallSignal[];
}

/** To be incremented whenever the data sent between nodes changes, including the rows of users in it. */
const VERSION = 2;

/** Creates the change of a call with the number `conversation.changeSeq`. */
export const callChanged = (call: FullCall, actorId: string | null): Change<CallChanged> => ({
  conversationId: call.conversationId,
  changeSeq: call.conversation.changeSeq,
  type: CALL_CHANGED,
  messageId: null,
  subjectId: call.id,
  actorId,
  data: { call },
});

export const callChanges: ChangeKind<CallChanged> = {
  types: [CALL_CHANGED, CALL_DECLINED],
  encode: (data) => ({ v: VERSION, ...data }),
  decode(json) {
    const { v, ...data } = json as { v: number } & CallChanged;
    if (v !== VERSION) return undefined;
    const { call } = data;
    reviveDates(call, 'startedAt', 'ringUntil', 'answeredAt', 'endedAt');
    reviveDates(call.conversation, 'createdAt', 'lastActivityAt');
    for (const user of [call.startedBy, ...call.parties.map((party) => party.user)]) {
      reviveDates(user, 'createdAt', 'deletedAt', 'suspendedAt');
    }
    for (const party of call.parties) reviveDates(party, 'joinedAt');
    return data;
  },
  async load(db, rows) {
    const calls = await findFull(
      db,
      rows.map(({ subjectId }) => subjectId ?? ''),
    );
    return calls.map((call) => (call ? { call } : null));
  },
};

/** The maximum length of signals that nodes send to each other. Longer ones are read from the database. */
const WIRE_MAX_CHARS = 65_536;

export const signalChanges: ChangeKind<SignalsSent> = {
  types: [CALL_SIGNALS],
  encode: ({ signals }) => ({
    v: VERSION,
    ...(signals.reduce((sum, { payload }) => sum + payload.length, 0) <= WIRE_MAX_CHARS && { signals }),
  }),
  decode(json) {
    const { v, signals } = json as { v: number; signals?: CallSignal[] };
    return v === VERSION && signals ? { signals } : undefined;
  },
  // Receivers skip those that they have received already.
  async load(db, rows) {
    const waiting = await findWaitingSignals(
      db,
      rows.map(({ subjectId }) => subjectId ?? ''),
    );
    return waiting.map((signals) => signals && { signals });
  },
};
