import type { FileDetails } from '@parley/client/media';
import { type StatusAudienceInput, type StatusAudienceMode, statusesOf } from '@parley/client/statuses';
import { type ChangeEvent, type FormEvent, lazy, Suspense, useEffect, useId, useRef, useState } from 'react';
import { useCanAttach } from '../../files.ts';
import { StatusLimitsDocument, type StatusLimitsQuery } from '../../generated/screens/graphql.ts';
import { useLanguage } from '../../locales/locale.tsx';
import { useScreenText } from '../../locales/screens.ts';
import { detailsOf } from '../../media/add.ts';
import { MediaIcon } from '../../media/media-icon.tsx';
import { useObjectUrl } from '../../media/object-url.ts';
import { sizeText } from '../../media/sizes.ts';
import { useParley, useReadable, useServerInfo } from '../../parley.ts';
import { Button, IconButton } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import { useToast } from '../../shell/toast.tsx';
import { useTask } from '../../shell/use-task.ts';
import styles from './status-composer.module.css';
import content from './status-content.module.css';
import { type StatusStyle, sizeOf, statusStyles } from './status-styles.ts';

const AudiencePicker = lazy(() => import('./audience-picker.tsx'));

/** From how many characters on it is shown how many are left. */
const LEFT_SHOWN = 100;

/** Writes a status, or chooses a photo or a video for it. */
export default function StatusComposer({ onClose }: { onClose(): void }) {
  const { app, status: text, pane } = useScreenText();
  const { tag } = useLanguage();
  const parley = useParley();
  const statuses = statusesOf(parley);
  const settings = useReadable(statuses.settings);
  const canAttach = useCanAttach();
  const maxBytes = useServerInfo()?.limits.attachmentMaxBytes;
  const limits = useLimits();
  const toast = useToast();
  const { run, isBusy } = useTask();
  const [written, setWritten] = useState('');
  const [style, setStyle] = useState<StatusStyle>('violet');
  const [chosen, setChosen] = useState<{ file: File; details: FileDetails }>();
  const [altText, setAltText] = useState('');
  const [audience, setAudience] = useState<StatusAudienceInput>();
  const [isPicking, setPicking] = useState(false);
  const dialog = useRef<HTMLDialogElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  const stored = settings?.audience;
  const current: StatusAudienceInput = audience ?? {
    mode: stored?.mode ?? 'CONTACTS',
    ...(stored && stored.mode !== 'CONTACTS' && { userIds: stored.users.map((user) => user.id) }),
  };
  const count = useCount(current);
  const max = limits?.statusMaxChars;
  const left = max === undefined ? undefined : max - written.trim().length;
  const isTooLong = left !== undefined && left < 0;
  const canPost = (written.trim() !== '' || chosen !== undefined) && !isTooLong;

  const choose = async (event: ChangeEvent<HTMLInputElement>) => {
    const [file] = event.currentTarget.files ?? [];
    event.currentTarget.value = '';
    if (!file) return;
    const details = await detailsOf(file);
    const { kind, durationMs = 0 } = details;
    const longest = limits?.statusVideoMaxMs ?? durationMs;
    if (kind !== 'IMAGE' && kind !== 'VIDEO') toast(text.wrongFile);
    else if (maxBytes !== undefined && file.size > maxBytes) toast(text.tooBig(sizeText(tag, maxBytes)));
    else if (kind === 'VIDEO' && durationMs > longest) toast(text.tooLong(Math.floor(longest / 1_000)));
    else setChosen({ file, details });
  };
  const post = (event: FormEvent) => {
    event.preventDefault();
    if (!canPost) return;
    void run(async () => {
      await statuses.post({
        text: written.trim() || undefined,
        style: chosen ? undefined : style,
        file: chosen?.file,
        fileDetails: chosen && { ...chosen.details, ...(altText.trim() && { altText: altText.trim() }) },
        audience,
      });
      dialog.current?.close();
    });
  };
  return (
    <dialog
      ref={dialog}
      className={styles.composer}
      aria-labelledby={`${id}-title`}
      onClose={(event) => event.target === event.currentTarget && onClose()}
    >
      <form className={styles.form} onSubmit={post}>
        <header className={styles.header}>
          <h2 id={`${id}-title`}>{text.add}</h2>
          <IconButton label={app.close} onClick={() => dialog.current?.close()}>
            <Icon name="close" />
          </IconButton>
        </header>
        {chosen ? (
          <div className={styles.stage}>
            <Chosen file={chosen.file} isVideo={chosen.details.kind === 'VIDEO'} />
            <IconButton className={styles.remove} label={text.removeFile} onClick={() => setChosen(undefined)}>
              <Icon name="close" />
            </IconButton>
          </div>
        ) : (
          <div className={`${styles.stage} ${content.swatch}`} data-style={style} data-size={sizeOf(written)}>
            <textarea
              value={written}
              dir="auto"
              rows={4}
              aria-label={text.text}
              aria-invalid={isTooLong ? true : undefined}
              placeholder={text.placeholder}
              onInput={(event) => setWritten(event.currentTarget.value)}
              autoFocus
            />
          </div>
        )}
        {chosen && (
          <div className={styles.fields}>
            <input
              value={written}
              dir="auto"
              placeholder={text.caption}
              aria-label={text.caption}
              onInput={(event) => setWritten(event.currentTarget.value)}
            />
            {chosen.details.kind === 'IMAGE' && (
              <input
                value={altText}
                dir="auto"
                placeholder={text.altText}
                aria-label={text.altText}
                onInput={(event) => setAltText(event.currentTarget.value)}
              />
            )}
          </div>
        )}
        <p role="status" className={isTooLong ? styles.tooLong : styles.left}>
          {isTooLong ? pane.tooLong : left !== undefined && left < LEFT_SHOWN ? text.left(left) : ''}
        </p>
        {!chosen && (
          <fieldset className={styles.styles} aria-label={text.background}>
            {statusStyles.map((each) => (
              <input
                key={each}
                type="radio"
                name="style"
                className={content.swatch}
                data-style={each}
                aria-label={text.styles[each]}
                title={text.styles[each]}
                checked={style === each}
                onChange={() => setStyle(each)}
              />
            ))}
          </fieldset>
        )}
        <footer className={styles.footer}>
          {canAttach && (
            <>
              <input
                ref={picker}
                type="file"
                hidden
                accept="image/jpeg,image/png,image/webp,image/gif,image/avif,video/mp4,video/quicktime,video/webm"
                onChange={(event) => void choose(event)}
              />
              <IconButton label={text.photo} onClick={() => picker.current?.click()}>
                <MediaIcon name="image" />
              </IconButton>
            </>
          )}
          <button
            type="button"
            className={styles.audience}
            aria-haspopup="dialog"
            title={text.audience}
            onClick={() => setPicking(true)}
          >
            <Icon name="people" size={18} />
            <span>
              {text.audienceOf[current.mode as Exclude<StatusAudienceMode, '%future added value'>]}
              {count !== undefined && ` · ${text.seenBy(count)}`}
            </span>
          </button>
          <Button kind="primary" type="submit" busy={isBusy} disabled={!canPost}>
            {text.post}
          </Button>
        </footer>
      </form>
      <Suspense>
        {isPicking && (
          <AudiencePicker
            initial={current}
            onClose={() => setPicking(false)}
            onDone={(next, isDefault) => {
              setPicking(false);
              setAudience(next);
              if (isDefault) void run(() => statuses.setAudience(next));
            }}
          />
        )}
      </Suspense>
    </dialog>
  );
}

/** The photo or the video that was chosen. */
function Chosen({ file, isVideo }: { file: File; isVideo: boolean }) {
  const { status: text } = useScreenText();
  const url = useObjectUrl(file);
  if (url === undefined) return null;
  return isVideo ? (
    // biome-ignore lint/a11y/useMediaCaption: users send no captions with their videos
    <video src={url} aria-label={text.mediaStatus} controls playsInline />
  ) : (
    <img src={url} alt={text.mediaStatus} draggable={false} />
  );
}

/** How many users would see a status with an audience; undefined until it is known. */
function useCount(audience: StatusAudienceInput): number | undefined {
  const statuses = statusesOf(useParley());
  const key = JSON.stringify(audience);
  const [count, setCount] = useState<number>();
  useEffect(() => {
    let isCurrent = true;
    setCount(undefined);
    statuses.previewAudience(audience, { first: 1 }).then(
      ({ totalCount }) => isCurrent && setCount(totalCount),
      // Without a connection, only the mode is shown.
      () => {},
    );
    return () => {
      isCurrent = false;
    };
  }, [statuses, key]);
  return count;
}

function useLimits(): StatusLimitsQuery['serverInfo']['limits'] | undefined {
  const parley = useParley();
  const [limits, setLimits] = useState<StatusLimitsQuery['serverInfo']['limits']>();
  useEffect(() => {
    // Without them, the server checks.
    parley.request(StatusLimitsDocument).then(
      ({ serverInfo }) => setLimits(serverInfo.limits),
      () => {},
    );
  }, [parley]);
  return limits;
}
