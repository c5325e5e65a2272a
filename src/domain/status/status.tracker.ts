import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { relationshipTypes } from '../relationship/relationship.events.js';
import { type StatusChangeType, statusTypes, statusViewed } from './status.events.js';
import { findDeliveries, type Status } from './status.store.js';

/** A stream that receives changes of statuses. */
interface StatusListener {
  onChange(type: StatusChangeType, status: Status): void;
  /** Which statuses the user can see may have changed. */
  onAudienceChanged(): void;
  /** Changes may be lost. Nothing is called after this. */
  onLost(): void;
}

/** Delivers changes of statuses to the streams of this node. */
interface StatusTracker {
  /** Adds a listener of a user. Returns a function that removes it. */
  listen(userId: string, listener: StatusListener): () => void;
  /** Notifies the authors of statuses, and the other devices of a user who has viewed them, after a short while. */
  viewed(viewerId: string, statuses: readonly Pick<Status, 'id' | 'authorId'>[]): void;
  close(): void;
}

/** The number of authors whose last change is remembered, so that no change is delivered twice. */
const AUTHORS_REMEMBERED = 10_000;
/** If more users than this have streams on this node, the database returns all who can see a status. */
const AMONG_MAX = 1_000;
/** How long views are collected, in milliseconds: many users may view a status at the same time. */
const VIEWS_EVERY_MS = 250;

export const statusTracker = defineService('statuses', createTracker);

function createTracker(deps: Deps): StatusTracker {
  const { feed, database, log } = deps;
  const listeners = new Map<string, Set<StatusListener>>();
  const delivered = new LRUCache<string, number>({ max: AUTHORS_REMEMBERED });
  /** Authors whose changes have not been read yet. */
  const changed = new Set<string>();
  /** In the order of the changes. */
  const serialize = pLimit(1);
  /** The statuses that were viewed, by the user who is notified. */
  const views = new Map<string, Set<string>>();
  let timer: NodeJS.Timeout | undefined;

  feed.observe(statusTypes, (authorIds) => {
    if (listeners.size === 0) return;
    for (const id of authorIds) changed.add(id);
    void serialize(deliver);
  });
  feed.observe(relationshipTypes, (userIds) => {
    for (const id of userIds) for (const listener of listeners.get(id) ?? []) listener.onAudienceChanged();
  });
  feed.onReset(endAll);

  function endAll(): void {
    delivered.clear();
    for (const each of [...listeners.values()].flatMap((set) => [...set])) each.onLost();
  }

  async function deliver(): Promise<void> {
    const authors = [...changed].map((id) => ({ id, after: delivered.get(id) ?? 0 }));
    changed.clear();
    if (authors.length === 0 || listeners.size === 0) return;
    const among = listeners.size > AMONG_MAX ? null : [...listeners.keys()];
    try {
      const deliveries = await database.sql.transaction((sql) => findDeliveries(sql, authors, among));
      for (const { authorId, changeSeq, type, status, viewerIds } of deliveries) {
        delivered.set(authorId, changeSeq);
        for (const id of viewerIds) for (const listener of listeners.get(id) ?? []) listener.onChange(type, status);
      }
    } catch (error) {
      log.warn({ err: error }, 'changes of statuses could not be read: all streams of statuses restart');
      endAll();
    }
  }

  function flush(): void {
    timer = undefined;
    for (const [userId, statusIds] of views) for (const id of statusIds) feed.broadcast(statusViewed(userId, id));
    views.clear();
  }

  return {
    listen(userId, listener) {
      const own = listeners.get(userId) ?? new Set();
      own.add(listener);
      listeners.set(userId, own);
      return () => {
        own.delete(listener);
        if (own.size === 0 && listeners.get(userId) === own) listeners.delete(userId);
      };
    },
    viewed(viewerId, statuses) {
      for (const { id, authorId } of statuses) {
        for (const userId of [authorId, viewerId]) {
          const ids = views.get(userId) ?? new Set();
          views.set(userId, ids.add(id));
        }
      }
      if (views.size > 0) timer ??= setTimeout(flush, VIEWS_EVERY_MS);
    },
    close() {
      clearTimeout(timer);
    },
  };
}
