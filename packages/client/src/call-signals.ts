import { isTemporary, toError } from './errors.js';
import { pause, retryDelay } from './pause.js';

/** After how many milliseconds handled signals are acknowledged, if nothing is sent sooner. */
const ACKNOWLEDGE_AFTER = 500;

export interface SignalsOptions {
  /** Sends signals to a device, and acknowledges those that were received. Throws a ParleyError. */
  deliver: (toPartyId: string, payloads: string[], acknowledgedSeq: number | undefined) => Promise<unknown>;
  /** Handles a signal. */
  receive: (fromPartyId: string, signal: object) => Promise<void>;
  /** Called when signals cannot be sent any more. */
  onFailure: (error: unknown) => void;
}

/** A signal of another device, as the server delivers it. */
export interface ReceivedSignal {
  seq: number;
  fromPartyId: string;
  payload: string;
}

/**
 * The signals of one device in a call. Those to another device are sent in their order, and again after a failure until they
 * have arrived; as an earlier attempt can have arrived as well, each has a number, and is handled once. Those that were
 * received are handled one after the other, and then acknowledged.
 */
export function createSignals({ deliver, receive, onFailure }: SignalsOptions) {
  const waiting = new Map<string, string[]>();
  /** The numbers of the last signals to each device and from each device. */
  const sent = new Map<string, number>();
  const handled = new Map<string, number>();
  let lastSeq = 0;
  /** The last signal that was handled, and not acknowledged. */
  let unacknowledged: { seq: number; partyId: string } | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isSending = false;
  let isClosed = false;
  let handling = Promise.resolve();

  function send(toPartyId: string, signal: object): void {
    const number = (sent.get(toPartyId) ?? 0) + 1;
    sent.set(toPartyId, number);
    const list = waiting.get(toPartyId) ?? [];
    waiting.set(toPartyId, list);
    list.push(JSON.stringify({ number, ...signal }));
    void work();
  }

  async function work(): Promise<void> {
    if (isSending || isClosed) return;
    isSending = true;
    for (let failures = 0; !isClosed; ) {
      const [toPartyId, payloads] = [...waiting].find(([, list]) => list.length > 0) ?? [unacknowledged?.partyId, []];
      if (toPartyId === undefined || (payloads.length === 0 && timer !== undefined)) break;
      const count = payloads.length;
      const seq = unacknowledged?.seq;
      try {
        await deliver(toPartyId, payloads.slice(), seq);
        failures = 0;
        payloads.splice(0, count);
        if (unacknowledged?.seq === seq) acknowledged();
      } catch (thrown) {
        const error = toError(thrown);
        const isFull = error.limit === 'callSignalsMax';
        if (!isTemporary(error) && !isFull) {
          if (!isClosed) onFailure(error);
          break;
        }
        await pause(Math.max(retryDelay(failures), error.retryAfter ?? 0));
        failures += 1;
      }
    }
    isSending = false;
  }

  function acknowledged(): void {
    unacknowledged = undefined;
    clearTimeout(timer);
    timer = undefined;
  }

  /** Handles a signal that the server has delivered. A new stream delivers those again that were not acknowledged. */
  function onSignal({ seq, fromPartyId, payload }: ReceivedSignal): void {
    if (seq <= lastSeq) return;
    lastSeq = seq;
    handling = handling.then(async () => {
      if (isClosed) return;
      const { number = 0, ...signal } = parse(payload);
      if (number > (handled.get(fromPartyId) ?? 0)) {
        handled.set(fromPartyId, number);
        await receive(fromPartyId, signal).catch((error) => console.debug('A signal was not accepted:', error));
      }
      unacknowledged = { seq, partyId: fromPartyId };
      timer ??= setTimeout(() => {
        timer = undefined;
        void work();
      }, ACKNOWLEDGE_AFTER);
    });
  }

  /** Discards the signals to a device that has left. */
  function forget(partyId: string): void {
    waiting.delete(partyId);
  }

  function close(): void {
    isClosed = true;
    clearTimeout(timer);
  }

  return { send, onSignal, forget, close };
}

function parse(payload: string): { number?: number } {
  try {
    const value = JSON.parse(payload);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    // Not a signal of this package.
    return {};
  }
}
