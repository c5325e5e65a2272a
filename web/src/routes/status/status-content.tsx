import type { Media } from '@parley/client/media';
import type { Status } from '@parley/client/statuses';
import { useEffect, useRef } from 'react';
import { constant } from '../../loaded.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useObjectUrl } from '../../media/object-url.ts';
import { blurred } from '../../media/thumb-hash.ts';
import { useReadable } from '../../parley.ts';
import styles from './status-content.module.css';
import { sizeOf, styleOf } from './status-styles.ts';

const noToken = constant<string | undefined>(undefined);

interface Playback {
  /** Whether a video is to be played. */
  isRunning: boolean;
  isSilent: boolean;
  /** Called when it can be seen. */
  onReady(): void;
  /** Called when the browser allows no sound. */
  onSilent(): void;
  /** How much of a video has been played, from 0 to 1. */
  onProgress(part: number): void;
  onEnd(): void;
}

/** What a status shows: a text on a background, or an image or a video with a caption. */
export function StatusContent({ status, files, ...playback }: { status: Status; files: Media | undefined } & Playback) {
  const { status: text } = useScreenText();
  useReadable(files?.token ?? noToken);
  const { attachment, author } = status;
  const own = useObjectUrl(attachment ? files?.ownFile(attachment.id) : undefined);
  if (!attachment) return <StatusText text={status.text ?? ''} style={status.style} />;
  const isVideo = attachment.kind === 'VIDEO';
  const name = attachment.altText ?? (isVideo ? text.videoOf : text.photoOf)(author.displayName);
  // A preview does not move.
  const variant = isVideo || attachment.contentType === 'image/gif' ? undefined : 'preview';
  const url = files?.attachmentUrl(attachment, variant) ?? files?.attachmentUrl(attachment) ?? own;
  const behind = blurred(attachment.thumbHash);
  return (
    <div className={styles.media}>
      {behind !== undefined && <img className={styles.behind} src={behind} alt="" draggable={false} />}
      {url === undefined ? (
        <Waiting onReady={playback.onReady} />
      ) : isVideo ? (
        <Video url={url} name={name} poster={files?.attachmentUrl(attachment, 'poster')} {...playback} />
      ) : (
        <img src={url} alt={name} draggable={false} onLoad={playback.onReady} onError={playback.onReady} />
      )}
      {status.text && (
        <p className={styles.caption} dir="auto">
          {status.text}
        </p>
      )}
    </div>
  );
}

/** A text on the background of its style. */
function StatusText({ text, style }: { text: string; style: string | null | undefined }) {
  return (
    <div className={styles.text} data-style={styleOf(style)} data-size={sizeOf(text)}>
      <p dir="auto">{text}</p>
    </div>
  );
}

/** In place of a file that the server is processing. */
function Waiting({ onReady }: { onReady(): void }) {
  const { status: text } = useScreenText();
  useEffect(onReady, []);
  return <p className={styles.waiting}>{text.processing}</p>;
}

function Video({
  url,
  name,
  poster,
  isRunning,
  isSilent,
  onReady,
  onSilent,
  onProgress,
  onEnd,
}: { url: string; name: string; poster: string | undefined } & Playback) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current;
    if (!element) return;
    element.muted = isSilent;
    if (!isRunning) {
      element.pause();
      return;
    }
    element.play().catch((error: Error) => {
      // Browsers play no sound before the user has pressed something.
      if (error.name === 'NotAllowedError' && !element.muted) onSilent();
    });
  }, [isRunning, isSilent]);
  return (
    // biome-ignore lint/a11y/useMediaCaption: users send no captions with their videos
    <video
      ref={video}
      src={url}
      poster={poster}
      aria-label={name}
      playsInline
      preload="auto"
      onLoadedData={onReady}
      onError={onReady}
      onTimeUpdate={({ currentTarget: { currentTime, duration } }) =>
        duration > 0 && onProgress(currentTime / duration)
      }
      onEnded={onEnd}
    />
  );
}
