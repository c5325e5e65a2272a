import { statusesOf } from '@parley/client/statuses';
import { useMemo } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Button } from '../../shell/button.tsx';
import { Dialog } from '../../shell/dialog.tsx';
import { useTimes } from '../../shell/time.ts';
import { useTask } from '../../shell/use-task.ts';
import styles from './people.module.css';

/** Who has viewed a status of the user, latest first. It changes while it is open. */
export default function StatusViewsDialog({ statusId, onClose }: { statusId: string; onClose(): void }) {
  const { app, status: text } = useScreenText();
  const times = useTimes();
  const parley = useParley();
  const list = useMemo(() => statusesOf(parley).views(statusId), [parley, statusId]);
  const { viewCount, views, hasMore, isLoaded } = useReadable(list);
  const { run, isBusy } = useTask();
  const title = viewCount === null ? text.viewsOff : viewCount === undefined ? app.loading : text.views(viewCount);
  return (
    <Dialog title={title} onClose={onClose}>
      <div className={styles.people}>
        {viewCount === null && <p className={styles.hint}>{text.viewsOffText}</p>}
        {viewCount === 0 && isLoaded && <p className={styles.hint}>{text.noViews}</p>}
        <ul>
          {views.map(({ user, viewedAt }) => (
            <li key={user.id}>
              <Avatar name={user.displayName} id={user.id} url={user.avatarUrl} size={36} />
              <bdi>{user.displayName}</bdi>
              <time dateTime={viewedAt}>{times.brief(viewedAt)}</time>
            </li>
          ))}
        </ul>
        {hasMore && (
          <Button kind="quiet" busy={isBusy} onClick={() => void run(() => list.loadMore())}>
            {text.moreViews}
          </Button>
        )}
      </div>
    </Dialog>
  );
}
