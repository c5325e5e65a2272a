import type { Attachment } from '@parley/client';
import type { Media } from '@parley/client/media';
import { lazy, type ReactNode, Suspense, useState } from 'react';
import { useScreenText } from '../locales/screens.ts';
import styles from './content.module.css';
import { MediaIcon } from './media-icon.tsx';
import { blurred } from './thumb-hash.ts';

const Lightbox = lazy(() => import('./lightbox.tsx'));

/** An image. `url` is that of a decrypted one. */
export function Picture({
  attachment,
  files,
  own,
  url: opened,
}: {
  attachment: Attachment;
  files: Media;
  own: string | undefined;
  url?: string;
}) {
  const { media: text } = useScreenText();
  const [isOpen, setOpen] = useState(false);
  // A preview does not move.
  const variant = attachment.contentType === 'image/gif' ? undefined : 'preview';
  const url = opened ?? files.attachmentUrl(attachment, variant) ?? files.attachmentUrl(attachment) ?? own;
  const isReady = attachment.state === 'READY';
  const name = attachment.altText ?? text.image;
  const behind = own ?? blurred(attachment.thumbHash);
  return (
    <>
      <button
        type="button"
        className={styles.picture}
        aria-label={isReady ? text.openImage(name) : undefined}
        aria-haspopup="dialog"
        disabled={!isReady}
        data-image={attachment.id}
        onClick={() => setOpen(true)}
      >
        {behind !== undefined && <img src={behind} alt="" draggable={false} />}
        {url !== undefined && <img src={url} alt={name} loading="lazy" decoding="async" draggable={false} />}
        {!isReady && (
          <span className={styles.state}>
            <i className={styles.spinner} aria-hidden="true" />
            {text.processing}
          </span>
        )}
      </button>
      <Suspense>{isOpen && <Lightbox id={attachment.id} onClose={() => setOpen(false)} />}</Suspense>
    </>
  );
}

/** A page with the extension of a file. */
export function FileIcon({ filename }: { filename: string }) {
  const [, extension = ''] = /\.([\p{L}\p{N}]{1,5})$/u.exec(filename) ?? [];
  return (
    <span className={styles.icon} aria-hidden="true">
      {extension === '' ? <MediaIcon name="file" /> : <b>{extension}</b>}
    </span>
  );
}

/** What is shown in place of a file that cannot be opened. */
export function Place({
  isVisual,
  icon,
  name,
  children,
}: {
  isVisual: boolean;
  icon: ReactNode;
  name: string;
  children: ReactNode;
}) {
  return (
    <div className={isVisual ? styles.place : styles.row}>
      <span className={styles.icon}>{icon}</span>
      <span className={styles.about}>
        <strong>
          <bdi>{name}</bdi>
        </strong>
        <small>{children}</small>
      </span>
    </div>
  );
}
