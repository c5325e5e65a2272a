import { type Status, type StatusFeed, statusesOf } from '@parley/client/statuses';
import { type FormEvent, type KeyboardEvent, lazy, Suspense, useEffect, useRef, useState } from 'react';
import { useFiles } from '../../files.ts';
import { useScreenText } from '../../locales/screens.ts';
import { MediaIcon } from '../../media/media-icon.tsx';
import { useParley, useReadable, useViewer } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { IconButton } from '../../shell/button.tsx';
import { Confirm } from '../../shell/confirm.tsx';
import fullScreen from '../../shell/full-screen.module.css';
import { Icon } from '../../shell/icon.tsx';
import { useMedia } from '../../shell/media.ts';
import { useTimes } from '../../shell/time.ts';
import { useToast } from '../../shell/toast.tsx';
import { useTask } from '../../shell/use-task.ts';
import { StatusContent } from './status-content.tsx';
import { StatusIcon } from './status-icon.tsx';
import styles from './status-viewer.module.css';
import { useGestures } from './use-gestures.ts';
import { useProgress } from './use-progress.ts';
import { useVisible } from './use-visible.ts';

const StatusViewsDialog = lazy(() => import('./status-views.tsx'));

/** How long a picture and the shortest text are shown, and how much longer each character of a text, in milliseconds. */
const SHOWN_MS = 5_000;
const SHOWN_PER_CHARACTER_MS = 40;
const SHOWN_MAX_MS = 20_000;

/** The statuses of a user in a feed, oldest first. */
const statusesIn = ({ authors, own }: StatusFeed, userId: string, ownId: string | undefined): readonly Status[] =>
  userId === ownId ? own : (authors.find(({ author }) => author.id === userId)?.statuses ?? []);

/** Where the statuses of a user begin: at the first unviewed one. */
const firstOf = (all: readonly Status[]) => all.find(({ viewerHasViewed }) => !viewerHasViewed) ?? all[0];

/**
 * The statuses of a user in front of everything, and then those of the next ones. It is closed after the last one.
 * @param statusId the first one that is shown; by default, the first unviewed one.
 */
export default function StatusViewer({
  userId,
  statusId,
  onClose,
}: {
  userId: string;
  statusId?: string | undefined;
  onClose(): void;
}) {
  const statuses = statusesOf(useParley());
  const feed = useReadable(statuses);
  const ownId = useViewer()?.user.id;
  const dialog = useRef<HTMLDialogElement>(null);
  // The order of the authors changes while they are viewed.
  const [order] = useState(() => {
    const others = feed.authors.filter(({ isMuted, author }) => !isMuted || author.id === userId);
    return userId === ownId ? [userId] : others.map(({ author }) => author.id);
  });
  const [shown, setShown] = useState(() => ({
    userId,
    statusId: statusId ?? firstOf(statusesIn(feed, userId, ownId))?.id,
  }));
  const all = statusesIn(feed, shown.userId, ownId);
  const index = all.findIndex(({ id }) => id === shown.statusId);
  const status = all[index];
  const lastIndex = useRef(index);
  if (index !== -1) lastIndex.current = index;

  const close = () => dialog.current?.close();
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);

  /** Shows the statuses of the next or the previous author who has some. */
  function moveAuthor(step: 1 | -1): void {
    for (let at = order.indexOf(shown.userId) + step; at >= 0 && at < order.length; at += step) {
      const next = order[at] ?? '';
      const first = firstOf(statusesIn(feed, next, ownId));
      if (first) {
        setShown({ userId: next, statusId: first.id });
        return;
      }
    }
    if (step === 1) close();
  }
  function move(step: 1 | -1): void {
    const next = all[index + step];
    if (next) setShown({ userId: shown.userId, statusId: next.id });
    else moveAuthor(step);
  }
  // It has expired or was deleted.
  const isGone = status === undefined;
  useEffect(() => {
    if (!isGone) return;
    const next = all[lastIndex.current];
    if (next) setShown({ userId: shown.userId, statusId: next.id });
    else moveAuthor(1);
  }, [isGone]);

  return (
    <dialog
      ref={dialog}
      className={`${fullScreen.screen} ${styles.viewer}`}
      aria-label={useScreenText().status.viewer(status?.author.displayName ?? '')}
      onClose={(event) => event.target === event.currentTarget && onClose()}
    >
      {status && (
        <Shown
          key={status.author.id}
          status={status}
          index={index}
          count={all.length}
          isOwn={status.author.id === ownId}
          isMuted={feed.authors.some(({ author, isMuted }) => author.id === status.author.id && isMuted)}
          move={move}
          moveAuthor={moveAuthor}
          close={close}
        />
      )}
    </dialog>
  );
}

function Shown({
  status,
  index,
  count,
  isOwn,
  isMuted,
  move,
  moveAuthor,
  close,
}: {
  status: Status;
  index: number;
  count: number;
  isOwn: boolean;
  isMuted: boolean;
  move(step: 1 | -1): void;
  moveAuthor(step: 1 | -1): void;
  close(): void;
}) {
  const { app, status: text } = useScreenText();
  const times = useTimes();
  const statuses = statusesOf(useParley());
  const toast = useToast();
  const { run, isBusy } = useTask();
  const isStill = useMedia('(prefers-reduced-motion: reduce)');
  const isVisible = useVisible();
  const files = useFiles();
  // With reduced motion, nothing moves until the user wants it to.
  const [isPaused, setPaused] = useState(isStill);
  const [isHeld, setHeld] = useState(false);
  const [isWriting, setWriting] = useState(false);
  const [readyId, setReadyId] = useState<string>();
  const [isSilent, setSilent] = useState(false);
  const [asked, setAsked] = useState<'delete' | 'views'>();
  const { id, author, attachment, createdAt } = status;
  const isVideo = attachment?.kind === 'VIDEO';
  const isReady = attachment === null || readyId === id;
  const isRunning = isReady && isVisible && !isPaused && !isHeld && !isWriting && asked === undefined;
  const length = (status.text ?? '').length * SHOWN_PER_CHARACTER_MS;
  const { bar, show } = useProgress(id, {
    durationMs: isVideo ? undefined : Math.min(SHOWN_MAX_MS, SHOWN_MS + length),
    isRunning,
    onEnd: () => move(1),
  });
  useEffect(() => {
    if (isReady && isVisible) statuses.markViewed(id);
  }, [statuses, id, isReady, isVisible]);
  const gestures = useGestures({
    onHold: setHeld,
    onTap: (side) => move(side === 'start' ? -1 : 1),
    onSwipe: (to) => (to === 'down' ? close() : moveAuthor(to === 'start' ? -1 : 1)),
  });
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const onKeyDown = (event: globalThis.KeyboardEvent) => {
      const target = event.target as Element;
      // A dialog in front of it has keys of its own.
      if (target.closest('dialog') !== box.current?.closest('dialog')) return;
      if (event.ctrlKey || event.metaKey || event.altKey || target.matches('input, textarea')) return;
      const isRtl = box.current !== null && getComputedStyle(box.current).direction === 'rtl';
      const step = { ArrowRight: isRtl ? -1 : 1, ArrowLeft: isRtl ? 1 : -1 }[event.key] as 1 | -1 | undefined;
      if (step) move(step);
      // The space bar presses a button that has the focus.
      else if (event.key === ' ' && !target.matches('button')) setPaused((before) => !before);
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  });
  const mute = () =>
    run(async () => {
      await statuses.mute(author.id, !isMuted);
      toast((isMuted ? text.unmuted : text.muted)(author.displayName));
      if (!isMuted) moveAuthor(1);
    });
  const muteLabel = (isMuted ? text.unmute : text.mute)(author.displayName);
  const position = text.position(index + 1, count);
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it has the focus first, so that the space bar pauses */}
      <div ref={box} className={styles.card} data-running={isRunning ? '' : undefined} tabIndex={0}>
        <p role="status" className="visually-hidden">
          {`${author.displayName}, ${position}, ${times.brief(createdAt)}. ${status.text ?? ''}`}
        </p>
        <StatusContent
          key={id}
          status={status}
          files={files}
          isRunning={isRunning}
          isSilent={isSilent}
          onReady={() => setReadyId(id)}
          onSilent={() => setSilent(true)}
          onProgress={show}
          onEnd={() => move(1)}
        />
        <div className={styles.touch} data-stage="" {...gestures} />
        <header className={styles.top}>
          <div className={styles.segments} aria-hidden="true">
            {Array.from({ length: count }, (_, each) => (
              <i key={each} data-done={each < index ? '' : undefined}>
                {each === index && <i ref={bar} />}
              </i>
            ))}
          </div>
          <div className={styles.bar}>
            <Avatar name={author.displayName} id={author.id} url={author.avatarUrl} size={36} />
            <p className={styles.names}>
              <strong>
                <bdi>{author.displayName}</bdi>
              </strong>
              <span>
                <time dateTime={createdAt}>{times.brief(createdAt)}</time>
                {count > 1 && ` · ${position}`}
              </span>
            </p>
            <IconButton
              className={styles.action}
              label={isPaused ? text.play : text.pause}
              onClick={() => setPaused(!isPaused)}
            >
              <MediaIcon name={isPaused ? 'play' : 'pause'} />
            </IconButton>
            {isVideo && (
              <IconButton
                className={styles.action}
                label={isSilent ? text.soundOn : text.soundOff}
                onClick={() => setSilent(!isSilent)}
              >
                <StatusIcon name={isSilent ? 'silent' : 'sound'} />
              </IconButton>
            )}
            {isOwn ? (
              <IconButton className={styles.action} label={text.delete} onClick={() => setAsked('delete')}>
                <Icon name="trash" />
              </IconButton>
            ) : (
              <IconButton
                className={styles.action}
                label={muteLabel}
                aria-disabled={isBusy}
                onClick={() => void mute()}
              >
                <Icon name={isMuted ? 'bell' : 'bellOff'} />
              </IconButton>
            )}
            <IconButton className={styles.action} label={app.close} onClick={close}>
              <Icon name="close" />
            </IconButton>
          </div>
        </header>
        <footer className={styles.bottom}>
          {isOwn ? (
            <button type="button" className={styles.views} aria-haspopup="dialog" onClick={() => setAsked('views')}>
              <Icon name="eye" size={18} />
              {status.viewCount === null ? text.viewsOff : text.views(status.viewCount)}
            </button>
          ) : (
            <Reply status={status} onWriting={setWriting} />
          )}
        </footer>
      </div>
      <IconButton className={`${styles.action} ${styles.previous}`} label={text.previous} onClick={() => move(-1)}>
        <Icon name="back" />
      </IconButton>
      <IconButton className={`${styles.action} ${styles.next}`} label={text.next} onClick={() => move(1)}>
        <Icon name="forward" />
      </IconButton>
      {asked === 'delete' && (
        <Confirm
          title={text.deleteTitle}
          text={text.deleteText}
          action={text.delete}
          onConfirm={() => {
            setAsked(undefined);
            void run(() => statuses.delete(id));
          }}
          onClose={() => setAsked(undefined)}
        />
      )}
      <Suspense>
        {asked === 'views' && <StatusViewsDialog statusId={id} onClose={() => setAsked(undefined)} />}
      </Suspense>
    </>
  );
}

/** Where the user replies. The status waits while they write. */
function Reply({ status, onWriting }: { status: Status; onWriting(isWriting: boolean): void }) {
  const { pane, status: text } = useScreenText();
  const statuses = statusesOf(useParley());
  const toast = useToast();
  const { run, isBusy } = useTask();
  const [reply, setReply] = useState('');
  const [hasFocus, setFocus] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const isWriting = hasFocus || reply !== '';
  useEffect(() => {
    onWriting(isWriting);
    return () => onWriting(false);
  }, [isWriting]);
  const label = text.replyTo(status.author.displayName);
  const send = async (event: FormEvent) => {
    event.preventDefault();
    const written = reply.trim();
    if (written === '' || isBusy) return;
    if (await run(() => statuses.reply(status.id, written))) {
      setReply('');
      field.current?.blur();
      toast(text.replied);
    }
  };
  return (
    <form className={styles.reply} onSubmit={(event) => void send(event)}>
      <input
        ref={field}
        value={reply}
        // The placeholder has the direction of the page.
        dir={reply === '' ? undefined : 'auto'}
        placeholder={label}
        aria-label={label}
        enterKeyHint="send"
        autoComplete="off"
        onInput={(event) => setReply(event.currentTarget.value)}
        onFocus={() => setFocus(true)}
        onBlur={() => setFocus(false)}
        onKeyDown={(event: KeyboardEvent<HTMLInputElement>) => {
          // Escape leaves the field first, so that what was written is not lost.
          if (event.key !== 'Escape') return;
          event.preventDefault();
          event.currentTarget.blur();
        }}
      />
      <IconButton className={styles.action} type="submit" label={pane.send} aria-disabled={reply.trim() === ''}>
        <Icon name="send" />
      </IconButton>
    </form>
  );
}
