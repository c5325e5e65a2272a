import type { Attachment } from '@parley/client';
import type { Media, PendingUpload } from '@parley/client/media';
import { lazy, Suspense } from 'react';
import { useFiles } from '../files.ts';
import { constant } from '../loaded.ts';
import { useLanguage } from '../locales/locale.tsx';
import { useScreenText } from '../locales/screens.ts';
import { useReadable } from '../parley.ts';
import { IconButton } from '../shell/button.tsx';
import { Icon } from '../shell/icon.tsx';
import { AudioPlayer } from './audio-player.tsx';
import styles from './content.module.css';
import type { Item } from './item.ts';
import { MediaIcon, type MediaIconName } from './media-icon.tsx';
import { useObjectUrl, useUploadFile } from './object-url.ts';
import { FileIcon, Picture, Place } from './parts.tsx';
import { UploadProgress } from './progress.tsx';
import { sizeText } from './sizes.ts';

const SealedContent = lazy(() => import('./sealed-content.tsx'));

const noToken = constant<string | undefined>(undefined);

const isUpload = (item: Item): item is PendingUpload => 'sentBytes' in item;

/** A file of a message, which fills its place. */
export default function Content({ item }: { item: Item }) {
  const files = useFiles();
  // With another token, there are other URLs.
  useReadable(files?.token ?? noToken);
  if (!files) return null;
  if (isUpload(item)) return <Sending upload={item} files={files} />;
  if (item.secret === undefined) return <Received attachment={item} files={files} />;
  return (
    <Suspense>
      <SealedContent attachment={item} files={files} />
    </Suspense>
  );
}

function Received({ attachment, files }: { attachment: Attachment; files: Media }) {
  const { media: text } = useScreenText();
  const { kind, state, filename } = attachment;
  const own = useObjectUrl(files.ownFile(attachment.id));
  const isVisual = kind === 'IMAGE' || kind === 'VIDEO';
  if (state === 'REJECTED') {
    return (
      <Place isVisual={isVisual} icon={<Icon name="alert" />} name={filename}>
        {text.rejected}
      </Place>
    );
  }
  if (kind === 'IMAGE') return <Picture attachment={attachment} files={files} own={own} />;
  const url = files.attachmentUrl(attachment);
  if (url === undefined) {
    return (
      <Place
        isVisual={isVisual}
        icon={<MediaIcon name={iconOf(kind)} />}
        name={kind === 'VOICE' ? text.voice : filename}
      >
        {text.processing}
      </Place>
    );
  }
  if (kind === 'VIDEO') return <Video attachment={attachment} files={files} url={url} />;
  if (kind === 'AUDIO' || kind === 'VOICE') {
    const { durationMs, waveform } = attachment;
    return <AudioPlayer url={url} name={kind === 'VOICE' ? text.voice : filename} {...{ durationMs, waveform }} />;
  }
  return <FileRow attachment={attachment} url={url} />;
}

function Video({ attachment, files, url }: { attachment: Attachment; files: Media; url: string }) {
  const { media: text } = useScreenText();
  return (
    // biome-ignore lint/a11y/useMediaCaption: users send no captions with their videos
    <video
      className={styles.video}
      src={url}
      poster={files.attachmentUrl(attachment, 'poster')}
      aria-label={`${text.video}: ${attachment.altText ?? attachment.filename}`}
      controls
      playsInline
      preload="metadata"
    />
  );
}

function FileRow({ attachment, url }: { attachment: Attachment; url: string }) {
  const { media: text } = useScreenText();
  const { tag } = useLanguage();
  const { filename, byteSize } = attachment;
  return (
    <a className={styles.row} href={url} download={filename}>
      <FileIcon filename={filename} />
      <span className={styles.about}>
        <strong>
          <bdi>{filename}</bdi>
        </strong>
        <small>
          {sizeText(tag, byteSize)}
          <span className="visually-hidden"> {text.save}</span>
        </small>
      </span>
      <MediaIcon name="download" size={18} />
    </a>
  );
}

/** A file that is being sent, with its progress. */
function Sending({ upload, files }: { upload: PendingUpload; files: Media }) {
  const { media: text } = useScreenText();
  const { tag } = useLanguage();
  const { id, kind, filename, byteSize, error } = upload;
  const url = useObjectUrl(useUploadFile(kind === 'IMAGE' ? id : undefined));
  const remove = (
    <IconButton label={text.cancelUpload(filename)} className={styles.remove} onClick={() => void files.remove(id)}>
      <Icon name="close" size={16} />
    </IconButton>
  );
  if (kind === 'IMAGE' || kind === 'VIDEO') {
    return (
      <div className={styles.picture}>
        {url !== undefined && <img src={url} alt={upload.altText ?? text.image} draggable={false} />}
        <UploadProgress upload={upload} files={files} />
        {remove}
      </div>
    );
  }
  return (
    <div className={styles.row}>
      <UploadProgress upload={upload} files={files} />
      <span className={styles.about}>
        <strong>
          <bdi>{kind === 'VOICE' ? text.voice : filename}</bdi>
        </strong>
        <small>{error ? text.failed : sizeText(tag, byteSize)}</small>
      </span>
      {remove}
    </div>
  );
}

const iconOf = (kind: Item['kind']): MediaIconName => (kind === 'FILE' ? 'file' : 'play');
