/**
 * A bounded queue with one consumer, which reads it as an async iterator.
 *
 * `onClose` is called once when the consumer (`return`) or the producer (`end`, `fail`) closes the stream. `onOverflow`
 * is called when the queue already contains `limit` items; the new item is dropped, and the callback decides what happens
 * to the stream.
 */
export class Stream<Item> implements AsyncIterableIterator<Item> {
  #queue: Item[] = [];
  readonly #limit: number;
  readonly #onClose: () => void;
  readonly #onOverflow: () => void;
  #waiting: { resolve: (result: IteratorResult<Item>) => void; reject: (error: unknown) => void } | undefined;
  #failure: unknown;
  #closed = false;

  constructor({ limit, onClose, onOverflow }: { limit: number; onClose: () => void; onOverflow: () => void }) {
    this.#limit = limit;
    this.#onClose = onClose;
    this.#onOverflow = onOverflow;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** Whether a call of `next()` waits for an item. */
  get isAwaited(): boolean {
    return this.#waiting !== undefined;
  }

  /** Adds an item. Does nothing once the stream is closed. */
  push(item: Item): void {
    if (this.#closed) return;
    if (this.#waiting) {
      this.#waiting.resolve({ value: item, done: false });
      this.#waiting = undefined;
    } else if (this.#queue.length >= this.#limit) {
      this.#onOverflow();
    } else {
      this.#queue.push(item);
    }
  }

  /** Discards the queued items. */
  clear(): void {
    this.#queue = [];
  }

  /** Ends the stream after the queued items. */
  end(): void {
    this.#close();
  }

  /** Ends the stream with an error after the queued items. */
  fail(error: unknown): void {
    if (this.#closed) return;
    if (!this.#waiting) this.#failure = error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
    this.#close();
  }

  next(): Promise<IteratorResult<Item>> {
    const item = this.#queue.shift();
    if (item !== undefined) return Promise.resolve({ value: item, done: false });
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      this.#failure = undefined;
      return Promise.reject(failure);
    }
    if (this.#closed) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<Item>> {
    this.#queue = [];
    this.#failure = undefined;
    this.#close();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // A pending `next()` must not wait for ever when another caller cancels.
    this.#waiting?.resolve({ value: undefined, done: true });
    this.#waiting = undefined;
    this.#onClose();
  }
}
