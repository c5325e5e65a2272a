import type { Media, PendingUpload } from '@parley/client/media';
import { useEffect, useRef, useState } from 'react';
import { useFiles } from '../files.ts';
import { useLanguage } from '../locales/locale.tsx';
import { useScreenText } from '../locales/screens.ts';
import { useReadable } from '../parley.ts';
import { Button, IconButton } from '../shell/button.tsx';
import { Dialog } from '../shell/dialog.tsx';
import { Icon } from '../shell/icon.tsx';
import { useToast } from '../shell/toast.tsx';
import { addDocument } from './add.ts';
import { useObjectUrl, useUploadFile } from './object-url.ts';
import { FileIcon } from './parts.tsx';
import { UploadProgress } from './progress.tsx';
import { sizeText } from './sizes.ts';
import styles from './tray.module.css';

const ALT_TEXT_MAX = 1_000;

/** The files of the message that the viewer is writing. `onEmpty` is called when the last one was removed. */
export default function Tray({ conversationId, onEmpty }: { conversationId: string; onEmpty(): void }) {
  const files = useFiles('later');
  return files ? <Files files={files} conversationId={conversationId} onEmpty={onEmpty} /> : null;
}

function Files({ files, conversationId, onEmpty }: { files: Media; conversationId: string; onEmpty(): void }) {
  const { media: text } = useScreenText();
  const uploads = useReadable(files.draft(conversationId));
  const list = useRef<HTMLUListElement>(null);
  const { length } = uploads;
  const remove = (id: string, index: number) => {
    void files.remove(id);
    // The focus stays close to where it was.
    requestAnimationFrame(() => {
      const tiles = [...(list.current?.querySelectorAll<HTMLElement>('[data-remove]') ?? [])];
      const next = tiles[Math.min(index, tiles.length - 1)];
      if (next) next.focus();
      else onEmpty();
    });
  };
  return (
    <>
      <p role="status" className="visually-hidden">
        {length > 0 && text.attached(length)}
      </p>
      {length > 0 && (
        <ul ref={list} className={styles.tray} aria-label={text.attached(length)}>
          {uploads.map((upload, index) => (
            <li key={upload.id}>
              <Tile upload={upload} files={files} onRemove={() => remove(upload.id, index)} />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function Tile({ upload, files, onRemove }: { upload: PendingUpload; files: Media; onRemove(): void }) {
  const screenText = useScreenText();
  const { media: text } = screenText;
  const { tag } = useLanguage();
  const toast = useToast();
  const [isDescribing, setDescribing] = useState(false);
  const { id, conversationId, kind, filename, byteSize, state, error, altText, location } = upload;
  const [isUnknown, setUnknown] = useState(false);
  const created = useObjectUrl(useUploadFile(kind === 'IMAGE' ? id : undefined));
  // This browser cannot show every image.
  const url = isUnknown ? undefined : created;
  const isRejected = error?.code === 'REJECTED';
  const isDone = isRejected || state === 'uploaded';
  const sendAsDocument = async () => {
    const document = await files.file(id);
    if (!document) return files.update(id, { kind: 'FILE' });
    await files.remove(id);
    await addDocument(files, conversationId, document, { filename, text: screenText, report: toast });
  };
  const progress = isDone ? undefined : <UploadProgress upload={upload} files={files} />;
  return (
    <>
      <div className={styles.tile} data-state={state} title={filename}>
        {url === undefined ? (
          <span className={styles.name}>
            {progress ?? <FileIcon filename={filename} />}
            <bdi>{filename}</bdi>
            <small>{sizeText(tag, byteSize)}</small>
          </span>
        ) : (
          <>
            <img src={url} alt={altText ?? filename} draggable={false} onError={() => setUnknown(true)} />
            {progress}
          </>
        )}
        <IconButton label={text.remove(filename)} className={styles.remove} onClick={onRemove} data-remove="">
          <Icon name="close" size={16} />
        </IconButton>
        {url !== undefined && (
          <button
            type="button"
            className={styles.describe}
            title={text.describe(filename)}
            data-described={altText ? '' : undefined}
            onClick={() => setDescribing(true)}
          >
            {text.alt}
            <span className="visually-hidden">: {text.describe(filename)}</span>
          </button>
        )}
      </div>
      {location && location !== 'none' && <p className={styles.note}>{text.locations[location]}</p>}
      {error && (
        <div className={styles.error} role="alert">
          <p>{isRejected ? text.rejected : error.message}</p>
          {isRejected && kind !== 'FILE' && (
            <Button kind="quiet" onClick={() => void sendAsDocument()}>
              {text.asDocument}
            </Button>
          )}
        </div>
      )}
      {isDescribing && <Description upload={upload} files={files} onClose={() => setDescribing(false)} />}
    </>
  );
}

/** The description of an image, for people who cannot see it. */
function Description({ upload, files, onClose }: { upload: PendingUpload; files: Media; onClose(): void }) {
  const { media: text, pane } = useScreenText();
  const [value, setValue] = useState(upload.altText ?? '');
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  const save = () => {
    const altText = value.trim();
    if (altText !== (upload.altText ?? '')) void files.update(upload.id, { altText });
    onClose();
  };
  return (
    <Dialog title={text.describeTitle} onClose={onClose}>
      <div className={styles.dialog}>
        <p>{text.describeHint}</p>
        <textarea
          ref={field}
          rows={3}
          maxLength={ALT_TEXT_MAX}
          value={value}
          aria-label={text.describeTitle}
          dir="auto"
          onInput={(event) => setValue(event.currentTarget.value)}
        />
        <div>
          <Button onClick={onClose}>{pane.cancel}</Button>
          <Button kind="primary" onClick={save}>
            {pane.save}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
