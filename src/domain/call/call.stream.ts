import { notFound } from '../../core/errors.js';
import { NOBODYS_ID } from '../../core/ids.js';
import type { CallSignal } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import type { FeedEvent, Listener } from '../../realtime/audience.js';
import type { Change } from '../../realtime/change.js';
import { LiveStream } from '../../realtime/live-stream.js';
import { openFor } from '../session/session.streams.js';
import { CALL_CHANGED, CALL_DECLINED, CALL_SIGNALS, type CallChanged, type SignalsSent } from './call.events.js';
import { isOwnParty } from './call.policy.js';
import { type FullCall, findLive, findParty, findSignals } from './call.store.js';
import { callWorker } from './call.worker.js';

/** One event of the stream `calls`. */
export interface CallEvent {
  type: 'CHANGED' | 'DECLINED' | 'SIGNAL' | 'CAUGHT_UP';
  call: FullCall | null;
  signal: CallSignal | null;
}

const changed = Symbol('call changed');
const caughtUp: CallEvent = { type: 'CAUGHT_UP', call: null, signal: null };

/** The event of a change of a call; the same object for all recipients. */
function eventOf({ change, memo }: FeedEvent & { change: Change }): CallEvent & { call: FullCall } {
  const known = memo.get(changed) as (CallEvent & { call: FullCall }) | undefined;
  if (known) return known;
  const { call } = (change as Change<CallChanged>).data;
  const event = { type: change.type === CALL_DECLINED ? 'DECLINED' : 'CHANGED', call, signal: null } as const;
  memo.set(changed, event);
  return event;
}

/** The number of live calls, and of signals, that are read at a time for the beginning of a stream. */
const PAGE = 20;

/**
 * Streams the live calls of the viewer, and the signals that the device has not acknowledged; then CAUGHT_UP and live
 * events. With `partyId`, the device counts as connected as long as the stream lasts.
 * @throws {ChatError} NOT_FOUND of `partyId`: it is not a device of this session.
 */
export async function streamCalls(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  partyId: string | null,
): Promise<LiveStream<CallEvent>> {
  return openFor(deps, viewer, connection, async (hooks) => {
    const filler = new Filler(deps, viewer.userId, partyId);
    const stream = new LiveStream<CallEvent>({
      ...hooks,
      readMore: filler.readMore,
      onClose() {
        filler.stop();
        hooks.onClose();
      },
    });
    try {
      if (partyId !== null) {
        const party = await findParty(deps.database.db, partyId);
        if (!party || !isOwnParty(party, viewer)) throw notFound('partyId', 'Party');
      }
      await filler.fill(stream);
    } catch (error) {
      stream.end();
      throw error;
    }
    return stream;
  });
}

/** Fills a stream: first with stored calls and signals, then with live events. */
class Filler {
  readonly #deps: Deps;
  readonly #userId: string;
  readonly #partyId: string | null;
  #stream: LiveStream<CallEvent> | undefined;
  readonly #stops: (() => void)[] = [];
  #isStopped = false;
  /** The version of each live call that was delivered last. */
  readonly #versions = new Map<string, number>();
  /** The last call of the beginning that was read; undefined when all have been. */
  #afterCall: string | undefined = NOBODYS_ID;
  /** The number of the last signal that was delivered. */
  #lastSignal = 0;
  /** The number of the last signal that is known, while the waiting ones are being read. */
  #knownSignal = 0;
  #isLive = false;

  constructor(deps: Deps, userId: string, partyId: string | null) {
    this.#deps = deps;
    this.#userId = userId;
    this.#partyId = partyId;
  }

  async fill(stream: LiveStream<CallEvent>): Promise<void> {
    this.#stream = stream;
    // Before anything is read, so that nothing is missed.
    await this.#listen(null, [CALL_CHANGED]);
    await this.#listen(this.#userId, this.#partyId === null ? [CALL_DECLINED] : [CALL_DECLINED, CALL_SIGNALS]);
    if (this.#partyId !== null && !this.#isStopped) this.#stops.push(callWorker.of(this.#deps).follow(this.#partyId));
    // Before the stream is open, so that a failure is an error of the subscription.
    await this.readMore();
  }

  async #listen(conversationId: string | null, types: readonly string[]): Promise<void> {
    const end = () => this.#stream?.end();
    const listener: Listener = {
      userId: this.#userId,
      conversationId,
      types,
      onChange: (event) => this.#onChange(event),
      onProgress() {},
      onRemoved() {},
      // Calls may be lost, so the client must subscribe again.
      onLost: end,
      onEnd: end,
    };
    const stop = await this.#deps.feed.listen(listener);
    if (this.#isStopped) stop();
    else this.#stops.push(stop);
  }

  #onChange(event: FeedEvent & { change: Change }): void {
    if (event.change.type === CALL_SIGNALS) this.#onSignals(event.change as Change<SignalsSent>);
    else if (event.change.type === CALL_DECLINED) this.#stream?.push(eventOf(event));
    else {
      const callEvent = eventOf(event);
      if (this.#isNew(callEvent.call)) this.#stream?.push(callEvent);
    }
  }

  /** Whether a state of a call is newer than the one that was delivered last. */
  #isNew({ id, version, state }: FullCall): boolean {
    if (version <= (this.#versions.get(id) ?? 0)) return false;
    if (state === 'ENDED' && this.#isLive) this.#versions.delete(id);
    else this.#versions.set(id, version);
    return true;
  }

  #onSignals({ subjectId, data: { signals } }: Change<SignalsSent>): void {
    if (subjectId !== this.#partyId) return;
    // The waiting signals are read in order, with this one among them.
    if (!this.#isLive) this.#knownSignal = Math.max(this.#knownSignal, signals.at(-1)?.seq ?? 0);
    else for (const signal of signals) this.#pushSignal(signal);
  }

  #pushSignal(signal: CallSignal): void {
    if (signal.seq <= this.#lastSignal) return;
    this.#lastSignal = signal.seq;
    const event: CallEvent = { type: 'SIGNAL', call: null, signal };
    if (this.#isLive) this.#stream?.push(event);
    else this.#stream?.pushInitial(event);
  }

  /** Reads the next events that the stream begins with. Resolves with false when there are no more. */
  readonly readMore = async (): Promise<boolean> => {
    const stream = this.#stream;
    if (!stream || this.#isStopped || this.#isLive) return false;
    const limit = Math.min(PAGE, stream.queueMax);
    const { db } = this.#deps.database;
    if (this.#afterCall !== undefined) {
      const calls = await findLive(db, this.#userId, this.#afterCall, limit);
      for (const { hasDeclined, ...call } of calls) {
        if (this.#isNew(call)) stream.pushInitial({ type: 'CHANGED', call, signal: null });
        if (hasDeclined) stream.pushInitial({ type: 'DECLINED', call, signal: null });
      }
      this.#afterCall = calls.length < limit ? undefined : calls.at(-1)?.id;
      return true;
    }
    const signals = this.#partyId === null ? [] : await findSignals(db, this.#partyId, this.#lastSignal, limit);
    for (const signal of signals) this.#pushSignal(signal);
    if (signals.length === limit || this.#knownSignal > this.#lastSignal) {
      // Those that are missing were acknowledged meanwhile, by another stream of the same device.
      if (signals.length === 0) this.#lastSignal = this.#knownSignal;
      return true;
    }
    this.#isLive = true;
    stream.pushInitial({ ...caughtUp });
    return false;
  };

  stop(): void {
    this.#isStopped = true;
    for (const stop of this.#stops.splice(0)) stop();
  }
}
