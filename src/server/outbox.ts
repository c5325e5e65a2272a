import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Answer } from './subscriptions.js';

/** Milliseconds of writing after which other work has its turn. */
const SLICE_MS = 5;
/** Outboxes that are written between two looks at the clock. */
const LOOK_EVERY = 32;
/** Bytes that are joined into one write. */
const WRITE_MAX_BYTES = 64 * 1024;
/** Places that an outbox keeps when it is empty. */
const KEPT_PLACES = 64;

// Frames are texts of which every character stands for one byte (latin1): joining those is what V8 does best, and a
// socket takes them as they are.
const bytesOf = (text: string) => Buffer.from(text).toString('latin1');

/** One operation of a socket, whose answers the outbox writes. */
export class Recipient {
  /** Answers that wait to be written. */
  waiting = 0;
  /** False once it is not to get what still waits. */
  active = true;
  /** The operation's id as it stands in JSON, a character a byte. */
  readonly id: string;
  #idle: (() => void) | undefined;

  constructor(id: string) {
    this.id = bytesOf(JSON.stringify(id).slice(1, -1));
  }

  /** Resolves when nothing waits. One may wait for it at a time. */
  untilIdle(): Promise<void> {
    return this.waiting === 0
      ? Promise.resolve()
      : new Promise((resolve) => {
          this.#idle = resolve;
        });
  }

  /** Of those that waited, `count` were written, or never will be. */
  written(count: number): void {
    this.waiting -= count;
    if (this.waiting > 0 || !this.#idle) return;
    const idle = this.#idle;
    this.#idle = undefined;
    idle();
  }
}

/**
 * Writes the outboxes in which something waits: in slices, so that an event for thousands does not stop all else, and
 * after the events that came together, so that they become one write for each socket.
 */
export class Postman {
  /** Answers that were written, and those that wait, of all outboxes. */
  delivered = 0;
  waiting = 0;
  /** The outboxes that are open. */
  readonly outboxes = new Set<Outbox>();
  readonly #onTurn: (oldest: Answer | undefined) => void;
  #due: Outbox[] = [];
  /** The frames that were joined last: in most outboxes the same answers wait. */
  #run: { idLength: number; answers: readonly Answer[]; parts: readonly string[] } = {
    idLength: -1,
    answers: [],
    parts: [],
  };

  /** `onTurn` is told of what waits longest in an outbox whose turn has come: of one in so many, for how long that was. */
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
    // Those that became due meanwhile are at the end.
    this.#due = due.slice(count);
    if (this.#due.length > 0) setImmediate(this.#deliver);
  };

  /** The frames of answers for one id, as one text. */
  join(answers: readonly Answer[], id: string): string {
    const run = this.#run;
    if (run.idLength !== id.length || !sameItems(run.answers, answers)) {
      // What stands between two ids: the end of a frame and the beginning of the next.
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
 * What waits to be written to one socket: `next` messages of graphql-transport-ws, in order. They go past the
 * WebSocket as ready frames, which is right as long as it does not compress.
 */
export class Outbox {
  readonly #socket: WebSocket;
  readonly #raw: Duplex;
  readonly #postman: Postman;
  // Places are used again: an array that is emptied and filled for each event is what the garbage collector lives on.
  #answers: (Answer | undefined)[] = [];
  #recipients: (Recipient | undefined)[] = [];
  #count = 0;
  /** Whether the postman comes by, or an answer or the socket calls. */
  #called = false;
  #closed = false;

  constructor(socket: WebSocket, raw: Duplex, postman: Postman) {
    this.#socket = socket;
    this.#raw = raw;
    this.#postman = postman;
    postman.outboxes.add(this);
  }

  get oldest(): Answer | undefined {
    return this.#answers[0];
  }

  /** Answers that wait. */
  get waiting(): number {
    return this.#count;
  }

  push(recipient: Recipient, answer: Answer): void {
    if (this.#closed) return;
    recipient.waiting += 1;
    this.#answers[this.#count] = answer;
    this.#recipients[this.#count] = recipient;
    this.#count += 1;
    this.#postman.waiting += 1;
    if (!this.#called) this.#call();
  }

  #call(): void {
    this.#called = true;
    this.#postman.add(this);
  }

  readonly #callAgain = (): void => this.#call();

  /** Writes what can be written; for the postman. */
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
        text += this.#postman.join(run, recipient.id);
        this.#postman.delivered += run.length;
      }
      done += run.length;
      recipient.written(run.length);
    }
    if (text !== '') this.#raw.write(text, 'latin1');
    this.#forget(done);
    if (this.#count === 0) return;
    const next = this.#answers[0] as Answer;
    this.#called = true;
    // In order: what is behind an answer that is being worked out waits with it.
    if (next.result) this.#callAgain();
    else next.whenReady(this.#callAgain);
  }

  /** What is most often: one answer waits, and is worked out. */
  #writeOnly(answer: Answer, recipient: Recipient): void {
    this.#answers[0] = undefined;
    this.#recipients[0] = undefined;
    this.#count = 0;
    this.#postman.waiting -= 1;
    const { id, active } = recipient;
    if (active) {
      this.#raw.write(answer.head(id.length) + id + answer.tail, 'latin1');
      this.#postman.delivered += 1;
    }
    recipient.written(1);
  }

  /** The answers from this place on that are for the recipient and worked out, as many as one write takes. */
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

  /** Frees the first places. */
  #forget(done: number): void {
    const answers = this.#answers;
    const recipients = this.#recipients;
    const rest = this.#count - done;
    this.#postman.waiting -= done;
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

  /** Forgets what waits, and takes no more: the socket is closed or about to be. */
  close(): void {
    this.#closed = true;
    this.#postman.outboxes.delete(this);
    const waiting = this.#recipients.slice(0, this.#count);
    this.#forget(this.#count);
    for (const recipient of waiting) recipient?.written(1);
  }
}
