import { ChatError } from '../core/errors.js';
import { Stream } from './stream.js';

/** The source of a subscription's events. A transport either pulls them with `next`, or lets them flow. */
export interface EventSource<Event> extends AsyncIterableIterator<Event> {
  readonly userId: string;
  /** The maximum number of events that may wait for the consumer. */
  readonly queueMax: number;
  /** The number of events that wait for the consumer. */
  readonly queued: number;
  /** Whether the backlog (a replay, or the initial state) and the queue have been consumed, so that events can flow. */
  readonly isIdle: boolean;
  /** Whether an event is one of those that the stream began with: of its replay, or of the initial state. */
  isBacklog(event: Event): boolean;
  /**
   * Passes each event to `consume` as soon as it happens, instead of `next()`. Must be called while the source is idle.
   * Resolves when the stream ends, and rejects when it fails. A consumer that has `queueMax` events waiting must call
   * `dropSlowConsumer` instead of keeping more.
   */
  flow(consume: (event: Event) => void): Promise<void>;
  /** Calls `listener` once when the stream has ended for any reason, or immediately. Only one listener is supported. */
  whenClosed(listener: () => void): void;
  /** Ends the stream with an error after which clients subscribe again, because its consumer does not keep up. */
  dropSlowConsumer(): void;
  return(): Promise<IteratorResult<Event>>;
}

/** A stream of ephemeral events: nothing is stored, and it cannot be resumed. */
export class LiveStream<Event extends object> implements EventSource<Event> {
  readonly userId: string;
  readonly queueMax: number;
  readonly #live: Stream<Event>;
  readonly #onSlowConsumer: () => void;
  #consume: ((event: Event) => void) | undefined;
  #onClosed: (() => void) | undefined;
  #readMore: (() => Promise<boolean>) | undefined;
  #isReading = false;
  /** The events that the stream began with. */
  #initial: WeakSet<Event> | undefined;

  constructor(options: {
    userId: string;
    queueMax: number;
    onSlowConsumer(): void;
    onClose(): void;
    /**
     * Pushes the next of the events that the stream begins with (`pushInitial`); resolves with false when there are no
     * more. It is called when the consumer has taken all others, so that these events do not pile up. While it runs, the
     * consumer receives what happens.
     */
    readMore?: () => Promise<boolean>;
  }) {
    ({ userId: this.userId, queueMax: this.queueMax, onSlowConsumer: this.#onSlowConsumer } = options);
    this.#readMore = options.readMore;
    this.#live = new Stream({
      limit: options.queueMax,
      onOverflow: () => this.dropSlowConsumer(),
      onClose: () => {
        options.onClose();
        this.#onClosed?.();
      },
    });
  }

  push(event: Event): void {
    if (this.#consume) this.#consume(event);
    else this.#live.push(event);
  }

  /** Adds an event of the initial state. */
  pushInitial(event: Event): void {
    this.#initial ??= new WeakSet();
    this.#initial.add(event);
    this.push(event);
  }

  isBacklog(event: Event): boolean {
    return this.#initial?.has(event) ?? false;
  }

  get closed(): boolean {
    return this.#live.closed;
  }

  get isIdle(): boolean {
    return this.#live.isEmpty && (this.#readMore === undefined || this.#live.closed);
  }

  get queued(): number {
    return this.#live.queued;
  }

  async flow(consume: (event: Event) => void): Promise<void> {
    this.#consume = consume;
    await this.#live.next();
  }

  whenClosed(listener: () => void): void {
    if (this.#live.closed) listener();
    else this.#onClosed = listener;
  }

  dropSlowConsumer(): void {
    this.#onSlowConsumer();
    this.fail(new ChatError('UNAVAILABLE', 'Too many events are waiting for this subscription. Subscribe again.'));
  }

  next(): Promise<IteratorResult<Event>> {
    const next = this.#live.next();
    if (this.#readMore) void this.#readOn();
    return next;
  }

  /** Reads further initial events until the consumer no longer waits. */
  async #readOn(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (this.#readMore && this.#live.isAwaited) {
        if (!(await this.#readMore())) this.#readMore = undefined;
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.#isReading = false;
    }
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
