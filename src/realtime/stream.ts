import { ChatError } from '../core/errors.js';

/**
 * What one subscriber has still to read: an async iterator over a bounded queue.
 *
 * `onClose` is called once, however it ends: by its consumer (`return`), by its producer (`end`, `fail`), or because
 * more than `limit` items wait, which ends it with UNAVAILABLE so that its client comes back with its cursor.
 */
export class Stream<Item> implements AsyncIterableIterator<Item> {
  readonly #queue: Item[] = [];
  readonly #limit: number;
  readonly #onClose: () => void;
  #waiting: { resolve: (result: IteratorResult<Item>) => void; reject: (error: unknown) => void } | undefined;
  #failure: unknown;
  #closed = false;

  constructor({ limit, onClose }: { limit: number; onClose: () => void }) {
    this.#limit = limit;
    this.#onClose = onClose;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Adds an item; one that comes after the end is dropped. */
  push(item: Item): void {
    if (this.#closed) return;
    if (this.#waiting) {
      this.#waiting.resolve({ value: item, done: false });
      this.#waiting = undefined;
    } else if (this.#queue.length >= this.#limit) {
      this.#queue.length = 0;
      this.fail(
        new ChatError('UNAVAILABLE', 'Too many events waited for this subscriber: resume with the last cursor.'),
      );
    } else {
      this.#queue.push(item);
    }
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
    this.#queue.length = 0;
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
