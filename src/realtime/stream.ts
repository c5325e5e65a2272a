/**
 * What one subscriber has still to read: an async iterator over a bounded queue.
 *
 * `onClose` is called once, however it ends: by its consumer (`return`) or by its producer (`end`, `fail`).
 * `onOverflow` is called instead of keeping an item that would be one more than `limit`; it decides what becomes of
 * the stream.
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

  /** Adds an item; one that comes after the end is dropped. */
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

  /** Forgets what is queued. */
  clear(): void {
    this.#queue = [];
  }

  /** Ends it after what is queued. */
  end(): void {
    this.#close();
  }

  /** Ends it with an error after what is queued. */
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
    // A consumer that waits while another cancels must not wait for ever.
    this.#waiting?.resolve({ value: undefined, done: true });
    this.#waiting = undefined;
    this.#onClose();
  }
}
