import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Answer } from './subscriptions.js';

/** Milliseconds of writing after which other work has its turn. */
const SLICE_MS = 5;
/** Outboxes that are written between two looks at the clock. */
const LOOK_EVERY = 32;
/** Bytes that are joined into one write. */
const WRITE_MAX_BYTES = 64 * 1024;

/** One operation of a socket, whose answers the outbox writes. */
export class Recipient {
  /** Answers that wait to be written. */
  waiting = 0;
  /** False once it is not to get what still waits. */
  active = true;
  /** The operation's id as it stands in JSON. */
  readonly id: Buffer;
  #idle: (() => void) | undefined;

  constructor(id: string) {
    this.id = Buffer.from(JSON.stringify(id).slice(1, -1));
  }

  /** Resolves when nothing waits. One may wait for it at a time. */
  untilIdle(): Promise<void> {
    return this.waiting === 0
      ? Promise.resolve()
      : new Promise((resolve) => {
          this.#idle = resolve;
        });
  }

  /** One that waited was written, or never will be. */
  written(): void {
    this.waiting -= 1;
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
  #due: Outbox[] = [];

  add(outbox: Outbox): void {
    if (this.#due.push(outbox) === 1) setImmediate(this.#deliver);
  }

  readonly #deliver = (): void => {
    const until = performance.now() + SLICE_MS;
    const due = this.#due;
    let count = 0;
    while (count < due.length && (count % LOOK_EVERY !== 0 || count === 0 || performance.now() < until)) {
      due[count]?.write();
      count += 1;
    }
    // Those that became due meanwhile are at the end.
    this.#due = due.slice(count);
    if (this.#due.length > 0) setImmediate(this.#deliver);
  };
}

/**
 * What waits to be written to one socket: `next` messages of graphql-transport-ws, in order. They go past the
 * WebSocket as ready frames, which is right as long as it does not compress.
 */
export class Outbox {
  readonly #socket: WebSocket;
  readonly #raw: Duplex;
  readonly #postman: Postman;
  #answers: Answer[] = [];
  #recipients: Recipient[] = [];
  /** Whether the postman comes by, or an answer or the socket calls. */
  #called = false;

  constructor(socket: WebSocket, raw: Duplex, postman: Postman) {
    this.#socket = socket;
    this.#raw = raw;
    this.#postman = postman;
  }

  push(recipient: Recipient, answer: Answer): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    recipient.waiting += 1;
    this.#answers.push(answer);
    this.#recipients.push(recipient);
    this.#call();
  }

  readonly #call = (): void => {
    if (this.#called) return;
    this.#called = true;
    this.#postman.add(this);
  };

  readonly #callAgain = (): void => {
    this.#called = false;
    this.#call();
  };

  /** Writes what can be written; for the postman. */
  write(): void {
    this.#called = false;
    if (this.#socket.readyState !== this.#socket.OPEN) {
      this.clear();
      return;
    }
    if (this.#raw.writableNeedDrain) {
      this.#called = true;
      this.#raw.once('drain', this.#callAgain);
      return;
    }
    const answers = this.#answers;
    const recipients = this.#recipients;
    let count = 0;
    let bytes = 0;
    while (count < answers.length && answers[count]?.result && bytes < WRITE_MAX_BYTES) {
      const recipient = recipients[count] as Recipient;
      if (recipient.active) bytes += frameFor(answers[count] as Answer, recipient.id.length).bytes.length;
      count += 1;
    }
    if (bytes > 0) this.#send(count, bytes);
    for (let index = 0; index < count; index += 1) recipients[index]?.written();
    if (count === answers.length) {
      answers.length = 0;
      recipients.length = 0;
      return;
    }
    answers.splice(0, count);
    recipients.splice(0, count);
    this.#called = true;
    // In order: what is behind an answer that is being worked out waits with it.
    if (answers[0]?.result) this.#callAgain();
    else answers[0]?.whenReady(this.#callAgain);
  }

  /** The first `count` that wait, as one write of `bytes` bytes. */
  #send(count: number, bytes: number): void {
    const all = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (let index = 0; index < count; index += 1) {
      const { id, active } = this.#recipients[index] as Recipient;
      if (!active) continue;
      const frame = frameFor(this.#answers[index] as Answer, id.length);
      frame.bytes.copy(all, at);
      id.copy(all, at + frame.idAt);
      at += frame.bytes.length;
    }
    this.#raw.write(all);
  }

  /** Forgets what waits: the socket is gone. */
  clear(): void {
    const recipients = this.#recipients;
    this.#answers = [];
    this.#recipients = [];
    for (const recipient of recipients) recipient.written();
  }
}

const BEFORE = Buffer.from('{"id":"');

/** An answer as a WebSocket frame with room for an id of so many bytes: the same bytes for every id of that length. */
function frameFor(answer: Answer, idLength: number): { bytes: Buffer; idAt: number } {
  let frame = answer.frames.get(idLength);
  if (!frame) {
    frame = makeFrame(Buffer.from(`","type":"next","payload":${answer.json}}`), idLength);
    answer.frames.set(idLength, frame);
  }
  return frame;
}

/** RFC 6455, section 5.2: an unmasked text frame that is whole. */
function makeFrame(after: Buffer, idLength: number): { bytes: Buffer; idAt: number } {
  const length = BEFORE.length + idLength + after.length;
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const bytes = Buffer.alloc(head + length);
  bytes[0] = 0x81;
  if (head === 2) bytes[1] = length;
  else if (head === 4) {
    bytes[1] = 126;
    bytes.writeUInt16BE(length, 2);
  } else {
    bytes[1] = 127;
    bytes.writeBigUInt64BE(BigInt(length), 2);
  }
  BEFORE.copy(bytes, head);
  after.copy(bytes, head + BEFORE.length + idLength);
  return { bytes, idAt: head + BEFORE.length };
}
