import type { Parley } from '../../../packages/client/src/index.js';
import { mediaOf } from '../../../packages/client/src/media.js';
import { type Status, statusesOf } from '../../../packages/client/src/statuses.js';

/** What a page shows of statuses. */
export interface StatusesView {
  showAuthors(lines: string[]): void;
  showStatus(status: { text: string | null; src: string | undefined } | undefined): void;
}

/** Keeps the list of authors current. Returns a function that shows a status and marks it as viewed. */
export function followStatuses(parley: Parley, view: StatusesView): (status: Status) => void {
  const statuses = statusesOf(parley);
  const media = mediaOf(parley);
  statuses.subscribe(({ authors }) => {
    const shown = authors.filter(({ isMuted }) => !isMuted);
    view.showAuthors(
      shown.map(({ author, statuses: all, hasUnviewed }) =>
        [hasUnviewed ? 'new:' : 'seen:', author.displayName, all.length].join(' '),
      ),
    );
  });
  let stop = () => {};
  return ({ id }) => {
    stop();
    // It becomes undefined when it expires, or when its author deletes it.
    stop = statuses.status(id).subscribe((status) => {
      const src = status?.attachment ? media.attachmentUrl(status.attachment, 'preview') : undefined;
      view.showStatus(status && { text: status.text, src });
    });
    statuses.markViewed(id);
  };
}

/** Posts a photo for some contacts only. It is posted even if the page is closed and opened later. */
export async function postPhoto(parley: Parley, photo: File, userIds: string[]): Promise<string> {
  return statusesOf(parley).post({ text: 'On the summit', file: photo, audience: { mode: 'ONLY', userIds } });
}
