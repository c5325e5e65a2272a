import { type StatusAuthor, statusesOf } from '@parley/client/statuses';
import { lazy, Suspense, useState } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable, useViewer } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Icon } from '../../shell/icon.tsx';
import { PendingStatuses } from './pending-statuses.tsx';
import styles from './status-strip.module.css';

const StatusComposer = lazy(() => import('./status-composer.tsx'));
const StatusViewer = lazy(() => import('./status-viewer.tsx'));

type Opened = { what: 'composer' } | { what: 'viewer'; userId: string };

/** The statuses above the conversations: the user's own, and those of their contacts, unviewed first. */
export default function StatusStrip() {
  const { status: text } = useScreenText();
  const statuses = statusesOf(useParley());
  const user = useViewer()?.user;
  const { authors, own, isLoaded } = useReadable(statuses);
  const [opened, setOpened] = useState<Opened>();
  if (!isLoaded || !user) return null;
  const close = () => setOpened(undefined);
  return (
    <section className={styles.section} aria-label={text.title}>
      <ul className={styles.strip}>
        <li className={styles.item}>
          {own.length > 0 && (
            <button
              type="button"
              className={styles.entry}
              aria-label={text.openOwn(own.length)}
              aria-haspopup="dialog"
              onClick={() => setOpened({ what: 'viewer', userId: user.id })}
            >
              <span className={styles.ring} data-ring="viewed">
                <Avatar name={user.displayName} id={user.id} url={user.avatarUrl} size={48} />
              </span>
              <span className={styles.name}>{text.own}</span>
            </button>
          )}
          <button
            type="button"
            className={own.length > 0 ? styles.plus : styles.entry}
            // The visible text is a part of the name.
            aria-label={own.length > 0 ? text.add : `${text.own}: ${text.add}`}
            title={text.add}
            aria-haspopup="dialog"
            onClick={() => setOpened({ what: 'composer' })}
          >
            {own.length > 0 ? (
              <Icon name="plus" size={14} />
            ) : (
              <>
                <span className={styles.ring}>
                  <Avatar name={user.displayName} id={user.id} url={user.avatarUrl} size={48} />
                  <span className={styles.mark}>
                    <Icon name="plus" size={14} />
                  </span>
                </span>
                <span className={styles.name}>{text.own}</span>
              </>
            )}
          </button>
        </li>
        {authors.map((each) => (
          <li key={each.author.id} className={styles.item}>
            <Author entry={each} onOpen={() => setOpened({ what: 'viewer', userId: each.author.id })} />
          </li>
        ))}
      </ul>
      <PendingStatuses />
      <Suspense>
        {opened?.what === 'composer' && <StatusComposer onClose={close} />}
        {opened?.what === 'viewer' && <StatusViewer userId={opened.userId} onClose={close} />}
      </Suspense>
    </section>
  );
}

function Author({ entry, onOpen }: { entry: StatusAuthor; onOpen(): void }) {
  const { status: text } = useScreenText();
  const { author, statuses, hasUnviewed, isMuted } = entry;
  const label = text.open(author.displayName, statuses.length, hasUnviewed && !isMuted);
  return (
    <button
      type="button"
      className={styles.entry}
      data-muted={isMuted ? '' : undefined}
      aria-label={isMuted ? `${label}, ${text.mutedMark}` : label}
      aria-haspopup="dialog"
      onClick={onOpen}
    >
      <span className={styles.ring} data-ring={hasUnviewed && !isMuted ? 'unviewed' : 'viewed'}>
        <Avatar name={author.displayName} id={author.id} url={author.avatarUrl} size={48} />
      </span>
      <span className={styles.name}>
        <bdi>{author.displayName}</bdi>
      </span>
    </button>
  );
}
