import { ChatError } from '../core/errors.js';
import { Stream } from './stream.js';

/** What a subscription is fed from, whoever takes its events. */
export interface EventSource<Event> extends AsyncIterableIterator<Event> {
  readonly userId: string;
  /** Most events that may wait for whoever takes them. */
  readonly queueMax: number;
  /** Events that wait for whoever takes them. */
  readonly queued: number;
  /** True when all that there is was taken, and what comes is live. */
  readonly isIdle: boolean;
  /**
   * Gives each event to `taker` in the moment in which it happens, in place of `next()`. To be called when it is idle.
   * Resolves when the stream ends, rejects when it fails. Whoever takes keeps no more than `queueMax` waiting, or else
   * cuts it off.
   */
  flow(taker: (event: Event) => void): Promise<void>;
  /** Calls once, however it ends; at once if it has ended. For one caller. */
  whenClosed(tell: () => void): void;
  /** Ends it for who does not read, in a way that makes clients come back. */
  cutOff(): void;
  return(): Promise<IteratorResult<Event>>;
}

/** A stream of what happens just now: nothing of it is kept, and nobody resumes it. */
export class LiveStream<Event extends object> implements EventSource<Event> {
  readonly userId: string;
  readonly queueMax: number;
  readonly #live: Stream<Event>;
  readonly #onCutOff: () => void;
  #taker: ((event: Event) => void) | undefined;
  #onClosed: (() => void) | undefined;

  constructor(options: { userId: string; queueMax: number; onCutOff(): void; onClose(): void }) {
    ({ userId: this.userId, queueMax: this.queueMax, onCutOff: this.#onCutOff } = options);
    this.#live = new Stream({
      limit: options.queueMax,
      onOverflow: () => this.cutOff(),
      onClose: () => {
        options.onClose();
        this.#onClosed?.();
      },
    });
  }

  push(event: Event): void {
    if (this.#taker) this.#taker(event);
    else this.#live.push(event);
  }

  get closed(): boolean {
    return this.#live.closed;
  }

  get isIdle(): boolean {
    return this.#live.isEmpty;
  }

  get queued(): number {
    return this.#live.queued;
  }

  async flow(taker: (event: Event) => void): Promise<void> {
    this.#taker = taker;
    await this.#live.next();
  }

  whenClosed(tell: () => void): void {
    if (this.#live.closed) tell();
    else this.#onClosed = tell;
  }

  cutOff(): void {
    this.#onCutOff();
    this.fail(new ChatError('UNAVAILABLE', 'Too many events are waiting for this subscription. Subscribe again.'));
  }

  next(): Promise<IteratorResult<Event>> {
    return this.#live.next();
  }

  return(): Promise<IteratorResult<Event>> {
    return this.#live.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  end(): void {
    this.#live.end();
  }

  fail(error: unknown): void {
    this.#live.fail(error);
  }
}
