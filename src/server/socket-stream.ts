import { presentError } from '../graphql/errors.js';
import type { Logger } from '../infra/telemetry/log.js';
import { type Outbox, Recipient } from './outbox.js';
import type { SharedSubscription } from './subscriptions.js';

/** Answers of a replay that may wait to be written before more of it is read. */
const REPLAY_AHEAD = 16;

/**
 * Writes a shared subscription to a socket past graphql-ws, for which it is a stream that yields nothing and ends when
 * the subscription does: so beginning, completing, cancelling and failing stay graphql-ws's own.
 */
export class SocketStream implements AsyncIterableIterator<never, undefined, undefined> {
  readonly #subscription: SharedSubscription;
  readonly #outbox: Outbox;
  readonly #recipient: Recipient;
  readonly #log: Logger;
  #running: Promise<IteratorReturnResult<undefined>> | undefined;

  constructor(subscription: SharedSubscription, outbox: Outbox, id: string, log: Logger) {
    this.#subscription = subscription;
    this.#outbox = outbox;
    this.#recipient = new Recipient(id);
    this.#log = log;
  }

  /** Resolves when all is written and over. */
  next(): Promise<IteratorReturnResult<undefined>> {
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<IteratorReturnResult<undefined>> {
    const subscription = this.#subscription;
    const outbox = this.#outbox;
    const recipient = this.#recipient;
    const { stream } = subscription;
    const { queueMax } = stream;
    try {
      while (!stream.isIdle) {
        const { value: event, done } = await stream.next();
        if (done) return over;
        outbox.push(recipient, subscription.answerTo(event));
        if (recipient.waiting >= REPLAY_AHEAD) await recipient.untilIdle();
      }
      await stream.flow((event) => {
        if (recipient.waiting >= queueMax) stream.cutOff();
        else outbox.push(recipient, subscription.answerTo(event));
      });
      return over;
    } catch (error) {
      subscription.failed(error);
      throw presentError(error, this.#log);
    } finally {
      // What was committed before the end is theirs, and comes before word of the end.
      await recipient.untilIdle();
    }
  }

  /** The client wants no more, or is gone. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#recipient.active = false;
    await this.#subscription.stream.return();
    return over;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

const over: IteratorReturnResult<undefined> = { value: undefined, done: true };
