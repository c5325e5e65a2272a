import type { Attachment } from '@parley/client';
import type { Media } from '@parley/client/media';
import { type CSSProperties, useEffect, useRef, useState } from 'react';
import { useLanguage } from '../locales/locale.tsx';
import { useScreenText } from '../locales/screens.ts';
import { Icon } from '../shell/icon.tsx';
import { AudioPlayer } from './audio-player.tsx';
import styles from './content.module.css';
import { MediaIcon } from './media-icon.tsx';
import { useObjectUrl } from './object-url.ts';
import { type OpenedFile, useOpenedFile } from './opened-file.ts';
import { FileIcon, Picture, Place } from './parts.tsx';
import ring from './progress.module.css';
import { sizeText } from './sizes.ts';

/** Recordings and pictures up to this size are downloaded without being asked for. */
const ASKED_BYTES = 20 * 1_024 * 1_024;

/** The file of an encrypted message. It is downloaded and decrypted before it can be shown. */
export default function SealedContent({ attachment, files }: { attachment: Attachment; files: Media }) {
  const { media: text } = useScreenText();
  const { tag } = useLanguage();
  const { kind, filename, byteSize, durationMs, waveform } = attachment;
  const isPlayed = kind === 'AUDIO' || kind === 'VOICE';
  const [isAsked, setAsked] = useState((kind === 'IMAGE' || isPlayed) && byteSize <= ASKED_BYTES);
  const own = useObjectUrl(files.ownFile(attachment.id));
  const isOwn = files.ownFile(attachment.id) !== undefined;
  const opened = useOpenedFile(attachment, isAsked && !isOwn);
  const url = own ?? opened.url;
  const isVisual = kind === 'IMAGE' || kind === 'VIDEO';
  const name = kind === 'VOICE' ? text.voice : filename;
  if (attachment.state !== 'READY' && url === undefined) {
    return (
      <Place isVisual={isVisual} icon={<MediaIcon name="file" />} name={name}>
        {text.processing}
      </Place>
    );
  }
  if (kind === 'FILE') return <Saved attachment={attachment} url={url} opened={opened} ask={() => setAsked(true)} />;
  if (url !== undefined) {
    if (kind === 'IMAGE') return <Picture attachment={attachment} files={files} own={own} url={url} />;
    if (isPlayed) return <AudioPlayer url={url} name={name} {...{ durationMs, waveform }} />;
    return (
      // biome-ignore lint/a11y/useMediaCaption: users send no captions with their videos
      <video
        className={styles.video}
        src={url}
        aria-label={`${text.video}: ${attachment.altText ?? filename}`}
        controls
        playsInline
        preload="metadata"
      />
    );
  }
  const load = () => {
    if (opened.failure) opened.retry();
    setAsked(true);
  };
  return (
    <Place isVisual={isVisual} icon={<Load opened={opened} isAsked={isAsked} name={name} onLoad={load} />} name={name}>
      {opened.failure ? text.failures[opened.failure] : sizeText(tag, byteSize)}
    </Place>
  );
}

/** The button that downloads a file, or how far the download is. */
function Load({
  opened: { progress, failure },
  isAsked,
  name,
  onLoad,
}: {
  opened: OpenedFile;
  isAsked: boolean;
  name: string;
  onLoad(): void;
}) {
  const { media: text } = useScreenText();
  if (failure === 'tampered') return <Icon name="alert" />;
  if (isAsked && !failure) {
    const percent = Math.floor(progress * 100);
    return (
      <span className={ring.ring} style={{ '--percent': percent } as CSSProperties}>
        <progress className="visually-hidden" max={100} value={percent} aria-label={text.downloading(name)} />
      </span>
    );
  }
  const label = failure ? text.retryDownload(name) : text.download(name);
  return (
    <button type="button" className={styles.load} aria-label={label} title={label} onClick={onLoad}>
      <MediaIcon name={failure ? 'again' : 'download'} size={18} />
    </button>
  );
}

/** A file that is saved by the browser after it was decrypted. */
function Saved({
  attachment: { filename, byteSize },
  url,
  opened,
  ask,
}: {
  attachment: Attachment;
  url: string | undefined;
  opened: OpenedFile;
  ask(): void;
}) {
  const { media: text } = useScreenText();
  const { tag } = useLanguage();
  const link = useRef<HTMLAnchorElement>(null);
  const [isSaving, setSaving] = useState(false);
  useEffect(() => {
    if (!isSaving || url === undefined) return;
    setSaving(false);
    link.current?.click();
  }, [isSaving, url]);
  const { failure, progress } = opened;
  const save = () => {
    setSaving(true);
    if (failure) opened.retry();
    ask();
  };
  return (
    <>
      <button type="button" className={styles.row} onClick={save} disabled={failure === 'tampered'}>
        <FileIcon filename={filename} />
        <span className={styles.about}>
          <strong>
            <bdi>{filename}</bdi>
          </strong>
          <small>
            {failure ? text.failures[failure] : isSaving ? `${Math.floor(progress * 100)} %` : sizeText(tag, byteSize)}
            <span className="visually-hidden"> {text.save}</span>
          </small>
        </span>
        <MediaIcon name={failure === 'network' ? 'again' : 'download'} size={18} />
      </button>
      <a ref={link} href={url} download={filename} hidden tabIndex={-1}>
        {text.save}
      </a>
    </>
  );
}
