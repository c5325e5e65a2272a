import type { Attachment, AttachmentKind, ConversationAttachment, Media } from '@parley/client/media';
import { type KeyboardEvent, lazy, Suspense, useEffect, useId, useRef, useState } from 'react';
import { useFiles } from '../files.ts';
import { useScreenText } from '../locales/screens.ts';
import { usePane } from '../pane.ts';
import { useParley, useReadable } from '../parley.ts';
import { Button, IconButton } from '../shell/button.tsx';
import { Icon } from '../shell/icon.tsx';
import { IN_FRONT } from '../shell/side-panel.tsx';
import { useTimes } from '../shell/time.ts';
import Content from './content.tsx';
import { MediaIcon } from './media-icon.tsx';
import { useOpenedFile } from './opened-file.ts';
import styles from './shared-files.module.css';
import { durationText } from './sizes.ts';
import { blurred } from './thumb-hash.ts';

const Lightbox = lazy(() => import('./lightbox.tsx'));

const tabs = { media: ['IMAGE', 'VIDEO'], files: ['FILE', 'AUDIO'], voice: ['VOICE'] } as const satisfies Record<
  string,
  AttachmentKind[]
>;
type Tab = keyof typeof tabs;

/** How many files of a kind are loaded at once. */
const PAGE = 30;
/** How long after a change of the files they are loaded again, in milliseconds. */
const RELOAD_DELAY = 300;
/** Encrypted images up to this size are downloaded to show them in the list. */
const SHOWN_BYTES = 4 * 1_024 * 1_024;

/** The loaded files of one kind. */
interface Loaded {
  items: readonly ConversationAttachment[];
  /** The cursor of the next page; undefined after the last one. */
  after: string | undefined;
}

/** The files of a conversation, by kinds. */
export function SharedFiles({ conversationId, onClose }: { conversationId: string; onClose(): void }) {
  const { media: text } = useScreenText();
  const files = useFiles();
  const [tab, setTab] = useState<Tab>('media');
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    const isRtl = getComputedStyle(event.currentTarget).direction === 'rtl';
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const names = Object.keys(tabs) as Tab[];
    const index = (names.indexOf(tab) + (isRtl ? -step : step) + names.length) % names.length;
    const next = names[index] ?? 'media';
    setTab(next);
    list.current?.querySelector<HTMLElement>(`[data-tab="${next}"]`)?.focus();
  };
  return (
    <section className={styles.shared} aria-label={text.shared}>
      <div ref={list} role="tablist" aria-label={text.shared} className={styles.tabs} onKeyDown={onKeyDown}>
        {(Object.keys(tabs) as Tab[]).map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`${id}-${name}`}
            data-tab={name}
            aria-selected={name === tab}
            aria-controls={`${id}-panel`}
            tabIndex={name === tab ? 0 : -1}
            onClick={() => setTab(name)}
          >
            {text.tabs[name]}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${tab}`}>
        {files && <List key={tab} tab={tab} files={files} conversationId={conversationId} onClose={onClose} />}
      </div>
    </section>
  );
}

function List({
  tab,
  files,
  conversationId,
  onClose,
}: {
  tab: Tab;
  files: Media;
  conversationId: string;
  onClose(): void;
}) {
  const { app, list, media: text, errors } = useScreenText();
  const times = useTimes();
  const { jump, handle } = usePane();
  const kinds = tabs[tab];
  const [loaded, setLoaded] = useState<readonly Loaded[]>();
  const [hasFailed, setFailed] = useState(false);
  const [opened, setOpened] = useState<string>();
  useReadable(files.token);
  const isLive = useReadable(useParley().connection).status === 'live';
  /** How many items of each kind are shown, at least. */
  const wanted = useRef(PAGE);
  /** The last call of `load`: results of earlier ones are ignored. */
  const last = useRef(0);
  const load = async () => {
    // On the server, all files of encrypted messages have the same kind.
    const isEncrypted = handle.value.conversation?.encryption === 'END_TO_END';
    const asked = isEncrypted ? new Set<AttachmentKind>([...kinds, 'FILE']) : kinds;
    const isHere = ({ attachment }: ConversationAttachment) => kinds.some((kind) => kind === attachment.kind);
    last.current += 1;
    const call = last.current;
    setFailed(false);
    try {
      const next = await Promise.all(
        [...asked].map(async (kind) => {
          const found: ConversationAttachment[] = [];
          let after: string | undefined;
          do {
            const page = await files.attachments(conversationId, { kind, first: PAGE, after });
            found.push(...page.items.filter(isHere));
            after = page.after;
          } while (after !== undefined && found.length < wanted.current);
          return { items: found, after };
        }),
      );
      if (call === last.current) setLoaded(next);
    } catch {
      if (call === last.current) setFailed(true);
    }
  };
  useEffect(() => {
    void load();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = files.onAttachmentsChanged(conversationId, () => {
      // Several changes in succession are loaded together.
      timer ??= setTimeout(() => {
        timer = undefined;
        void load();
      }, RELOAD_DELAY);
    });
    return () => {
      stop();
      clearTimeout(timer);
      last.current += 1;
    };
  }, [conversationId, tab, isLive]);
  if (hasFailed && !loaded) return <p className={styles.none}>{errors.unreachable}</p>;
  if (!loaded) return <p role="status" aria-label={app.loading} className={styles.none} />;
  const items = merged(loaded);
  const hasMore = loaded.some(({ after }) => after !== undefined);
  const goTo = (seq: number) => {
    if (matchMedia(IN_FRONT).matches) onClose();
    jump(seq);
  };
  return (
    <>
      {items.length === 0 && !hasMore && <p className={styles.none}>{text.none[tab]}</p>}
      <ul className={tab === 'media' ? styles.grid : styles.list}>
        {items.map(({ attachment, message }) => (
          <li key={attachment.id}>
            {tab === 'media' ? (
              <Thumbnail
                attachment={attachment}
                files={files}
                onOpen={() => (attachment.kind === 'IMAGE' ? setOpened(attachment.id) : goTo(message.seq))}
              />
            ) : (
              <>
                <div className={styles.file}>
                  <Content item={attachment} />
                </div>
                <p className={styles.from}>
                  <span>
                    <bdi>{message.sender?.displayName}</bdi> · {times.brief(message.createdAt)}
                  </span>
                  <IconButton label={text.toMessage} onClick={() => goTo(message.seq)}>
                    <Icon name="forward" size={16} />
                  </IconButton>
                </p>
              </>
            )}
          </li>
        ))}
      </ul>
      {hasMore && (
        <p className={styles.none}>
          <Button
            kind="quiet"
            onClick={() => {
              wanted.current += PAGE;
              void load();
            }}
          >
            {list.more}
          </Button>
        </p>
      )}
      <Suspense>
        {opened !== undefined && (
          <Lightbox id={opened} list={items.map((each) => each.attachment)} onClose={() => setOpened(undefined)} />
        )}
      </Suspense>
    </>
  );
}

/** The items of all kinds, newest first, as far as there are no gaps between them. */
function merged(loaded: readonly Loaded[]): ConversationAttachment[] {
  const limits = loaded.map(({ items, after }) => (after === undefined ? 0 : (items.at(-1)?.message.seq ?? 0)));
  const from = Math.max(...limits);
  return loaded
    .flatMap(({ items }) => items)
    .filter(({ message }) => message.seq >= from)
    .sort((one, other) => other.message.seq - one.message.seq);
}

function Thumbnail({ attachment, files, onOpen }: { attachment: Attachment; files: Media; onOpen(): void }) {
  const { media: text } = useScreenText();
  const { kind, altText, filename, durationMs, state, thumbHash } = attachment;
  const isVideo = kind === 'VIDEO';
  const isSealed = attachment.secret !== undefined;
  const decrypted = useOpenedFile(attachment, isSealed && !isVideo && attachment.byteSize <= SHOWN_BYTES);
  const url = isSealed ? decrypted.url : files.attachmentUrl(attachment, isVideo ? 'poster' : 'thumbnail');
  // Without a picture of it, the browser shows one.
  const film = isVideo && !isSealed && url === undefined ? files.attachmentUrl(attachment) : undefined;
  const name = altText ?? filename;
  const behind = blurred(thumbHash);
  return (
    <button
      type="button"
      className={styles.thumbnail}
      aria-label={isVideo ? undefined : text.openImage(name)}
      disabled={state !== 'READY'}
      onClick={onOpen}
    >
      {behind !== undefined && <img src={behind} alt="" draggable={false} />}
      {film !== undefined && <video src={`${film}#t=0.1`} preload="metadata" muted playsInline tabIndex={-1} />}
      {url !== undefined && <img src={url} alt="" loading="lazy" decoding="async" draggable={false} />}
      {isVideo && (
        <span className={styles.length}>
          <span className="visually-hidden">
            {text.video}: {name}
          </span>
          <MediaIcon name="play" size={14} />
          {durationMs ? durationText(durationMs) : ''}
        </span>
      )}
    </button>
  );
}
