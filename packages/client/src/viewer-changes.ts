import { contextOf, once } from './context.js';
import { DraftsDocument, ViewerChangesDocument } from './generated/documents.js';
import type { ViewerChangesSubscription } from './generated/types.js';
import { normalize } from './store.js';

/**
 * Keeps the viewer's own data current, which the stream `viewerChanges` delivers: drafts, the profile, and the settings of
 * notifications. Several entry points need it, and share one subscription.
 */
export const followViewerChanges: (parley: object) => true = once((parley) => {
  const { store, sync, request } = contextOf(parley);
  const { state } = store;
  sync.add({
    name: 'viewerChanges',
    document: ViewerChangesDocument,
    async fetch() {
      const { viewer } = await request(DraftsDocument, {});
      const { syncCursor, drafts, ...settings } = viewer ?? { syncCursor: undefined, drafts: [] };
      const known = [...state.keys()].filter((key) => key.startsWith('draft:')).map((key) => state.get<string>(key));
      const current = new Set(drafts.map(({ id }) => id));
      const remove = known.flatMap((id) => (id && !current.has(id) ? id : []));
      // The levels of conversations are as old as the snapshot.
      const set: Record<string, unknown> = { 'cursor:viewerChanges': state.get('cursor:snapshot') ?? syncCursor };
      for (const { id, conversation } of drafts) set[`draft:${conversation.id}`] = id;
      return { put: normalize([drafts, settings]), remove, set };
    },
    apply: (events: ViewerChangesSubscription['viewerChanges'][], { put, remove, set }) => {
      for (const { type, draftId, draft, viewer, membership } of events) {
        if (type === 'DRAFT_DELETED' && draftId) remove.push(draftId);
        else put.push(...normalize([draft, viewer, membership]));
        if (draft) set[`draft:${draft.conversation.id}`] = draft.id;
      }
    },
  });
  return true;
});
