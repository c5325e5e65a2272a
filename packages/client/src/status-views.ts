import { pauseUntilLive } from './connection.js';
import type { Context } from './context.js';
import type { User } from './conversation.js';
import { isTemporary, type ParleyError, toError } from './errors.js';
import { MarkStatusesViewedDocument, StatusViewsDocument } from './generated/statuses.js';
import { retryDelay } from './pause.js';
import type { Request } from './request.js';
import type { Readable } from './state.js';
import type { Store } from './store.js';

/** Who has viewed a status of the user. */
export interface StatusViews {
  /** The number of all of them; undefined until it is known, and null if the user does not report their own views. */
  viewCount: number | null | undefined;
  /** Those that are loaded, latest first. */
  views: readonly { user: User; viewedAt: string }[];
  /** Whether there are more: see `loadMore`. */
  hasMore: boolean;
  /** False until the list has been fetched once. */
  isLoaded: boolean;
}

/** The prefix of the keys of views that have not been reported. What begins with `outbox` survives a new snapshot. */
export const VIEW = 'outbox-view:';
/** The key of a view that the user has reported since the page was loaded. */
export const reportedKey = (store: Store, statusId: string) => `~status-viewed:${store.ownId()}:${statusId}`;
/** How long views are collected, in milliseconds. */
const COLLECTED = 300;
/** How many views are reported at once, unless the server accepts fewer. */
const BATCH = 50;
const PAGE = 50;

/** Reports which statuses the user has viewed. Of all tabs, only the leader does it. */
export function createViewMarks({ store }: Context, request: Request) {
  const { state } = store;
  let currentRun = 0;
  let isRunning = false;
  let isBusy = false;
  let most = BATCH;
  const marked = () => [...state.keys()].filter((key) => key.startsWith(VIEW));

  state.onChange((changed) => {
    if (isRunning && [...changed].some((key) => key.startsWith(VIEW))) void work();
  });

  async function work(): Promise<void> {
    if (isBusy) return;
    isBusy = true;
    const run = currentRun;
    let failures = 0;
    while (run === currentRun && marked().length > 0) {
      await new Promise((resolve) => setTimeout(resolve, COLLECTED));
      if (run !== currentRun) break;
      const error = await send(marked().slice(0, most));
      failures = error ? failures + 1 : 0;
      if (error) await pauseUntilLive(state, error.retryAfter ?? retryDelay(failures));
    }
    isBusy = false;
    if (isRunning && run !== currentRun) void work();
  }

  /** Reports views. Returns the error if they have to be sent again. */
  async function send(keys: readonly string[]): Promise<ParleyError | undefined> {
    try {
      await request(MarkStatusesViewedDocument, { input: { statusIds: keys.map((key) => key.slice(VIEW.length)) } });
    } catch (thrown) {
      const error = toError(thrown);
      if (isTemporary(error)) return error;
      if (error.limit !== undefined && most > 1) {
        most = Math.ceil(most / 2);
        return undefined;
      }
      // The server will never accept them.
    }
    const reported = keys.map((key) => [reportedKey(store, key.slice(VIEW.length)), true]);
    await store.commit({ set: Object.fromEntries([...keys.map((key) => [key, undefined]), ...reported]) });
    return undefined;
  }

  return {
    start(): void {
      isRunning = true;
      void work();
    },
    stop(): void {
      isRunning = false;
      currentRun += 1;
    },
  };
}

/**
 * The views of own statuses, which are fetched while they are subscribed to, and again when their number changes.
 * @param viewCountOf the present number, as far as the stream of statuses has delivered it.
 */
export function createViewLists(
  { store }: Context,
  request: Request,
  viewCountOf: (statusId: string) => number | null | undefined,
) {
  const { state } = store;
  const lists = new Map<string, Readable<StatusViews> & { loadMore(): Promise<void> }>();

  function create(id: string): Readable<StatusViews> & { loadMore(): Promise<void> } {
    const key = `~status-views:${id}`;
    type Loaded = Pick<StatusViews, 'views' | 'hasMore'> & { endCursor: string | null; viewCount: number | null };
    let subscribers = 0;
    let isLoading = false;
    let isOutdated = false;

    async function fetchPage(after: string | null): Promise<void> {
      const { node } = await request(StatusViewsDocument, { id, first: PAGE, after });
      const { viewCount = null, views } = node && 'views' in node ? node : {};
      const { hasNextPage = false, endCursor = null } = views?.pageInfo ?? {};
      const known = after === null ? [] : (state.get<Loaded>(key)?.views ?? []);
      const shown = new Set(known.map(({ user }) => user.id));
      const more = (views?.nodes ?? []).filter(({ user }) => !shown.has(user.id));
      const loaded: Loaded = { views: [...known, ...more], hasMore: hasNextPage, endCursor, viewCount };
      state.set(key, loaded);
    }

    async function load(): Promise<void> {
      isOutdated = true;
      if (isLoading) return;
      isLoading = true;
      for (let failures = 0; isOutdated && subscribers > 0; ) {
        isOutdated = false;
        try {
          await fetchPage(null);
          failures = 0;
        } catch (thrown) {
          if (!isTemporary(toError(thrown))) break;
          isOutdated = true;
          failures += 1;
          await pauseUntilLive(state, retryDelay(failures));
        }
      }
      isLoading = false;
    }

    state.onChange((changed) => {
      if (subscribers === 0 || !changed.has(`status:${id}`)) return;
      const count = viewCountOf(id);
      if (count !== undefined && count !== state.get<Loaded>(key)?.viewCount) void load();
    });

    const list = state.derive<StatusViews>(() => {
      const loaded = state.get<Loaded>(key);
      return {
        viewCount: viewCountOf(id) ?? loaded?.viewCount,
        views: loaded?.views ?? [],
        hasMore: loaded?.hasMore ?? false,
        isLoaded: loaded !== undefined,
      };
    });
    const { subscribe } = list;
    return Object.assign(list, {
      subscribe(listener: (value: StatusViews) => void) {
        subscribers += 1;
        void load();
        const stop = subscribe(listener);
        let isStopped = false;
        return () => {
          if (isStopped) return;
          isStopped = true;
          subscribers -= 1;
          stop();
        };
      },
      async loadMore() {
        const { hasMore, endCursor } = state.get<Loaded>(key) ?? {};
        if (hasMore && endCursor != null) await fetchPage(endCursor);
      },
    });
  }

  return (id: string) => {
    const found = lists.get(id) ?? create(id);
    lists.set(id, found);
    return found;
  };
}
