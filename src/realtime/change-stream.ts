import { ChatError } from '../core/errors.js';
import { decodeSyncCursor, type SyncCursor } from '../core/sync-cursor.js';
import type { Change } from './change.js';
import type { Feed, Listener } from './feed.js';
import { Stream } from './stream.js';

/** Where and when an event is delivered. */
export interface Delivery {
  /** What `after` takes to go on behind this event. */
  cursor: string;
  /** True while catching up. */
  replayed: boolean;
}

export interface ChangeStreamOptions<Event> {
  feed: Feed;
  generation: string;
  userId: string;
  /** Of this conversation, or (null) of all that the user is in. */
  conversationId: string | null;
  /** The types of changes it is for. */
  types: readonly string[];
  after: string | null | undefined;
  /** The event that a change is to this user; undefined when it is none. */
  toEvent(change: Change, delivery: Delivery): Event | undefined;
  toSignal(type: 'CAUGHT_UP' | 'CHECKPOINT', delivery: Delivery): Event;
  /** Most events that wait for a subscriber that does not read. */
  queueMax: number;
  /** Who does not read is cut off: their connection is to end in a way that makes clients come back and resume. */
  onCutOff(): void;
  onClose(): void;
}

/** How often an idle stream gives a fresh cursor, in milliseconds: the contract's 30 seconds. */
const CHECKPOINT_MS = 30_000;

/**
 * A durable stream: what was missed since `after`, then CAUGHT_UP, then life, with a CHECKPOINT within two seconds of
 * the last event and then every 30. Nothing is skipped and nothing repeated; all that a cursor of it has seen was
 * delivered in front of it.
 *
 * What was missed is read as fast as it is taken. What happens meanwhile waits in the queue, and where that runs over
 * it is dropped and read in a second round: catching up needs no more memory than life.
 *
 * @throws {ChatError} BAD_USER_INPUT or CURSOR_EXPIRED with the field `after`.
 */
export async function openChangeStream<Event>(options: ChangeStreamOptions<Event>): Promise<ChangeStream<Event>> {
  const stream = new ChangeStream(options);
  try {
    await stream.open();
  } catch (error) {
    stream.end();
    throw error;
  }
  return stream;
}

/** A change with the cursor of its moment, or a fresh cursor alone. */
interface Item {
  change: Change | null;
  cursor: string;
}

export class ChangeStream<Event> implements AsyncIterableIterator<Event>, Listener {
  readonly userId: string;
  readonly conversationId: string | null;
  readonly types: readonly string[];
  readonly #options: ChangeStreamOptions<Event>;
  readonly #live: Stream<Item>;
  #stopListening: (() => void) | undefined;

  /** What is still to be replayed; undefined once it is live. */
  #replay: AsyncIterator<Change[]> | undefined;
  /** Where the replay under way began; its events carry it, for they are not in the order of cursors. */
  #since = '';
  /** All that this has seen is delivered when the replay under way is. */
  #mark = '';
  /** More happened during the replay than the queue holds. */
  #behind = false;
  readonly #replayed = new Map<string, number>();
  readonly #ready: Event[] = [];

  /** Whether an event waits for a cursor that has seen it: the first sweep after it may have begun before. */
  #unseen: 'no' | 'since this sweep' | 'since the last sweep' = 'no';
  #signalledAt = Date.now();

  constructor(options: ChangeStreamOptions<Event>) {
    ({ userId: this.userId, conversationId: this.conversationId, types: this.types } = options);
    this.#options = options;
    this.#live = new Stream<Item>({
      limit: options.queueMax,
      onOverflow: () => this.#overflow(),
      onClose: () => {
        this.#stopListening?.();
        options.onClose();
      },
    });
  }

  async open(): Promise<void> {
    const { feed, generation, after } = this.#options;
    const since = after == null ? undefined : decodeSyncCursor(after, 'after', generation);
    // Before it listens: what this has seen went to nobody here, so it is in the replay.
    this.#mark = feed.cursor;
    this.#replay = noChanges();
    this.#stopListening = await feed.listen(this);
    if (this.#live.closed) this.#stopListening();
    else if (since && after != null) await this.#replaySince(since, after);
  }

  async #replaySince(since: SyncCursor, text: string): Promise<void> {
    this.#since = text;
    this.#replay = await this.#options.feed.missed(this, since);
  }

  // ── the listener ──

  onChange(change: Change): void {
    this.#unseen = 'since this sweep';
    this.#live.push({ change, cursor: this.#options.feed.cursor });
  }

  onProgress(): void {
    if (this.#replay) return;
    const due = Date.now() - this.#signalledAt >= CHECKPOINT_MS;
    if (this.#unseen === 'since this sweep') this.#unseen = 'since the last sweep';
    else if (this.#unseen === 'since the last sweep' || due) {
      this.#unseen = 'no';
      this.#signalledAt = Date.now();
      this.#live.push({ change: null, cursor: this.#options.feed.cursor });
    }
  }

  onRemoved(): void {
    this.fail(new ChatError('NOT_FOUND', 'You are not in this conversation any more.', { field: 'conversationId' }));
  }

  onEnd(): void {
    this.end();
  }

  #overflow(): void {
    this.#live.clear();
    if (this.#replay) {
      this.#behind = true;
      return;
    }
    this.#options.onCutOff();
    this.fail(new ChatError('UNAVAILABLE', 'Too many events waited for this subscriber: resume with the last cursor.'));
  }

  // ── the iterator ──

  async next(): Promise<IteratorResult<Event>> {
    for (;;) {
      const event = this.#ready.shift();
      if (event !== undefined) return { value: event, done: false };
      if (this.#replay && !this.#live.closed) {
        await this.#goOnReplaying(this.#replay);
        continue;
      }
      const { value: item, done } = await this.#live.next();
      if (done) return { value: undefined, done: true };
      const next = this.#eventOf(item);
      if (next !== undefined) return { value: next, done: false };
    }
  }

  async #goOnReplaying(replay: AsyncIterator<Change[]>): Promise<void> {
    const { done, value: changes } = await replay.next();
    if (!done) {
      for (const change of changes) {
        // A second round begins where the feed was, which is a little before what the first one read.
        if (this.#wasReplayed(change)) continue;
        this.#replayed.set(change.conversationId, change.changeSeq);
        const event =
          change.data === null ? undefined : this.#options.toEvent(change, { cursor: this.#since, replayed: true });
        if (event !== undefined) this.#ready.push(event);
      }
    } else if (this.#behind) {
      this.#behind = false;
      this.#live.clear();
      const since = this.#mark;
      this.#mark = this.#options.feed.cursor;
      await this.#replaySince(decodeSyncCursor(since, 'after', this.#options.generation), since);
    } else {
      this.#replay = undefined;
      this.#signalledAt = Date.now();
      this.#ready.push(this.#options.toSignal('CAUGHT_UP', { cursor: this.#mark, replayed: false }));
    }
  }

  #eventOf({ change, cursor }: Item): Event | undefined {
    const delivery = { cursor, replayed: false };
    if (!change) return this.#options.toSignal('CHECKPOINT', delivery);
    // It came by both ways.
    if (this.#wasReplayed(change)) return undefined;
    return this.#options.toEvent(change, delivery);
  }

  #wasReplayed({ conversationId, changeSeq }: Change): boolean {
    return changeSeq <= (this.#replayed.get(conversationId) ?? 0);
  }

  return(): Promise<IteratorResult<Event>> {
    this.#ready.length = 0;
    return this.#live.return() as Promise<IteratorReturnResult<undefined>>;
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

async function* noChanges(): AsyncGenerator<Change[]> {}
