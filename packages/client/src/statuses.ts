import { contextOf, once } from './context.js';
import type { User } from './conversation.js';
import { isTemporary, ParleyError, toError } from './errors.js';
import {
  DeleteStatusDocument,
  MuteStatusesDocument,
  OwnStatusesDocument,
  SetStatusAudienceDocument,
  SetStatusViewsReportedDocument,
  StatusAudiencePreviewDocument,
  StatusesDocument,
  StatusFeedDocument,
  StatusOfMessageDocument,
} from './generated/statuses.js';
import type {
  AudienceFieldsFragment,
  StatusAudienceInput,
  StatusesSubscription,
  StatusFieldsFragment,
} from './generated/types.js';
import { dataOf } from './http.js';
import { mediaOf } from './media.js';
import { newId } from './outbox.js';
import type { Parley } from './parley.js';
import { pause, retryDelay } from './pause.js';
import type { Request } from './request.js';
import type { Readable } from './state.js';
import { createStatusPosts, type NewStatus, type PendingStatus } from './status-posts.js';
import { createViewLists, createViewMarks, reportedKey, type StatusViews, VIEW } from './status-views.js';
import type { Entity } from './storage.js';
import { normalize } from './store.js';
import { followViewerChanges } from './viewer-changes.js';

export type { StatusAudienceInput, StatusAudienceMode } from './generated/types.js';
export type { NewStatus, PendingStatus } from './status-posts.js';
export type { StatusViews } from './status-views.js';

/** A text, image or video that its author shows until `expiresAt`. */
export interface Status extends Omit<StatusFieldsFragment, '__typename'> {
  author: User;
  /** Of the user's own statuses: how many have viewed it; null if the user does not report their own views. */
  viewCount: number | null;
}

/** The statuses of another user, oldest first. */
export interface StatusAuthor {
  author: User;
  statuses: readonly Status[];
  /** Whether the user has not viewed at least one of them. */
  hasUnviewed: boolean;
  isMuted: boolean;
}

export interface StatusFeed {
  /** The authors whose statuses the user can see: those with something unviewed first, then by their newest; muted ones last. */
  authors: readonly StatusAuthor[];
  /** The user's own statuses, oldest first. */
  own: readonly Status[];
  /** False until the feed has been fetched once. */
  isLoaded: boolean;
}

/** Who can see the user's next statuses. */
export type StatusAudience = AudienceFieldsFragment;

/** What applies to all of the user's statuses, on all of their devices. */
export interface StatusSettings {
  /** The audience of the next statuses. */
  audience: StatusAudience;
  /** Whether the user's views are reported to authors. If not, the user cannot see who has viewed their own statuses. */
  viewsReported: boolean;
}

/** A part of the users who would see a status. */
export interface AudiencePage {
  totalCount: number;
  users: readonly User[];
  /** The cursor for the next page; undefined if this is the last one. */
  after: string | undefined;
}

/** The statuses of the user and of their contacts. It is a value to subscribe to: the feed. */
export interface Statuses extends Readable<StatusFeed> {
  /** A status that can be seen; undefined if it cannot, or is not known. */
  status(id: string): Readable<Status | undefined>;
  /** What the ring around the picture of a user shows: whether there is something unviewed; undefined without statuses. */
  ring(userId: string): Readable<'unviewed' | 'viewed' | undefined>;
  /**
   * Posts a status. Resolves with its key as soon as it is stored on this device; it is posted even if the page is closed and
   * opened later, and once however often it is sent.
   * @throws ParleyError BAD_USER_INPUT: the file is neither an image nor a video.
   */
  post(status: NewStatus): Promise<string>;
  /** The user's statuses on their way to the server, oldest first. */
  readonly pending: Readable<readonly PendingStatus[]>;
  /** Tries again to post a status that has failed. */
  retry(clientStatusId: string): Promise<void>;
  /** Removes a status that has not been posted. If it is being posted, it can still arrive. */
  discard(clientStatusId: string): Promise<void>;
  /** Deletes a status of the user. */
  delete(statusId: string): Promise<void>;
  /**
   * Marks a status as viewed, when it has been displayed. The mark is sent to the server once, even if the page is closed
   * before; marks that are made within a short time are sent together.
   */
  markViewed(statusId: string): void;
  /** Who has viewed a status of the user. The list is current while it has a subscriber. */
  views(statusId: string): Readable<StatusViews> & { loadMore(): Promise<void> };
  /** The settings; undefined until they are known. */
  readonly settings: Readable<StatusSettings | undefined>;
  setAudience(audience: StatusAudienceInput): Promise<void>;
  setViewsReported(isReported: boolean): Promise<void>;
  /** Exactly those who would see a status that is posted now, with this audience or the one that is set. */
  previewAudience(
    audience?: StatusAudienceInput,
    options?: { first?: number; after?: string | undefined },
  ): Promise<AudiencePage>;
  /** Hides the statuses of a user, who is not notified, or shows them again. */
  mute(userId: string, isMuted?: boolean): Promise<void>;
  /**
   * Replies to a status in the direct conversation with its author. Resolves when the message is in the outbox.
   * @throws ParleyError NOT_FOUND: the status cannot be seen any more.
   */
  reply(statusId: string, text: string): Promise<{ conversationId: string; clientMessageId: string }>;
  /** The id of the status that a message replies to; undefined if it cannot be seen any more. */
  statusOfMessage(messageId: string): Promise<string | undefined>;
}

/** How a status is stored, with the id of its author. */
type Stored = Omit<Status, 'author'> & { authorId: string };

/** What is stored besides the statuses. */
interface Known {
  /** The clock of the server minus that of this device, in milliseconds. */
  offset: number;
  mutedIds: readonly string[];
}

const STATUS = 'status:';
const KNOWN = 'statuses';
const SETTINGS = 'statusSettings';
const IDS = '~statuses';
/** The key that is set while the user deletes a status, in all tabs. */
const deletingKey = (id: string) => `~status-deleting:${id}` as const;
/** How many users a page of a preview contains. */
const PAGE = 50;
/** How often a request that was not answered is repeated, before it counts as failed. */
const ATTEMPTS = 4;
/** The longest time that a timer can wait, in milliseconds. */
const TIMER_MAX = 2 ** 31 - 1;

type Received = NonNullable<StatusesSubscription['statuses']['status']>;
type Shown = StatusFieldsFragment & { viewCount?: number | null };

const toStored = ({ __typename: _, viewCount = null, ...status }: Shown, authorId: string): Stored => ({
  ...status,
  viewCount,
  authorId,
});

const byTime = (one: Stored, other: Stored) =>
  one.createdAt === other.createdAt ? (one.id < other.id ? -1 : 1) : one.createdAt < other.createdAt ? -1 : 1;

/**
 * The statuses of a client; calls with the same client return the same object. Call it right after `createParley` on every page
 * of an application, because the tab that synchronizes has to know that they are needed.
 */
export const statusesOf: (parley: Parley) => Statuses = once((parley): Statuses => {
  const context = contextOf(parley);
  const { store, session, socket, sync, outbox, request: requestOverHttp, isLeader } = context;
  const { state } = store;
  const media = mediaOf(parley as Parley);
  followViewerChanges(parley);

  // The socket notices a lost connection sooner than a request over HTTP does.
  const request: Request = async (document, variables) =>
    socket.isReady() ? dataOf(await socket.sendOnce(document, variables)) : requestOverHttp(document, variables);

  /** Repeats a request that can be made several times without further effect. */
  async function repeat<T>(work: () => Promise<T>): Promise<T> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await work();
      } catch (thrown) {
        const error = toError(thrown);
        if (failures + 1 >= ATTEMPTS || !isTemporary(error) || error.code === 'RATE_LIMITED') throw error;
        await pause(retryDelay(failures));
      }
    }
  }

  const get = (id: string) => state.get<Stored>(`${STATUS}${id}`);
  const known = () => state.get<Known>(KNOWN);
  const isMarked = (id: string) => state.get(`${VIEW}${id}`) || state.get(reportedKey(store, id));

  // ── which statuses are known, and until when ──

  const ids = new Set<string>();
  function collect(keys: Iterable<string>): void {
    let isChanged = false;
    for (const key of keys) {
      if (key === KNOWN) isChanged = true;
      if (!key.startsWith(STATUS)) continue;
      const id = key.slice(STATUS.length);
      if (state.get(key)) ids.add(id);
      else ids.delete(id);
      isChanged = true;
    }
    if (!isChanged) return;
    state.set(IDS, [...ids]);
    scheduleExpiry();
  }

  const stored = () => [...ids].flatMap((id) => get(id) ?? []);
  /** When a status expires, on the clock of this device. */
  const endOf = ({ expiresAt }: Stored) => Date.parse(expiresAt) - (known()?.offset ?? 0);
  const isOver = (status: Stored) => endOf(status) <= Date.now();

  let expiry: ReturnType<typeof setTimeout> | undefined;
  function scheduleExpiry(): void {
    clearTimeout(expiry);
    const next = Math.min(...stored().map(endOf));
    if (next === Number.POSITIVE_INFINITY) return;
    expiry = setTimeout(removeExpired, Math.min(TIMER_MAX, Math.max(0, next - Date.now())));
    // In Node, it does not keep the process running.
    (expiry as { unref?: () => void }).unref?.();
  }

  function removeExpired(): void {
    const gone = stored().filter(isOver);
    const set = Object.fromEntries(gone.map(({ id }) => [`${STATUS}${id}`, undefined]));
    // Every tab has the same clock; one of them changes the storage.
    if (isLeader()) void store.commit({ set });
    else store.apply({ set }, true);
    scheduleExpiry();
  }

  // ── the stream, in the tab that synchronizes ──

  let endStream: (() => void) | undefined;
  /** What the stream has changed since the fetch in progress began; undefined for statuses that were deleted. */
  let changedSince: Map<string, Stored | undefined> | undefined;
  let isFetchDue = false;
  let currentRun = 0;

  function follow(run: number, failures = 0): void {
    const retry = async (error?: ParleyError) => {
      // An old server has no statuses.
      if (error && !isTemporary(error)) return;
      await pause(Math.max(retryDelay(failures), error?.retryAfter ?? 0));
      if (run === currentRun && stop === endStream) follow(run, failures + 1);
    };
    const stop = socket.subscribe(
      StatusesDocument,
      {},
      { next: ({ statuses }) => receive(statuses), error: (error) => void retry(error), complete: () => void retry() },
    );
    endStream = stop;
  }

  function receive({ type, statusId, status }: StatusesSubscription['statuses']): void {
    if (type === 'CAUGHT_UP') {
      void fetchAll();
      return;
    }
    const next = status ? received(status) : undefined;
    const id = status?.id ?? statusId;
    if (id == null) return;
    changedSince?.set(id, next);
    const before = get(id);
    const isOwnFile = before?.authorId === store.ownId() && before?.attachment?.state === 'PROCESSING';
    if (!next && before && isOwnFile && !state.get(deletingKey(id))) {
      const { text, style, createdAt } = before;
      void posts.reject(newId(), { text: text ?? undefined, style: style ?? undefined, createdAt });
    }
    void store.commit({
      put: status ? normalize(status.author) : [],
      set: { [`${STATUS}${id}`]: next && kept(next) },
    });
  }

  const received = ({ author, ...status }: Received): Stored => toStored(status, author.id);
  /** A view that the server does not know yet, or did not know when it answered, is not lost. */
  const kept = (status: Stored): Stored =>
    status.viewerHasViewed || !(isMarked(status.id) || get(status.id)?.viewerHasViewed)
      ? status
      : { ...status, viewerHasViewed: true };

  /** Fetches everything. If it is called meanwhile, it is fetched again. */
  async function fetchAll(): Promise<void> {
    isFetchDue = true;
    if (changedSince) return;
    const run = currentRun;
    for (let failures = 0; isFetchDue && run === currentRun; ) {
      isFetchDue = false;
      changedSince = new Map();
      try {
        await fetchOnce(run, changedSince);
        failures = 0;
      } catch (thrown) {
        const error = toError(thrown);
        if (!isTemporary(error)) break;
        isFetchDue = true;
        await pause(Math.max(retryDelay(failures), error.retryAfter ?? 0));
        failures += 1;
      }
    }
    changedSince = undefined;
    if (isFetchDue && run !== currentRun && isFollowing) void fetchAll();
  }

  async function fetchOnce(run: number, changed: ReadonlyMap<string, Stored | undefined>): Promise<void> {
    const begun = Date.now();
    const { viewer } = await request(StatusFeedDocument, {});
    const offset = Date.parse(viewer?.serverTime ?? '') - (begun + Date.now()) / 2;
    const { viewer: own } = await request(OwnStatusesDocument, {});
    if (run !== currentRun || !viewer || !own) return;
    const entries = viewer.statusFeed;
    const found = new Map<string, Stored | undefined>([
      ...[...ids].map((id) => [id, undefined] as const),
      ...entries.flatMap(({ author, statuses }) =>
        statuses.map((status) => [status.id, toStored(status, author.id)] as const),
      ),
      ...own.statuses.map((status) => [status.id, toStored(status, store.ownId() ?? '')] as const),
      ...changed,
    ]);
    const mutedIds = entries.filter(({ muted }) => muted).map(({ author }) => author.id);
    const set: Record<string, unknown> = { [KNOWN]: { offset, mutedIds } satisfies Known };
    for (const [id, status] of found) set[`${STATUS}${id}`] = status && kept(status);
    set[SETTINGS] = { audience: own.statusAudience, viewsReported: own.statusViewsReported } satisfies StatusSettings;
    await store.commit({ put: normalize([entries.map(({ author }) => author), own.statusAudience.users]), set });
  }

  // The user has changed a mute or a setting, on this device or another one.
  sync.listeners.push((name, events: { type: string }[]) => {
    if (name === 'viewerChanges' && isFollowing && events.some(({ type }) => type === 'SETTINGS')) void fetchAll();
  });

  // ── posting, viewing ──

  const posts = createStatusPosts(context, media, request, (status) => ({
    [`${STATUS}${status.id}`]: toStored(status, store.ownId() ?? ''),
  }));
  const marks = createViewMarks(context, request);

  let isFollowing = false;
  function checkLeader(): void {
    const isNext = isLeader() && session.accessToken() !== undefined;
    if (isNext === isFollowing) return;
    isFollowing = isNext;
    currentRun += 1;
    endStream?.();
    endStream = undefined;
    if (isNext) follow(currentRun);
    for (const each of [posts, marks]) isNext ? each.start() : each.stop();
  }

  collect([...state.keys()]);
  checkLeader();
  state.onChange((changed) => {
    collect(changed);
    checkLeader();
    // A new snapshot has removed it.
    if (isFollowing && changed.has(KNOWN) && !known()) void fetchAll();
    if (changed.has('~end')) clearTimeout(expiry);
  });

  // ── what applications read ──

  const readables = new Map<string, Readable<Status | undefined>>();
  /** A status remains the same object as long as neither it nor its author changes. */
  function statusOf(id: string): Readable<Status | undefined> {
    let readable = readables.get(id);
    if (!readable) {
      readable = state.derive(() => {
        const found = get(id);
        const author = store.read<User>(found?.authorId);
        if (!found || !author || isOver(found)) return undefined;
        const { authorId: _, ...status } = found;
        return { ...status, author };
      });
      readables.set(id, readable);
    }
    return readable;
  }

  const feed = state.derive<StatusFeed>(() => {
    const own: Status[] = [];
    const byAuthor = new Map<string, Status[]>();
    const ownId = store.ownId();
    const all = (state.get<readonly string[]>(IDS) ?? []).flatMap((id) => get(id) ?? []).sort(byTime);
    for (const { id, authorId } of all) {
      const status = statusOf(id).value;
      if (!status) continue;
      if (authorId === ownId) own.push(status);
      else byAuthor.set(authorId, [...(byAuthor.get(authorId) ?? []), status]);
    }
    const { mutedIds = [] } = known() ?? {};
    const authors = [...byAuthor.values()].flatMap((statuses): StatusAuthor[] => {
      const author = statuses.at(-1)?.author;
      if (!author) return [];
      const hasUnviewed = statuses.some(({ viewerHasViewed }) => !viewerHasViewed);
      return [{ author, statuses, hasUnviewed, isMuted: mutedIds.includes(author.id) }];
    });
    const newest = ({ statuses }: StatusAuthor) => statuses.at(-1)?.createdAt ?? '';
    authors.sort(
      (one, other) =>
        Number(one.isMuted) - Number(other.isMuted) ||
        Number(other.hasUnviewed) - Number(one.hasUnviewed) ||
        (newest(one) < newest(other) ? 1 : -1),
    );
    return { authors, own, isLoaded: known() !== undefined };
  });

  const rings = new Map<string, Readable<'unviewed' | 'viewed' | undefined>>();
  function ring(userId: string): Readable<'unviewed' | 'viewed' | undefined> {
    let readable = rings.get(userId);
    if (!readable) {
      readable = state.derive(() => {
        const found = feed.value.authors.find(({ author, isMuted }) => author.id === userId && !isMuted);
        return found && (found.hasUnviewed ? 'unviewed' : 'viewed');
      });
      rings.set(userId, readable);
    }
    return readable;
  }

  return Object.assign(feed, {
    status: statusOf,
    ring,
    post: posts.add,
    pending: posts.pending,
    retry: posts.retry,
    discard: posts.discard,
    async delete(statusId: string) {
      store.share({ [deletingKey(statusId)]: true });
      await repeat(() => request(DeleteStatusDocument, { input: { statusId } }));
      await store.commit({ set: { [`${STATUS}${statusId}`]: undefined } });
    },
    markViewed(statusId: string) {
      const found = get(statusId);
      if (!found || found.viewerHasViewed || found.authorId === store.ownId()) return;
      void store.commit({
        set: { [`${STATUS}${statusId}`]: { ...found, viewerHasViewed: true }, [`${VIEW}${statusId}`]: true },
      });
    },
    views: createViewLists(context, request, (id) => get(id)?.viewCount),
    settings: state.derive(() => state.get<StatusSettings>(SETTINGS)),
    async setAudience(input: StatusAudienceInput) {
      const { setStatusAudience } = await repeat(() => request(SetStatusAudienceDocument, { input }));
      if (setStatusAudience) saveSettings({ audience: setStatusAudience.viewer.statusAudience });
    },
    async setViewsReported(reported: boolean) {
      await repeat(() => request(SetStatusViewsReportedDocument, { input: { reported } }));
      // What the user can see of the views of their own statuses changes as well: see `sync.listeners`.
      saveSettings({ viewsReported: reported });
    },
    async previewAudience(
      audience?: StatusAudienceInput,
      { first = PAGE, after }: { first?: number; after?: string | undefined } = {},
    ) {
      const { viewer } = await request(StatusAudiencePreviewDocument, { audience, first, after });
      const { totalCount = 0, nodes: users = [], pageInfo } = viewer?.statusAudiencePreview ?? {};
      return { totalCount, users, after: pageInfo?.hasNextPage ? (pageInfo.endCursor ?? undefined) : undefined };
    },
    async mute(userId: string, isMuted = true) {
      await repeat(() => request(MuteStatusesDocument, { input: { userId, muted: isMuted } }));
      const { offset = 0, mutedIds = [] } = known() ?? {};
      const others = mutedIds.filter((id) => id !== userId);
      await store.commit({ set: { [KNOWN]: { offset, mutedIds: isMuted ? [...others, userId] : others } } });
    },
    async reply(statusId: string, text: string) {
      const { authorId } = get(statusId) ?? {};
      if (authorId === undefined) throw new ParleyError('NOT_FOUND', 'The status cannot be seen any more.');
      const conversationId = directWith(authorId) ?? (await (parley as Parley).openDirect(authorId)).id;
      const reply = { conversationId, text, replyToId: undefined, replyToStatusId: statusId };
      return { conversationId, clientMessageId: await outbox.add(reply) };
    },
    async statusOfMessage(messageId: string) {
      const { node } = await repeat(() => request(StatusOfMessageDocument, { id: messageId }));
      return node && 'statusReply' in node ? node.statusReply?.status?.id : undefined;
    },
  });

  function saveSettings(change: Partial<StatusSettings>): void {
    const settings = state.get<StatusSettings>(SETTINGS);
    if (settings) void store.commit({ set: { [SETTINGS]: { ...settings, ...change } } });
  }

  /** The direct conversation with a user, if it is known. */
  function directWith(userId: string): string | undefined {
    return store
      .list('~conversations')
      .find((id) => (state.get<Entity>(id)?.['counterpart'] as { __ref?: string } | null)?.__ref === userId);
  }
});
