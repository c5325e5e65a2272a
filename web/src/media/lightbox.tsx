import type { Attachment } from '@parley/client';
import { type KeyboardEvent, useEffect, useRef, useState } from 'react';
import { useFiles } from '../files.ts';
import { useScreenText } from '../locales/screens.ts';
import { usePane } from '../pane.ts';
import { useReadable } from '../parley.ts';
import { IconButton } from '../shell/button.tsx';
import fullScreen from '../shell/full-screen.module.css';
import { Icon } from '../shell/icon.tsx';
import styles from './lightbox.module.css';
import { MediaIcon } from './media-icon.tsx';
import { useObjectUrl } from './object-url.ts';
import { useOpenedFile } from './opened-file.ts';

/**
 * An image of the conversation in front of everything. The arrow keys show the previous and the next one of those that are
 * loaded, or of `list`.
 */
export default function Lightbox({ id, list, onClose }: { id: string; list?: readonly Attachment[]; onClose(): void }) {
  const { app, media: text } = useScreenText();
  const files = useFiles();
  const { rows } = useReadable(usePane().handle);
  const dialog = useRef<HTMLDialogElement>(null);
  const [shownId, setShownId] = useState(id);
  const images = (list ?? rows.flatMap(({ message }) => message?.attachments ?? [])).filter(
    ({ kind, state }) => kind === 'IMAGE' && state === 'READY',
  );
  const index = images.findIndex((each) => each.id === shownId);
  const image = images[index];
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  // Its message was deleted.
  const isGone = image === undefined;
  useEffect(() => {
    if (isGone) onClose();
  }, [isGone]);
  const own = useObjectUrl(image?.secret && files?.ownFile(image.id));
  const opened = useOpenedFile(image, image?.secret !== undefined);
  if (!image || !files) return null;
  const previous = images[index - 1];
  const next = images[index + 1];
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    const isRtl = getComputedStyle(event.currentTarget).direction === 'rtl';
    const toNext = isRtl ? 'ArrowLeft' : 'ArrowRight';
    const toPrevious = isRtl ? 'ArrowRight' : 'ArrowLeft';
    const target = event.key === toNext ? next : event.key === toPrevious ? previous : undefined;
    // The messages behind it must not react to the keys.
    event.stopPropagation();
    if (!target) return;
    event.preventDefault();
    setShownId(target.id);
  };
  const url = image.secret ? (own ?? opened.url) : files.attachmentUrl(image);
  const { width, height, altText, filename } = image;
  const name = altText ?? filename;
  return (
    <dialog
      ref={dialog}
      className={`${fullScreen.screen} ${styles.lightbox}`}
      aria-label={text.image}
      onClose={onClose}
      onKeyDown={onKeyDown}
      onClick={(event) => {
        if ((event.target as Element).closest('button, a, img') === null) event.currentTarget.close();
      }}
    >
      <header className={styles.bar}>
        <p>
          <bdi>{name}</bdi>
          {images.length > 1 && <span>{text.imageOf(index + 1, images.length)}</span>}
        </p>
        <a className={styles.action} href={url} download={filename} aria-label={text.save} title={text.save}>
          <MediaIcon name="download" />
        </a>
        <IconButton label={app.close} className={styles.action} onClick={() => dialog.current?.close()} autoFocus>
          <Icon name="close" />
        </IconButton>
      </header>
      <div className={styles.stage}>
        <img
          key={image.id}
          src={url}
          alt={name}
          width={width ?? undefined}
          height={height ?? undefined}
          draggable={false}
        />
      </div>
      {previous && (
        <IconButton
          label={text.previousImage}
          className={`${styles.action} ${styles.previous}`}
          onClick={() => setShownId(previous.id)}
        >
          <Icon name="back" />
        </IconButton>
      )}
      {next && (
        <IconButton
          label={text.nextImage}
          className={`${styles.action} ${styles.next}`}
          onClick={() => setShownId(next.id)}
        >
          <Icon name="forward" />
        </IconButton>
      )}
      <p className="visually-hidden" aria-live="polite">
        {text.imageOf(index + 1, images.length)}: {name}
      </p>
    </dialog>
  );
}
