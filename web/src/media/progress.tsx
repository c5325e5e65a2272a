import type { Media, PendingUpload } from '@parley/client/media';
import type { CSSProperties } from 'react';
import { useScreenText } from '../locales/screens.ts';
import { MediaIcon } from './media-icon.tsx';
import styles from './progress.module.css';

/** How far an upload is, as a button that pauses and continues it. */
export function UploadProgress({ upload, files }: { upload: PendingUpload; files: Media }) {
  const { media: text } = useScreenText();
  const { id, state, sentBytes, byteSize, filename } = upload;
  if (state === 'uploaded') return null;
  const percent = Math.floor((sentBytes / byteSize) * 100);
  const [icon, label] =
    state === 'failed'
      ? (['again', text.retryUpload(filename)] as const)
      : state === 'paused'
        ? (['play', text.resumeUpload(filename)] as const)
        : (['pause', text.pauseUpload(filename)] as const);
  return (
    <>
      <progress className="visually-hidden" max={100} value={percent} aria-label={text.progress(filename)} />
      <button
        type="button"
        className={styles.ring}
        style={{ '--percent': percent } as CSSProperties}
        data-state={state}
        aria-label={label}
        title={label}
        onClick={() => void (state === 'uploading' ? files.pause(id) : files.resume(id))}
      >
        <MediaIcon name={icon} size={18} />
      </button>
    </>
  );
}
