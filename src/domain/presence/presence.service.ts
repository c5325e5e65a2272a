import pLimit from 'p-limit';
import { badInput, rateLimited } from '../../core/errors.js';
import type { User } from '../../generated/prisma/client.js';
import { createConcurrencyLimiter } from '../../infra/async/concurrency-limiter.js';
import { createKeyedQueue } from '../../infra/async/keyed-queue.js';
import type { Deps } from '../../platform/deps.js';
import { nodeTime } from '../../platform/node-time.js';
import { defineService } from '../../platform/service.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import type { Change } from '../../realtime/change.js';
import { LiveStream } from '../../realtime/live-stream.js';
import { conversationChangeTypes } from '../conversation/conversation.events.js';
import { messageChangeTypes } from '../message/message.events.js';
import { openFor } from '../session/session.streams.js';
import { lockActiveViewer } from '../user/user.store.js';
import { recordSettingsChanged } from '../viewer-changes/viewer-changes.events.js';
import { type PresenceChange, type PresenceState, presence } from './presence.js';
import {
  type Availability,
  findAvailabilities,
  findDefaultWatched,
  findDirectConversations,
  findWithLastSeen,
  presenceVisibilityLookup,
  storeAvailability,
  type UserWithLastSeen,
} from './presence.store.js';

/** How the viewer wants to appear to others while connected. */
export async function availabilityOf({ database }: Deps, { userId }: Viewer): Promise<Availability> {
  const [availability = 'ONLINE'] = await findAvailabilities(database.sql, [userId]);
  return availability;
}

/**
 * Sets how the viewer wants to appear to others while connected, on all devices.
 * @returns the viewer.
 */
export async function setAvailability(deps: Deps, viewer: Viewer, availability: Availability): Promise<User> {
  const tracker = presence.of(deps);
  const { userId } = viewer;
  const user = await deps.database.transaction(async (tx) => {
    // Serializes concurrent calls: each must compare with the value that the previous one has stored, because devices
    // are notified of every change.
    const locked = await lockActiveViewer(tx, viewer);
    const isChanged = await storeAvailability(tx, userId, availability, tracker.isVisible(userId));
    if (isChanged) recordSettingsChanged(tx, userId);
    return locked;
  });
  tracker.availabilityChanged(userId, availability);
  return user;
}

/**
 * The presence of users, in the same order; null if it cannot be determined at the moment, or if the viewer is not
 * allowed to see it.
 */
export async function readPresences(
  deps: Deps,
  { userId: viewerId }: Viewer,
  userIds: readonly string[],
): Promise<(PresenceState | null)[]> {
  const changes = await presence.of(deps).read(userIds);
  if (!changes) return userIds.map(() => null);
  const lookUpVisibility = presenceVisibilityLookup.of(deps);
  const isVisible = await Promise.all(userIds.map((userId) => lookUpVisibility({ viewerId, userId })));
  return changes.map((change, index) => (change && isVisible[index] ? change.user.presence : null));
}

/** One event of the `presence` stream. The presence is null if the viewer is not allowed to see it. */
export interface PresenceEvent {
  user: UserWithLastSeen & { presence: PresenceState | null };
}

/** Limits the presence streams of each user on this node. */
const presenceStreams = defineService('presence streams', ({ config }) =>
  createConcurrencyLimiter(config.presenceStreamsPerPersonMax),
);
/** The number of users whose presence is read and sent at a time. The next ones follow when the client has read these. */
const PAGE = 50;
/** The weight of the work for one user of a page, in cost points (`NodeTime.begin`). */
const WEIGHT_PER_USER = 5;
/** Serializes the reads of all streams of a user. */
const presenceReads = defineService('presence reads', () => createKeyedQueue({ atOnce: 1 }));
/** Serializes the initial reads of all streams of a user, which also wait until the user is within their time share. */
const presenceInitialReads = defineService('initial presence reads', () => createKeyedQueue({ atOnce: 1 }));

/** When a client that has too many streams can retry, in milliseconds. */
const TOO_MANY_RETRY_MS = 1_000;

/** Changes that can add or remove counterparts of the viewer's direct conversations. */
const MEMBERSHIP_CHANGES: readonly string[] = [
  conversationChangeTypes.created,
  conversationChangeTypes.memberJoined,
  conversationChangeTypes.memberLeft,
];

/**
 * Streams the current state of users, and then its changes. With `userIds` null, these are the viewer, the counterparts
 * of their direct conversations and their contacts, at most PRESENCE_MAX_WATCHED, and the stream follows changes of these
 * lists. For a user whom the viewer is not (or no longer) allowed to see, there is one event whose presence is null.
 * @throws {ChatError} BAD_USER_INPUT of `userIds` if there are too many; RATE_LIMITED if the viewer has too many streams.
 */
export async function streamPresence(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  userIds: readonly string[] | null,
): Promise<LiveStream<PresenceEvent>> {
  const max = deps.config.presenceMaxWatched;
  if (userIds && userIds.length > max) {
    throw badInput('userIds', `One subscription can watch at most ${max} users.`, 'presenceMaxWatched');
  }
  const leave = viewer.isService ? () => {} : presenceStreams.of(deps).enter(viewer.userId);
  if (!leave) {
    const message = `You can have at most ${deps.config.presenceStreamsPerPersonMax} presence subscriptions. End one of them first.`;
    throw rateLimited(message, TOO_MANY_RETRY_MS);
  }
  const opening = openFor(deps, viewer, connection, async (hooks) => {
    const follower = new Follower(deps, viewer, userIds && [...new Set(userIds)]);
    const stream = new LiveStream<PresenceEvent>({
      ...hooks,
      readMore: follower.readMore,
      onClose() {
        follower.stop();
        leave();
        hooks.onClose();
      },
    });
    try {
      await follower.follow(stream);
    } catch (error) {
      stream.end();
      throw error;
    }
    return stream;
  });
  return opening.catch((error: unknown) => {
    leave();
    throw error;
  });
}

/** Fills a presence stream: it decides which users the stream contains, and which of them the viewer may see. */
class Follower {
  readonly #deps: Deps;
  readonly #viewer: Viewer;
  /** The users whom the client requested; null for the default ones. */
  readonly #requested: readonly string[] | null;
  #stream: LiveStream<PresenceEvent> | undefined;
  /** The users of the stream, visible or not. */
  #followed: ReadonlySet<string> = new Set();
  /** Those of them who have not been read yet. Undefined until the users of the stream are known. */
  #unread: string[] | undefined;
  /** The users whom the viewer may see, each with a function that stops watching them. */
  #watched = new Map<string, () => void>();
  /** The users whom the viewer may not see, each with a function that removes the listener for changes of that. */
  #hidden = new Map<string, () => void>();
  /**
   * The hidden users with a direct conversation, each with a function that stops listening to it: they become visible
   * when they write there.
   */
  #unanswered = new Map<string, () => void>();
  #stopListening = () => {};
  #onChange: (change: PresenceChange | null) => void = () => {};
  /** Runs the reads of this stream one at a time. */
  readonly #serialize = pLimit(1);
  /** Senders of messages whose visibility is about to be read again. */
  readonly #senders = new Set<string>();
  /** The update that is scheduled and has not started. */
  #update: Promise<void> | undefined;

  constructor(deps: Deps, viewer: Viewer, requested: readonly string[] | null) {
    this.#deps = deps;
    this.#viewer = viewer;
    this.#requested = requested;
  }

  async follow(stream: LiveStream<PresenceEvent>): Promise<void> {
    this.#stream = stream;
    const { feed, config } = this.#deps;
    const { userId } = this.#viewer;
    this.#onChange = (change) => {
      if (change) stream.push(change);
      else this.#updateSoon();
    };
    const removeListener = presence.of(this.#deps).onVisibilityChanged(userId, this.#updateSoon);
    this.#stopListening = removeListener;
    const stopListening = await feed.listen({
      userId,
      conversationId: null,
      // A user who was added to a group becomes visible with their first message.
      types: config.presenceHidesAddedMembers
        ? [...MEMBERSHIP_CHANGES, messageChangeTypes.sent.type]
        : MEMBERSHIP_CHANGES,
      onChange: ({ change }) => {
        if (change.type === messageChangeTypes.sent.type) this.#readSender(change);
        else if (this.#isConcernedBy(change)) this.#updateSoon();
      },
      onProgress() {},
      onRemoved() {},
      // The users whom the viewer may see could have changed, so the client must subscribe again.
      onLost: () => stream.end(),
      onEnd: () => stream.end(),
    });
    this.#stopListening = () => {
      removeListener();
      stopListening();
    };
    await this.#serialize(async () => {
      this.#unread = await this.#findFollowed();
    });
    // Before the stream is open, so that a failure is an error of the subscription.
    await this.readMore();
    if (stream.closed) this.stop();
  }

  /** Reads and sends the next page of users. Resolves with false when all have been read. */
  readonly readMore = async (): Promise<boolean> => {
    const { userId, isService } = this.#viewer;
    return presenceInitialReads.of(this.#deps).run(userId, async () => {
      if (this.#stream?.closed) return false;
      if (!isService) await nodeTime.of(this.#deps).whenWithinShare(userId);
      return this.#serialize(async () => {
        const stream = this.#stream;
        if (!stream || stream.closed) return false;
        const page = this.#unread?.splice(0, Math.min(PAGE, stream.queueMax)) ?? [];
        await this.#read(stream, page, { areNew: true });
        return (this.#unread?.length ?? 0) > 0;
      });
    });
  };

  /** The users of the stream, in the order in which they are sent. */
  async #findFollowed(): Promise<string[]> {
    const { database, config } = this.#deps;
    const { userId } = this.#viewer;
    const followed = this.#requested ?? [
      userId,
      ...(await findDefaultWatched(database.db, userId, config.presenceMaxWatched - 1)),
    ];
    // Set before visibility is read, so that changes in the meantime cause an update.
    this.#followed = new Set(followed);
    return [...followed];
  }

  readonly #updateSoon = (): void => {
    this.#update ??= this.#serialize(() => {
      this.#update = undefined;
      return this.#updateNow();
    }).catch(this.#fail);
  };

  readonly #fail = (error: unknown): void => {
    this.#deps.log.warn({ err: error }, 'presence permissions could not be read');
    this.#stream?.fail(error);
  };

  /** Reads again whether the viewer may see the sender of a message. */
  #readSender({ actorId: id }: Change): void {
    if (id === null || !this.#followed.has(id) || this.#watched.has(id) || this.#senders.has(id)) return;
    this.#senders.add(id);
    this.#serialize(async () => {
      this.#senders.delete(id);
      const stream = this.#stream;
      if (stream && this.#unread && !this.#unread.includes(id)) await this.#read(stream, [id], { areNew: false });
    }).catch(this.#fail);
  }

  /** Reads again which users the viewer may see, except for those who have not been read for the first time yet. */
  async #updateNow(): Promise<void> {
    const stream = this.#stream;
    if (!stream || stream.closed || !this.#unread) return;
    const followed = await this.#findFollowed();
    if (stream.closed) return;
    this.#unread = this.#unread.filter((id) => this.#followed.has(id));
    for (const [id, stop] of this.#hidden) {
      if (this.#followed.has(id)) continue;
      stop();
      this.#hidden.delete(id);
    }
    const dropped = [...this.#watched.keys()].filter((id) => !this.#followed.has(id));
    for (const id of dropped) this.#unwatch(id);
    await this.#sendHidden((event) => stream.push(event), dropped);
    const unread = new Set(this.#unread);
    const read = followed.filter((id) => !unread.has(id));
    for (let from = 0; from < read.length && !stream.closed; from += PAGE) {
      await this.#read(stream, read.slice(from, from + PAGE), { areNew: false });
    }
  }

  /** Reads which users of a page the viewer may see, and sends what has changed, and the current state of new users. */
  #read(stream: LiveStream<PresenceEvent>, page: readonly string[], { areNew }: { areNew: boolean }): Promise<void> {
    const { userId, isService } = this.#viewer;
    const time = nodeTime.of(this.#deps);
    return presenceReads.of(this.#deps).run(userId, async () => {
      const end = time.begin(page.length * WEIGHT_PER_USER);
      try {
        await this.#readNow(stream, page, areNew);
      } finally {
        const ms = end();
        if (!isService) time.spend(userId, ms);
      }
    });
  }

  async #readNow(stream: LiveStream<PresenceEvent>, page: readonly string[], areNew: boolean): Promise<void> {
    if (stream.closed) return;
    const tracker = presence.of(this.#deps);
    const lookUpVisibility = presenceVisibilityLookup.of(this.#deps);
    const viewerId = this.#viewer.userId;
    const isVisible = await Promise.all(page.map((userId) => lookUpVisibility({ viewerId, userId })));
    // The stream may have ended meanwhile, so that nothing would stop the watching.
    if (stream.closed) return;
    const added: string[] = [];
    const hidden: string[] = [];
    for (const [index, id] of page.entries()) {
      if (isVisible[index]) {
        this.#hidden.get(id)?.();
        this.#hidden.delete(id);
        if (this.#watched.has(id)) continue;
        this.#watched.set(id, tracker.watch([id], this.#onChange));
        added.push(id);
      } else {
        if (!this.#hidden.has(id)) this.#hidden.set(id, tracker.onVisibilityChanged(id, this.#updateSoon));
        if (this.#unwatch(id) || (areNew && this.#requested)) hidden.push(id);
      }
    }
    await this.#listenForAnswers(page);
    const push = (event: PresenceEvent) => (areNew ? stream.pushInitial(event) : stream.push(event));
    await this.#sendHidden(push, hidden);
    // If states cannot be determined now, each user is sent as soon as their state can be.
    for (const change of (await tracker.read(added)) ?? []) if (change) push(change);
  }

  /** Stops watching a user. Returns whether they were watched. */
  #unwatch(id: string): boolean {
    this.#watched.get(id)?.();
    return this.#watched.delete(id);
  }

  /** Listens for messages in the direct conversations with the hidden users of a page, and for no other messages. */
  async #listenForAnswers(page: readonly string[]): Promise<void> {
    const { feed, database } = this.#deps;
    const { userId: viewerId } = this.#viewer;
    for (const [id, stop] of this.#unanswered) {
      if (this.#hidden.has(id)) continue;
      stop();
      this.#unanswered.delete(id);
    }
    const users = page.filter((id) => this.#hidden.has(id) && !this.#unanswered.has(id));
    if (users.length === 0) return;
    for (const { conversationId, userId } of await findDirectConversations(database.sql, viewerId, users)) {
      const stop = await feed.listen({
        userId: viewerId,
        conversationId,
        types: [messageChangeTypes.sent.type],
        onChange: ({ change }) => {
          if (change.actorId === userId) this.#updateSoon();
        },
        onProgress() {},
        onRemoved() {},
        onLost() {},
        onEnd() {},
      });
      if (this.#stream?.closed) return stop();
      this.#unanswered.set(userId, stop);
      // The user may have written before the listener was added.
      this.#updateSoon();
    }
  }

  /** Sends users without their presence: requested users whom the viewer may not see, or users who became hidden. */
  async #sendHidden(push: (event: PresenceEvent) => void, hidden: readonly string[]): Promise<void> {
    if (hidden.length === 0) return;
    for (const user of await findWithLastSeen(this.#deps.database.sql, hidden)) {
      if (user) push({ user: { ...user, presence: null } });
    }
  }

  stop(): void {
    this.#stopListening();
    for (const stop of [...this.#watched.values(), ...this.#hidden.values(), ...this.#unanswered.values()]) stop();
    this.#unanswered.clear();
    this.#watched.clear();
    this.#hidden.clear();
  }

  /** Whether a change can affect which users the viewer may see. */
  #isConcernedBy({ type, subjectId }: Change): boolean {
    if (type === conversationChangeTypes.created || subjectId === this.#viewer.userId) return true;
    return subjectId !== null && this.#followed.has(subjectId);
  }
}
