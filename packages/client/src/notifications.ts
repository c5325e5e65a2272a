import { contextOf, once } from './context.js';
import type { Message, User } from './conversation.js';
import {
  InboxDocument,
  MarkNotificationsReadDocument,
  MuteConversationDocument,
  NotificationsDocument,
  SetNotificationLevelDocument,
  UpdateNotificationSettingsDocument,
} from './generated/notifications.js';
import type {
  InboxQuery,
  LevelFieldsFragment,
  MarkNotificationsReadInput,
  NotificationFieldsFragment,
  NotificationLevel,
  NotificationsSubscription,
  SettingsFieldsFragment,
  UpdateNotificationSettingsInput,
} from './generated/types.js';
import type { Parley } from './parley.js';
import type { Readable } from './state.js';
import type { Entity } from './storage.js';
import { normalize } from './store.js';
import { followViewerChanges } from './viewer-changes.js';

export type { NotificationLevel, UpdateNotificationSettingsInput } from './generated/types.js';

/** The settings of the user, which apply on all of their devices. */
export type NotificationSettings = SettingsFieldsFragment;

/** An entry of the inbox: one or several similar occurrences, such as the reactions to one message. */
export interface Notification extends Omit<NotificationFieldsFragment, 'conversation' | 'message'> {
  conversationId: string | undefined;
  /** The conversation, with what a list shows of it; undefined if it is not known. */
  conversation:
    | Pick<NonNullable<NotificationFieldsFragment['conversation']>, 'title' | 'imageUrl' | 'counterpart'>
    | undefined;
  /** The message to show, as it is now; undefined if there is none, or none that the user can see. */
  message: NonNullable<NotificationFieldsFragment['message']> | undefined;
}

/** The inbox of the user, as far as it is loaded. */
export interface Inbox {
  /** The notifications, latest first. */
  notifications: readonly Notification[];
  /** The number of all unread notifications, for a badge. */
  unreadCount: number;
  /** Whether there are older ones: see `loadMore`. */
  hasMore: boolean;
  /** False until the inbox has been fetched once. */
  isLoaded: boolean;
}

/** The notification settings of one conversation. */
export interface ConversationLevel {
  /** What the user has chosen for this conversation; null for their default level. */
  chosen: NotificationLevel | null;
  /** The level that applies: the chosen one or the default. */
  level: NotificationLevel;
  /** The time until which the conversation is muted; null if it is not. `FOREVER` stands for a mute without an end. */
  mutedUntil: string | null;
  /** Whether nothing in the conversation notifies the user now: it is muted, or its level is `NONE`. */
  isSilent: boolean;
}

/** Notifications of one user: the inbox, the settings, and the levels of conversations. Each is the same on all devices. */
export interface Notifications extends Readable<Inbox> {
  /** Loads older notifications. */
  loadMore(): Promise<void>;
  /**
   * Marks one notification as read. Those about messages are also marked when the user reads the conversation. It is
   * shown as read at once, and as unread again if the server rejects it.
   */
  markRead(id: string): Promise<void>;
  /** Marks all notifications as read, in the same way. */
  markAllRead(): Promise<void>;
  /** The settings of the user; undefined until they have been fetched once. */
  readonly settings: Readable<NotificationSettings | undefined>;
  /** Whether the user does not want to be disturbed now, because of "do not disturb" or of their quiet hours. */
  readonly isQuiet: Readable<boolean>;
  /**
   * Changes settings. Omitted fields remain as they are; null resets a field.
   * @throws ParleyError with the `field` that is invalid.
   */
  updateSettings(input: UpdateNotificationSettingsInput): Promise<void>;
  /** The notification settings of a conversation. */
  level(conversationId: string): Readable<ConversationLevel>;
  /** Chooses what the user is notified of in a conversation; null restores their default. */
  setLevel(conversationId: string, level: NotificationLevel | null): Promise<void>;
  /** Mutes a conversation until a time in the future; null unmutes it. */
  mute(conversationId: string, until: Date | null): Promise<void>;
  /**
   * Calls the listener with each new message of which the user wants to be notified at this time, according to the level
   * and the mute of its conversation, "do not disturb" and quiet hours. Of several tabs, only one calls its listeners.
   */
  onNotify(listener: (message: Message) => void): () => void;
  /** Whether the user wants to be notified of a message at this time, by the same rules. */
  isWanted(message: Message): boolean;
}

/** The end of a mute that has no end. */
export const FOREVER: Date = new Date('9999-12-31T00:00:00Z');

const PAGE = 30;
/** The prefix of the keys that mark notifications as being in the inbox. */
const IN_INBOX = 'inbox:';
/** The key of the position to which the inbox is loaded. */
const PAGES = 'inbox';
/** The longest time that a timer can wait, in milliseconds. */
const TIMER_MAX = 2 ** 31 - 1;
const MINUTE = 60_000;

/** How far the inbox is loaded. */
interface Pages {
  hasNextPage: boolean;
  endCursor: string | null;
  /** When the oldest loaded notification was created. */
  oldest: string;
}

/** Notifications that are shown as read while the request to mark them is in progress. */
interface Marking {
  ids: ReadonlySet<string>;
  isAll: boolean;
}

/** Returns the previous result as long as the new one is equal, so that nothing is displayed again. */
function unlessEqual<T>(compute: () => T): () => T {
  let last: { value: T; text: string | undefined } | undefined;
  return () => {
    const value = compute();
    const text = JSON.stringify(value);
    if (!last || last.text !== text) last = { value, text };
    return last.value;
  };
}

/** Whether the user does not want to be disturbed at a time: "do not disturb" is on, or it is in their quiet hours. */
export function isQuietAt(
  { doNotDisturbUntil, quietHours }: Pick<NotificationSettings, 'doNotDisturbUntil' | 'quietHours'>,
  at: Date,
): boolean {
  if (doNotDisturbUntil && Date.parse(doNotDisturbUntil) > at.getTime()) return true;
  if (!quietHours) return false;
  const { from, to, timeZone } = quietHours;
  const format = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  const time = format.format(at);
  return from < to ? from <= time && time < to : from <= time || time < to;
}

/**
 * The notifications of a client; calls with the same client return the same object. Call it right after `createParley`
 * on every page of an application, because the tab that synchronizes must include them.
 */
export const notificationsOf: (parley: Parley) => Notifications = once((parley): Notifications => {
  followViewerChanges(parley);
  const { store, sync, request } = contextOf(parley);
  const { state } = store;
  const levels = new Map<string, Readable<ConversationLevel>>();

  // ── the inbox ──

  function pageOf(list: NonNullable<InboxQuery['viewer']>['notifications']): Pages {
    const { hasNextPage = false, endCursor = null } = list?.pageInfo ?? {};
    return { hasNextPage, endCursor: endCursor ?? null, oldest: list?.nodes.at(-1)?.createdAt ?? '' };
  }

  /** Whether a notification belongs to the loaded part of the inbox, so that it has no gaps. */
  function isInPages({ id, createdAt }: { id: string; createdAt: string }): boolean {
    const pages = state.get<Pages>(PAGES);
    return !pages?.hasNextPage || createdAt >= pages.oldest || ids.has(id);
  }

  const added = (nodes: readonly { id: string }[] = []) =>
    Object.fromEntries(nodes.map(({ id }) => [`${IN_INBOX}${id}`, true as const]));

  sync.add({
    name: 'notifications',
    document: NotificationsDocument,
    async fetch() {
      const { viewer } = await request(InboxDocument, { first: PAGE });
      const { syncCursor, notifications, ...own } = viewer ?? { syncCursor: undefined, notifications: null };
      const gone = new Set(ids);
      for (const { id } of notifications?.nodes ?? []) gone.delete(id);
      const removed = Object.fromEntries([...gone].map((id) => [`${IN_INBOX}${id}`, undefined]));
      return {
        put: normalize([notifications?.nodes, own]),
        remove: [...gone],
        set: {
          ...removed,
          ...added(notifications?.nodes),
          'cursor:notifications': syncCursor,
          [PAGES]: pageOf(notifications),
        },
      };
    },
    apply: (events: NotificationsSubscription['notifications'][], { put, remove, set }) => {
      const latest = new Map(events.map(({ notificationId, notification }) => [notificationId, notification]));
      for (const [id, notification] of latest) {
        if (id == null) continue;
        if (!notification) {
          remove.push(id);
          set[`${IN_INBOX}${id}`] = undefined;
        } else if (isInPages(notification)) {
          put.push(...normalize(notification));
          Object.assign(set, added([notification]));
        }
      }
      const { unreadCount: unreadNotificationCount } = events.at(-1) ?? { unreadCount: 0 };
      put.push({ id: state.get<string>('me') ?? '', __typename: 'Viewer', unreadNotificationCount });
    },
  });

  const ids = new Set<string>();
  function collect(keys: Iterable<string>): void {
    let isChanged = false;
    for (const key of keys) {
      if (!key.startsWith(IN_INBOX)) continue;
      const id = key.slice(IN_INBOX.length);
      if (state.get(key)) ids.add(id);
      else ids.delete(id);
      isChanged = true;
    }
    if (isChanged) state.set('~inbox', [...ids]);
  }
  collect([...state.keys()]);
  state.onChange(collect);

  const items = new Map<string, () => Notification | undefined>();
  function itemOf(id: string): Notification | undefined {
    let item = items.get(id);
    if (!item) {
      item = state.cached(unlessEqual(() => compose(id)));
      items.set(id, item);
    }
    return item();
  }

  function compose(id: string): Notification | undefined {
    const notification = store.read<NotificationFieldsFragment & { conversationId?: string }>(id);
    if (!notification) return undefined;
    const { message, conversation: _, conversationId, readAt, ...rest } = notification;
    const { __ref } = (state.get<Entity>(id)?.['message'] ?? {}) as { __ref?: string };
    if (__ref !== undefined && !message) loadMessage(__ref);
    const conversation = store.read<NonNullable<NotificationFieldsFragment['conversation']>>(conversationId);
    const isRead = markings().some((marking) => marking.ids.has(id));
    return {
      ...rest,
      readAt: readAt ?? (isRead ? new Date().toISOString() : null),
      conversationId,
      conversation: conversation && {
        title: conversation.title ?? null,
        imageUrl: conversation.imageUrl ?? null,
        counterpart: conversation.counterpart ?? null,
      },
      message: message ?? undefined,
    };
  }

  /** Messages that are not in memory are read from the storage: after a page reload, and if they are old. */
  const missing = new Set<string>();
  const unknown = new Set<string>();
  function loadMessage(id: string): void {
    if (unknown.has(id) || missing.has(id)) return;
    missing.add(id);
    if (missing.size > 1) return;
    queueMicrotask(async () => {
      const wanted = [...missing];
      const put = await store.storage.byId(wanted).catch(() => []);
      missing.clear();
      for (const each of wanted) unknown.add(each);
      for (const each of put) unknown.delete(each.id);
      store.apply({ put: put.filter((each) => state.get(each.id) === undefined) }, true);
    });
  }

  const markings = () => state.get<readonly Marking[]>('~marking') ?? [];

  function unreadCount(): number {
    const viewer = state.get<Entity>(state.get('me') ?? '');
    const count = (viewer?.['unreadNotificationCount'] ?? 0) as number;
    if (markings().some(({ isAll }) => isAll)) return 0;
    const marked = new Set(markings().flatMap((marking) => [...marking.ids]));
    const isUnread = (id: string) => state.get<Entity>(id)?.['readAt'] === null;
    return Math.max(0, count - [...marked].filter(isUnread).length);
  }

  const inbox = state.derive<Inbox>(() => {
    const pages = state.get<Pages>(PAGES);
    const notifications = (state.get<readonly string[]>('~inbox') ?? []).flatMap((id) => itemOf(id) ?? []);
    const byTime = (one: Notification, other: Notification) =>
      one.createdAt === other.createdAt ? (one.id < other.id ? 1 : -1) : one.createdAt < other.createdAt ? 1 : -1;
    return {
      notifications: notifications.sort(byTime),
      unreadCount: unreadCount(),
      hasMore: pages?.hasNextPage ?? false,
      isLoaded: pages !== undefined,
    };
  });

  async function mark(input: MarkNotificationsReadInput, marked: readonly Notification[]): Promise<void> {
    const marking: Marking = { ids: new Set(marked.map(({ id }) => id)), isAll: !input.onlyThis };
    state.set('~marking', [...markings(), marking]);
    try {
      await store.receive(request(MarkNotificationsReadDocument, { input }), (_, found) => {
        const readAt = new Date().toISOString();
        const known = [...marking.ids].filter((id) => state.get(id));
        return { put: [...found, ...known.map((id) => ({ id, __typename: 'Notification', readAt }))] };
      });
    } finally {
      state.set(
        '~marking',
        markings().filter((each) => each !== marking),
      );
    }
  }

  // ── settings and levels ──

  let wakeAt = Number.POSITIVE_INFINITY;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** Values that are computed from this are computed again at that time. */
  function computeAgainAt(time: number): void {
    state.get('~clock');
    if (time >= wakeAt) return;
    clearTimeout(timer);
    wakeAt = time;
    const wake = () => {
      wakeAt = Number.POSITIVE_INFINITY;
      state.set('~clock', Date.now());
    };
    timer = setTimeout(wake, Math.min(time - Date.now(), TIMER_MAX));
    // In Node, it does not keep the process running.
    (timer as { unref?: () => void }).unref?.();
  }

  /** A time in the future; null if it has passed. */
  function ahead(time: string | null | undefined): string | null {
    const at = Date.parse(time ?? '');
    if (!(at > Date.now())) return null;
    computeAgainAt(at);
    return time ?? null;
  }

  const currentSettings = () =>
    state.get<Entity>(state.get('me') ?? '')?.['notificationSettings'] as NotificationSettings | undefined;
  const settings = state.derive<NotificationSettings | undefined>(() => {
    const current = currentSettings();
    return current && { ...current, doNotDisturbUntil: ahead(current.doNotDisturbUntil) };
  });
  const isQuiet = state.derive(() => {
    const current = currentSettings();
    if (!current) return false;
    ahead(current.doNotDisturbUntil);
    if (current.quietHours) computeAgainAt((Math.floor(Date.now() / MINUTE) + 1) * MINUTE);
    return isQuietAt(current, new Date());
  });

  function levelOf(conversationId: string): ConversationLevel {
    const { __ref = '' } = (state.get<Entity>(conversationId)?.['viewerMembership'] ?? {}) as { __ref?: string };
    const membership = state.get<Entity>(__ref) as Partial<LevelFieldsFragment> | undefined;
    const chosen = membership?.notificationLevel ?? null;
    const level = chosen ?? currentSettings()?.defaultLevel ?? 'ALL';
    const mutedUntil = ahead(membership?.mutedUntil);
    return { chosen, level, mutedUntil, isSilent: mutedUntil !== null || level === 'NONE' };
  }

  function level(id: string): Readable<ConversationLevel> {
    let readable = levels.get(id);
    if (!readable) {
      // The membership changes with each message that is read.
      readable = state.derive(unlessEqual(() => levelOf(id)));
      levels.set(id, readable);
    }
    return readable;
  }

  function isWanted({ conversationId, sender, mentions, mentionsEveryone, replyTo }: Message): boolean {
    const { level: applied, isSilent } = level(conversationId).value;
    if (isSilent || isQuiet.value) return false;
    if (state.get<Partial<User>>(sender?.id ?? '')?.viewerHasBlocked) return false;
    if (applied !== 'MENTIONS') return true;
    const own = store.ownId();
    return mentionsEveryone || mentions.some(({ id }) => id === own) || replyTo?.sender?.id === own;
  }

  return Object.assign(inbox, {
    async loadMore() {
      const { hasNextPage, endCursor } = state.get<Pages>(PAGES) ?? {};
      if (!hasNextPage) return;
      await store.receive(request(InboxDocument, { first: PAGE, after: endCursor ?? null }), ({ viewer }) => ({
        put: normalize(viewer?.notifications?.nodes),
        set: { ...added(viewer?.notifications?.nodes), [PAGES]: pageOf(viewer?.notifications ?? null) },
      }));
    },
    async markRead(id: string) {
      const found = inbox.value.notifications.filter((each) => each.id === id && each.readAt === null);
      if (found.length > 0) await mark({ upToId: id, onlyThis: true }, found);
    },
    async markAllRead() {
      const { notifications, unreadCount: count } = inbox.value;
      const [latest] = notifications;
      if (!latest || count === 0) return;
      await mark(
        { upToId: latest.id },
        notifications.filter(({ readAt }) => readAt === null),
      );
    },
    settings,
    isQuiet,
    async updateSettings(input: UpdateNotificationSettingsInput) {
      await store.receive(request(UpdateNotificationSettingsDocument, { input }));
    },
    level,
    async setLevel(conversationId: string, chosen: NotificationLevel | null) {
      await store.receive(request(SetNotificationLevelDocument, { input: { conversationId, level: chosen } }));
    },
    async mute(conversationId: string, until: Date | null) {
      const input = { conversationId, until: until?.toISOString() ?? null };
      await store.receive(request(MuteConversationDocument, { input }));
    },
    onNotify: (listener: (message: Message) => void) =>
      (parley as Parley).onMessage((message) => {
        if (isWanted(message)) listener(message);
      }),
    isWanted,
  });
});
