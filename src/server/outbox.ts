import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Answer } from './subscriptions.js';

/** The time after which writing pauses so that other work can run, in milliseconds. */
const SLICE_MS = 5;
/** The number of outboxes that are written between two checks of the clock. */
const LOOK_EVERY = 32;
/** The maximum number of bytes that are combined into one write. */
const WRITE_MAX_BYTES = 64 * 1024;
/** The number of array slots that an empty outbox keeps. */
const KEPT_PLACES = 64;

// Frames are strings with one character per byte (latin1), which V8 concatenates fastest and sockets accept.
const bytesOf = (text: string) => Buffer.from(text).toString('latin1');

/** An operation of a socket whose responses the outbox writes. */
export class Recipient {
  /** The number of responses that wait to be written. */
  waiting = 0;
  /** Whether the operation still receives responses. If not, waiting ones are discarded. */
  active = true;
  /** The id of the operation in JSON, with one character per byte. */
  readonly id: string;
  #idle: (() => void) | undefined;

  constructor(id: string) {
    this.id = bytesOf(JSON.stringify(id).slice(1, -1));
  }

  /** Resolves when no responses are waiting. Only one caller at a time is supported. */
  untilIdle(): Promise<void> {
    return this.waiting === 0
      ? Promise.resolve()
      : new Promise((resolve) => {
          this.#idle = resolve;
        });
  }

  /** Reports that `count` waiting responses were written or discarded. */
  written(count: number): void {
    this.waiting -= count;
    if (this.waiting > 0 || !this.#idle) return;
    const idle = this.#idle;
    this.#idle = undefined;
    idle();
  }
}

/**
 * Writes the outboxes with waiting responses. It works in slices, so that an event for thousands of clients does not
 * block other work, and after all events of the same turn, so that they become one write per socket.
 */
export class WriteScheduler {
  /** The numbers of written and of waiting responses, of all outboxes. */
  delivered = 0;
  waiting = 0;
  /** The open outboxes. */
  readonly outboxes = new Set<Outbox>();
  readonly #onTurn: (oldest: Answer | undefined) => void;
  #due: Outbox[] = [];
  /** The frames that were joined last. Most outboxes contain the same responses. */
  #run: { idLength: number; answers: readonly Answer[]; parts: readonly string[] } = {
    idLength: -1,
    answers: [],
    parts: [],
  };

  /**
   * @param onTurn is called with the oldest waiting response of an outbox when it is written, for a sample of outboxes.
   */
  constructor(onTurn: (oldest: Answer | undefined) => void = () => {}) {
    this.#onTurn = onTurn;
  }

  add(outbox: Outbox): void {
    if (this.#due.push(outbox) === 1) setImmediate(this.#deliver);
  }

  readonly #deliver = (): void => {
    const until = performance.now() + SLICE_MS;
    const due = this.#due;
    let count = 0;
    while (count < due.length) {
      if (count % LOOK_EVERY === 0) {
        if (count > 0 && performance.now() >= until) break;
        this.#onTurn(due[count]?.oldest);
      }
      due[count]?.write();
      count += 1;
    }
    // Outboxes that were added in the meantime are at the end.
    this.#due = due.slice(count);
    if (this.#due.length > 0) setImmediate(this.#deliver);
  };

  /** The frames of responses for one id, as one string. */
  join(answers: readonly Answer[], id: string): string {
    const run = this.#run;
    if (run.idLength !== id.length || !sameItems(run.answers, answers)) {
      // The string between two ids: the end of one frame and the beginning of the next.
      const parts = answers.map((answer, index) => (answers[index - 1]?.tail ?? '') + answer.head(id.length));
      parts.push(answers.at(-1)?.tail ?? '');
      this.#run = { idLength: id.length, answers, parts };
    }
    return this.#run.parts.join(id);
  }
}

function sameItems(one: readonly unknown[], other: readonly unknown[]): boolean {
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index += 1) if (one[index] !== other[index]) return false;
  return true;
}

/**
 * The queue of responses for one socket: `next` messages of graphql-transport-ws, in order. They are written to the TCP
 * socket as complete frames, which is correct because the WebSocket does not use compression.
 */
export class Outbox {
  readonly #socket: WebSocket;
  readonly #raw: Duplex;
  readonly #scheduler: WriteScheduler;
  // Slots are reused to avoid allocating an array for each event.
  #answers: (Answer | undefined)[] = [];
  #recipients: (Recipient | undefined)[] = [];
  #count = 0;
  /** Whether a write is scheduled, or the outbox waits for a response or the socket. */
  #called = false;
  #closed = false;

  constructor(socket: WebSocket, raw: Duplex, scheduler: WriteScheduler) {
    this.#socket = socket;
    this.#raw = raw;
    this.#scheduler = scheduler;
    scheduler.outboxes.add(this);
  }

  get oldest(): Answer | undefined {
    return this.#answers[0];
  }

  /** The number of responses that wait to be written. */
  get waiting(): number {
    return this.#count;
  }

  push(recipient: Recipient, answer: Answer): void {
    if (this.#closed) return;
    recipient.waiting += 1;
    this.#answers[this.#count] = answer;
    this.#recipients[this.#count] = recipient;
    this.#count += 1;
    this.#scheduler.waiting += 1;
    if (!this.#called) this.#call();
  }

  #call(): void {
    this.#called = true;
    this.#scheduler.add(this);
  }

  readonly #callAgain = (): void => this.#call();

  /** Writes as many responses as possible. It is called by `WriteScheduler`. */
  write(): void {
    this.#called = false;
    if (this.#socket.readyState !== this.#socket.OPEN) {
      this.close();
      return;
    }
    if (this.#raw.writableNeedDrain) {
      this.#called = true;
      this.#raw.once('drain', this.#callAgain);
      return;
    }
    const [first] = this.#answers;
    if (this.#count === 1 && first?.result) {
      this.#writeOnly(first, this.#recipients[0] as Recipient);
      return;
    }
    let text = '';
    let done = 0;
    while (done < this.#count && text.length < WRITE_MAX_BYTES) {
      const recipient = this.#recipients[done] as Recipient;
      const run = this.#readyFor(recipient, done);
      if (run.length === 0) break;
      if (recipient.active) {
        text += this.#scheduler.join(run, recipient.id);
        this.#scheduler.delivered += run.length;
      }
      done += run.length;
      recipient.written(run.length);
    }
    if (text !== '') this.#raw.write(text, 'latin1');
    this.#forget(done);
    if (this.#count === 0) return;
    const next = this.#answers[0] as Answer;
    this.#called = true;
    // Responses are written in order, so that those after a pending one wait for it.
    if (next.result) this.#callAgain();
    else next.whenReady(this.#callAgain);
  }

  /** The most frequent case: exactly one response waits, and it is ready. */
  #writeOnly(answer: Answer, recipient: Recipient): void {
    this.#answers[0] = undefined;
    this.#recipients[0] = undefined;
    this.#count = 0;
    this.#scheduler.waiting -= 1;
    const { id, active } = recipient;
    if (active) {
      this.#raw.write(answer.head(id.length) + id + answer.tail, 'latin1');
      this.#scheduler.delivered += 1;
    }
    recipient.written(1);
  }

  /** The ready responses from this slot on that belong to the recipient, up to the size of one write. */
  #readyFor(recipient: Recipient, from: number): Answer[] {
    const run: Answer[] = [];
    let bytes = 0;
    for (let at = from; at < this.#count && this.#recipients[at] === recipient && bytes < WRITE_MAX_BYTES; at += 1) {
      const answer = this.#answers[at] as Answer;
      if (!answer.result) break;
      run.push(answer);
      bytes += answer.tail.length;
    }
    return run;
  }

  /** Frees the first slots. */
  #forget(done: number): void {
    const answers = this.#answers;
    const recipients = this.#recipients;
    const rest = this.#count - done;
    this.#scheduler.waiting -= done;
    if (rest > 0) {
      answers.copyWithin(0, done, this.#count);
      recipients.copyWithin(0, done, this.#count);
    }
    for (let at = rest; at < this.#count; at += 1) {
      answers[at] = undefined;
      recipients[at] = undefined;
    }
    this.#count = rest;
    if (rest === 0 && answers.length > KEPT_PLACES) {
      this.#answers = [];
      this.#recipients = [];
    }
  }

  /** Discards all waiting responses and accepts no more, because the socket is closed or about to close. */
  close(): void {
    this.#closed = true;
    this.#scheduler.outboxes.delete(this);
    const waiting = this.#recipients.slice(0, this.#count);
    this.#forget(this.#count);
    for (const recipient of waiting) recipient?.written(1);
  }
}
