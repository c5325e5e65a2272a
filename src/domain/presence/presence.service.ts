import { badInput, rateLimited } from '../../core/errors.js';
import { createCounts } from '../../infra/async/counts.js';
import { createGates } from '../../infra/async/gates.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import type { Change } from '../../realtime/change.js';
import { LiveStream } from '../../realtime/live-stream.js';
import { conversationChangeTypes } from '../conversation/conversation.events.js';
import { openFor } from '../conversation/open-stream.js';
import { messageChangeTypes } from '../message/message.events.js';
import { type PresenceChange, type PresenceState, presence } from './presence.js';
import {
  type Availability,
  findAcquainted,
  findDirects,
  findSeen,
  presenceVisibilityLookup,
  type SeenUser,
  storeAvailability,
} from './presence.store.js';

/** What the viewer wants others to see while connected, from now on and on all devices. */
export async function setAvailability(deps: Deps, { userId }: Viewer, availability: Availability): Promise<void> {
  const tracker = presence.of(deps);
  await storeAvailability(deps.database.db, userId, availability, tracker.isThere(userId));
  tracker.availabilityChanged(userId, availability);
}

/** How people are, in their order; null where it cannot be known at the moment or is not for the viewer. */
export async function readPresences(
  deps: Deps,
  { userId: viewerId }: Viewer,
  userIds: readonly string[],
): Promise<(PresenceState | null)[]> {
  const changes = await presence.of(deps).read(userIds);
  if (!changes) return userIds.map(() => null);
  const lookUpVisibility = presenceVisibilityLookup.of(deps);
  const seeable = await Promise.all(userIds.map((userId) => lookUpVisibility({ viewerId, userId })));
  return changes.map((change, index) => (change && seeable[index] ? change.user.presence : null));
}

/** One event of the `presence` stream: a person as they are; null where it is not for the viewer. */
export interface PresenceEvent {
  user: SeenUser & { presence: PresenceState | null };
}

/** Presence streams that each person has open on this node. */
const presenceStreams = defineService('presence streams', ({ config }) =>
  createCounts(config.presenceStreamsPerPersonMax),
);
/** Streams of one person that read at the same time whom they may see. */
const READS_PER_PERSON = 2;
const presenceReads = defineService('presence reads', () => createGates({ atOnce: READS_PER_PERSON }));

/** When a stream that was one too many may be tried again: others end meanwhile. */
const TOO_MANY_RETRY_MS = 1_000;

/** After these, whom the viewer talks with may be others. */
const MEMBERSHIP_CHANGES: readonly string[] = [
  conversationChangeTypes.created,
  conversationChangeTypes.memberJoined,
  conversationChangeTypes.memberLeft,
];

/**
 * How people are now, then how that changes: of these, or (null) of the viewer, whom they talk with in direct
 * conversations and their contacts, also as these change, up to PRESENCE_MAX_WATCHED. Who is not
 * for the viewer to see, or not any more, comes once with null.
 * @throws {ChatError} BAD_USER_INPUT of `userIds`: too many.
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

/** Keeps a stream to those whom its viewer may see. */
class Follower {
  readonly #deps: Deps;
  readonly #viewer: Viewer;
  readonly #asked: readonly string[] | null;
  #stream: LiveStream<PresenceEvent> | undefined;
  /** Those whom it is of, seeable or not. */
  #followed: ReadonlySet<string> = new Set();
  #watched = new Map<string, () => void>();
  /** Those who are not to be seen now: who is watched tells of it themselves. */
  #hidden = new Map<string, () => void>();
  /** Of these the ones with a direct conversation: who writes there can be seen from then on. */
  #unanswered = new Map<string, () => void>();
  #stopListening = () => {};
  #onChange: (change: PresenceChange | null) => void = () => {};
  #updating: Promise<void> | undefined;
  #again = false;

  constructor(deps: Deps, viewer: Viewer, asked: readonly string[] | null) {
    this.#deps = deps;
    this.#viewer = viewer;
    this.#asked = asked;
  }

  async follow(stream: LiveStream<PresenceEvent>): Promise<void> {
    this.#stream = stream;
    const { feed } = this.#deps;
    const { userId } = this.#viewer;
    this.#onChange = (change) => {
      if (change) stream.push(change);
      else this.#updateSoon();
    };
    const stopLooking = presence.of(this.#deps).onSight(userId, this.#updateSoon);
    this.#stopListening = stopLooking;
    const stopListening = await feed.listen({
      userId,
      conversationId: null,
      types: MEMBERSHIP_CHANGES,
      onChange: ({ change }) => {
        if (this.#isConcernedBy(change)) this.#updateSoon();
      },
      onProgress() {},
      onRemoved() {},
      // Whom it is for may be others: the client subscribes again.
      onLost: () => stream.end(),
      onEnd: () => stream.end(),
    });
    this.#stopListening = () => {
      stopLooking();
      stopListening();
    };
    await this.#update();
    if (stream.closed) this.stop();
    else if (this.#asked)
      await this.#tellHidden(
        stream,
        this.#asked.filter((id) => !this.#watched.has(id)),
      );
  }

  readonly #updateSoon = (): void => {
    this.#update().catch((error: unknown) => {
      this.#deps.log.warn({ err: error }, 'presence permissions could not be read');
      this.#stream?.fail(error);
    });
  };

  /** One at a time; who asks while one is under way waits for one that begins later. */
  async #update(): Promise<void> {
    if (this.#updating) {
      this.#again = true;
      return this.#updating;
    }
    this.#updating = (async () => {
      do {
        this.#again = false;
        await this.#updateOnce();
      } while (this.#again);
    })().finally(() => {
      this.#updating = undefined;
    });
    return this.#updating;
  }

  async #updateOnce(): Promise<void> {
    const { database, config } = this.#deps;
    const tracker = presence.of(this.#deps);
    const lookUpVisibility = presenceVisibilityLookup.of(this.#deps);
    const { userId } = this.#viewer;
    const asked = this.#asked ?? [
      userId,
      ...(await findAcquainted(database.db, userId, config.presenceMaxWatched - 1)),
    ];
    // Before who is seeable is read: of what changes meanwhile it is told.
    this.#followed = new Set(asked);
    // A few of one person's streams at once: others ask with the same statements.
    const isSeeable = await presenceReads
      .of(this.#deps)
      .run(userId, () => Promise.all(asked.map((id) => lookUpVisibility({ viewerId: userId, userId: id }))));
    const wanted = new Set(asked.filter((_id, index) => isSeeable[index]));
    const stream = this.#stream;
    if (!stream || stream.closed) return;
    const lost = [...this.#watched.keys()].filter((id) => !wanted.has(id));
    for (const id of lost) {
      this.#watched.get(id)?.();
      this.#watched.delete(id);
    }
    // At once: nobody would stop watching for a stream that has ended meanwhile.
    const added = [...wanted].filter((id) => !this.#watched.has(id));
    for (const id of added) this.#watched.set(id, tracker.watch([id], this.#onChange));
    for (const [id, stop] of this.#hidden) {
      if (this.#followed.has(id) && !wanted.has(id)) continue;
      stop();
      this.#hidden.delete(id);
    }
    for (const id of this.#followed) {
      if (!wanted.has(id) && !this.#hidden.has(id)) this.#hidden.set(id, tracker.onSight(id, this.#updateSoon));
    }
    await this.#hearAnswers();
    await this.#tellHidden(stream, lost);
    // Where it cannot be known now, each is told when it is.
    for (const change of (await tracker.read(added)) ?? []) if (change) stream.push(change);
  }

  /** Listens to the direct conversations with those who are hidden, and to no other messages. */
  async #hearAnswers(): Promise<void> {
    const { feed, database } = this.#deps;
    const { userId: viewerId } = this.#viewer;
    for (const [id, stop] of this.#unanswered) {
      if (this.#hidden.has(id)) continue;
      stop();
      this.#unanswered.delete(id);
    }
    const asked = [...this.#hidden.keys()].filter((id) => !this.#unanswered.has(id));
    if (asked.length === 0) return;
    for (const { conversationId, userId } of await findDirects(database.sql, viewerId, asked)) {
      const stop = await feed.listen({
        userId: viewerId,
        conversationId,
        types: [messageChangeTypes.sent],
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
      // They may have answered before this was listened to.
      this.#again = true;
    }
  }

  /** Those whom the viewer asked for and may not see, or could see until now. */
  async #tellHidden(stream: LiveStream<PresenceEvent>, hidden: readonly string[]): Promise<void> {
    if (hidden.length === 0) return;
    for (const user of await findSeen(this.#deps.database.sql, hidden)) {
      if (user) stream.push({ user: { ...user, presence: null } });
    }
  }

  stop(): void {
    this.#stopListening();
    for (const stop of [...this.#watched.values(), ...this.#hidden.values(), ...this.#unanswered.values()]) stop();
    this.#unanswered.clear();
    this.#watched.clear();
    this.#hidden.clear();
  }

  /** Whether a change may be about whom the viewer may see. */
  #isConcernedBy({ type, subjectId }: Change): boolean {
    if (type === conversationChangeTypes.created || subjectId === this.#viewer.userId) return true;
    return subjectId !== null && this.#followed.has(subjectId);
  }
}
