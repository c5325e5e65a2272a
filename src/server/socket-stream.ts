import { type Outbox, Recipient } from './outbox.js';
import type { SharedSubscription } from './subscriptions.js';

/** The maximum number of responses of a replay that wait to be written before more events are read. */
const REPLAY_AHEAD = 16;

/**
 * Writes the responses of a shared subscription directly to a socket. For graphql-ws, it is a stream without values
 * that ends with the subscription, so that graphql-ws still handles start, completion, cancellation and errors.
 */
export class SocketStream implements AsyncIterableIterator<never, undefined, undefined> {
  readonly #subscription: SharedSubscription;
  readonly #outbox: Outbox;
  readonly #recipient: Recipient;
  #running: Promise<IteratorReturnResult<undefined>> | undefined;

  constructor(subscription: SharedSubscription, outbox: Outbox, id: string) {
    this.#subscription = subscription;
    this.#outbox = outbox;
    this.#recipient = new Recipient(id);
  }

  /** Resolves when the subscription has ended and all its responses have been written. */
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
        outbox.push(recipient, subscription.answerToNext(event));
        if (recipient.waiting >= REPLAY_AHEAD) await recipient.untilIdle();
      }
      await stream.flow((event) => {
        if (recipient.waiting >= queueMax) stream.dropSlowConsumer();
        else outbox.push(recipient, subscription.answerTo(event));
      });
      return over;
    } catch (error) {
      throw subscription.failed(error);
    } finally {
      // Responses to events that were committed before the end must be written before the end itself.
      await recipient.untilIdle();
    }
  }

  /** Called when the client has unsubscribed or disconnected. */
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
