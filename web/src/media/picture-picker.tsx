import type { Parley } from '@parley/client';
import { kindOf, uploadFile } from '@parley/client/media';
import { useRef, useState } from 'react';
import { UploadStateDocument } from '../generated/screens/graphql.ts';
import { useLanguage } from '../locales/locale.tsx';
import { useScreenText } from '../locales/screens.ts';
import { useParley, useServerInfo } from '../parley.ts';
import { Avatar } from '../shell/avatar.tsx';
import { Button } from '../shell/button.tsx';
import { useObjectUrl } from './object-url.ts';
import styles from './picture-picker.module.css';
import { sizeText } from './sizes.ts';

/** The types that the server accepts as pictures. */
const TYPES = 'image/jpeg,image/png,image/webp,image/gif,image/avif';
/** The interval, and the maximum number, of checks whether a picture has been processed. */
const ASK_MS = 500;
const ASKED_MAX = 60;

/** Uploads the picture of the viewer or of a group. `onChange` is called with the attachment, or with null to remove it. */
export function PicturePicker({
  name,
  id,
  url,
  onChange,
}: {
  name: string;
  id: string;
  url: string | null | undefined;
  onChange(attachmentId: string | null): Promise<unknown>;
}) {
  const { media: text, errors } = useScreenText();
  const { tag } = useLanguage();
  const parley = useParley();
  const limits = useServerInfo()?.limits;
  const input = useRef<HTMLInputElement>(null);
  const [chosen, setChosen] = useState<Blob>();
  const [percent, setPercent] = useState<number>();
  const [error, setError] = useState<string>();
  const preview = useObjectUrl(chosen);
  const run = async (work: () => Promise<unknown>) => {
    setError(undefined);
    setPercent(0);
    try {
      await work();
    } catch (thrown) {
      const { code, message } = thrown as { code?: string; message: string };
      setChosen(undefined);
      setError(code === 'REJECTED' ? text.rejected : code === 'NETWORK' ? errors.unreachable : message);
    }
    setPercent(undefined);
  };
  const choose = (file: File) => {
    if (kindOf(file) !== 'IMAGE') setError(text.rejected);
    else if (limits && file.size > limits.attachmentMaxBytes) {
      setError(text.tooLarge(file.name, sizeText(tag, limits.attachmentMaxBytes)));
    } else {
      setChosen(file);
      void run(async () => onChange(await upload(parley, file, setPercent)));
    }
  };
  const isBusy = percent !== undefined;
  return (
    <div className={styles.picker}>
      <Avatar name={name} id={id} url={preview ?? url} size={72} />
      <div className={styles.buttons}>
        <Button busy={isBusy} onClick={() => input.current?.click()}>
          {text.choosePicture}
        </Button>
        {url && (
          <Button
            kind="quiet"
            disabled={isBusy}
            onClick={() => {
              setChosen(undefined);
              void run(() => onChange(null));
            }}
          >
            {text.removePicture}
          </Button>
        )}
      </div>
      <input
        ref={input}
        type="file"
        accept={TYPES}
        hidden
        aria-label={text.choosePicture}
        onChange={(event) => {
          const [file] = event.currentTarget.files ?? [];
          event.currentTarget.value = '';
          if (file) choose(file);
        }}
      />
      <p role="status" className={styles.status}>
        {isBusy && percent > 0 && text.uploading(percent)}
      </p>
      {error !== undefined && (
        <p role="alert" className={styles.error}>
          {error}
        </p>
      )}
    </div>
  );
}

/** Uploads a picture, and waits until the server has processed it. */
async function upload(parley: Parley, file: File, onPercent: (percent: number) => void): Promise<string> {
  const { id } = await uploadFile({
    request: parley.request,
    url: new URL('/graphql', location.href).href,
    file,
    kind: 'IMAGE',
    filename: file.name || 'picture',
    clientUploadId: crypto.getRandomValues(new Uint32Array(4)).join('-'),
    onProgress: (sent) => onPercent(Math.round((sent / file.size) * 100)),
  });
  for (let asked = 0; asked < ASKED_MAX; asked += 1) {
    const { node } = await parley.request(UploadStateDocument, { id });
    const state = node && 'state' in node ? node.state : undefined;
    if (state === 'REJECTED') throw Object.assign(new Error('The server has rejected this file.'), { code: state });
    if (state !== 'PROCESSING') break;
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
  }
  return id;
}
