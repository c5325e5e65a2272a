import type { Conversation, ConversationHandle, Message } from '@parley/client';
import { draftsOf } from '@parley/client/drafts';
import {
  type ClipboardEvent,
  type KeyboardEvent,
  lazy,
  type ReactNode,
  Suspense,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';
import { EmojiPopover } from '../../emoji/emoji-popover.tsx';
import { noUploads, useCanAttach, useFiles } from '../../files.ts';
import { useText } from '../../locales/locale.tsx';
import { useParley, useReadable, useServerInfo } from '../../parley.ts';
import { IconButton } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import styles from './composer.module.css';
import { useMentions } from './mentions.tsx';
import { previewOf } from './names.ts';

const Attach = lazy(() => import('../../media/attach.tsx'));
const VoiceRecorder = lazy(() => import('../../media/voice-recorder.tsx'));

/** From how many remaining characters the limit is shown. */
const WARN_CHARS = 200;
const NAME_CHARS = 22;

/** What the composer is used for, if not for a message of its own. */
export type ComposerMode = { kind: 'reply' | 'edit'; message: Message };

/** Where the viewer writes a message. A draft is kept after a reload, and is shown on all of their devices. */
export function Composer({
  handle,
  name,
  mode,
  setMode,
  editLast,
  placeholder,
}: {
  conversation?: Conversation;
  handle: ConversationHandle;
  name: string;
  mode: ComposerMode | undefined;
  setMode(mode: ComposerMode | undefined): void;
  /** Begins to edit the last message of the viewer that can be edited. */
  editLast(): void;
  /** What the empty field shows, if not the name. */
  placeholder?: string;
}) {
  const { pane } = useText();
  const maxChars = useServerInfo()?.limits.messageMaxChars;
  const replyTo = mode?.kind === 'reply' ? mode.message : undefined;
  const edited = mode?.kind === 'edit' ? mode.message : undefined;
  const draft = useDraft(handle, replyTo, setMode);
  const [edit, setEdit] = useState({ text: '', error: '', isBusy: false });
  const [emojiAnchor, setEmojiAnchor] = useState<Element>();
  const field = useRef<HTMLTextAreaElement>(null);
  const text = edited ? edit.text : draft.text;
  const left = maxChars === undefined ? undefined : maxChars - text.trim().length;
  const isTooLong = left !== undefined && left < 0;
  const limitId = useId();
  const files = useFiles();
  const canAttach = useCanAttach();
  const uploads = useReadable(files && !edited ? files.draft(handle.id) : noUploads);
  const [isRecording, setRecording] = useState(false);
  const [chosen, setChosen] = useState<readonly File[]>();
  const isFine = uploads.every(({ state }) => state !== 'failed') && !isTooLong && !edit.isBusy;
  const hasFiles = edited ? edited.attachments.length > 0 : uploads.length > 0;
  const canSend = isFine && (text.trim() !== '' || hasFiles);
  const canRecord = canAttach && !edited && text.trim() === '' && uploads.length === 0;
  // Pages that are not a secure context have no microphone.
  const hasMicrophone = 'mediaDevices' in navigator;

  useEffect(() => {
    // On a touch screen, the focus would open the keyboard.
    if (matchMedia('(pointer: fine)').matches) field.current?.focus();
  }, []);
  useLayoutEffect(() => {
    setEdit({ text: mode?.kind === 'edit' ? (mode.message.text ?? '') : '', error: '', isBusy: false });
    if (mode) field.current?.focus();
  }, [mode]);

  const write = (next: string) => {
    if (edited) setEdit({ text: next, error: '', isBusy: false });
    else draft.write(next);
  };
  const insert = (from: number, to: number, added: string) => {
    write(text.slice(0, from) + added + text.slice(to));
    const at = from + added.length;
    // After the field has been rendered with the new text.
    requestAnimationFrame(() => {
      field.current?.focus();
      field.current?.setSelectionRange(at, at);
    });
  };
  const mentions = useMentions(handle, field, text, insert);
  const saveEdit = async (message: Message) => {
    if (text.trim() === (message.text ?? '')) {
      setMode(undefined);
      return;
    }
    setEdit({ text, error: '', isBusy: true });
    try {
      await handle.edit(message.id, text.trim() || null);
      setMode(undefined);
    } catch (error) {
      setEdit({ text, error: (error as Error).message, isBusy: false });
    }
  };
  const send = () => {
    if (!canSend) return;
    if (edited) void saveEdit(edited);
    else {
      const options = replyTo && { replyToId: replyTo.id };
      if (files && uploads.length > 0) {
        void files.send(handle.id, text.trim(), options);
        handle.setTyping(false);
      } else void handle.send(text.trim(), options);
      draft.clear();
      setMode(undefined);
    }
    field.current?.focus();
  };
  /** Puts marks around the selection, or removes them. */
  const format = (mark: string) => {
    const { selectionStart: from = 0, selectionEnd: to = 0 } = field.current ?? {};
    const [before, inside, after] = [text.slice(0, from), text.slice(from, to), text.slice(to)];
    const isMarked = before.endsWith(mark) && after.startsWith(mark);
    write(
      isMarked
        ? before.slice(0, -mark.length) + inside + after.slice(mark.length)
        : before + mark + inside + mark + after,
    );
    const shift = isMarked ? -mark.length : mark.length;
    requestAnimationFrame(() => field.current?.setSelectionRange(from + shift, to + shift));
  };
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    // Enter confirms the choice of an input method; Safari then reports only the code 229.
    if (event.nativeEvent.isComposing || event.keyCode === 229) return;
    if (mentions.onKeyDown(event)) return;
    const mark = event.ctrlKey || event.metaKey ? { b: '**', i: '*' }[event.key] : undefined;
    if (mark !== undefined && !event.altKey && !event.shiftKey) {
      event.preventDefault();
      format(mark);
    } else if (event.key === 'Escape' && mode) {
      event.preventDefault();
      setMode(undefined);
    } else if (event.key === 'ArrowUp' && text === '' && !mode) {
      event.preventDefault();
      editLast();
    } else if (event.key === 'Enter' && !event.shiftKey && matchMedia('(pointer: fine)').matches) {
      // On a touch screen, Enter starts a new line.
      event.preventDefault();
      send();
    }
  };
  const onPaste = (event: ClipboardEvent<HTMLTextAreaElement>) => {
    const pasted = [...event.clipboardData.files];
    // Programs that copy texts with formats add a picture of them.
    if (!canAttach || edited || pasted.length === 0 || event.clipboardData.types.includes('text/plain')) return;
    event.preventDefault();
    setChosen(pasted);
  };
  return (
    <form
      className={styles.composer}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {mentions.list}
      <div className={styles.frame}>
        {mode && <Mode mode={mode} error={edit.error} onCancel={() => setMode(undefined)} />}
        {(canAttach || uploads.length > 0) && !edited && (
          <Suspense>
            <Attach
              conversationId={handle.id}
              chosen={chosen}
              onAdded={() => setChosen(undefined)}
              onEmpty={() => field.current?.focus()}
            />
          </Suspense>
        )}
        {isRecording && (
          <Suspense>
            <VoiceRecorder
              conversationId={handle.id}
              replyToId={replyTo?.id}
              onSent={() => setMode(undefined)}
              onClose={() => {
                setRecording(false);
                requestAnimationFrame(() => field.current?.focus());
              }}
            />
          </Suspense>
        )}
        {isTooLong && (
          <p id={limitId} role="alert" className={styles.tooLong}>
            {pane.tooLong}
          </p>
        )}
        <div className={styles.box} hidden={isRecording}>
          {canAttach !== false && (
            <label className={styles.attach} title={pane.attach}>
              <Icon name="attach" />
              <input
                type="file"
                multiple
                aria-label={pane.attach}
                disabled={!canAttach || edited !== undefined}
                onChange={(event) => {
                  setChosen([...(event.currentTarget.files ?? [])]);
                  // The same file can be chosen again after it was removed.
                  event.currentTarget.value = '';
                  field.current?.focus();
                }}
              />
            </label>
          )}
          <IconButton
            label={pane.emojis}
            aria-haspopup="dialog"
            onClick={(event) => setEmojiAnchor(event.currentTarget)}
          >
            <Icon name="smile" />
          </IconButton>
          <textarea
            ref={field}
            aria-invalid={isTooLong}
            aria-describedby={isTooLong ? limitId : undefined}
            rows={1}
            value={text}
            placeholder={placeholder ?? pane.placeholder(shortened(name))}
            aria-label={pane.placeholder(name)}
            // The placeholder has the direction of the page.
            dir={text === '' ? undefined : 'auto'}
            enterKeyHint="send"
            {...mentions.attributes}
            onInput={(event) => {
              write(event.currentTarget.value);
              if (event.currentTarget.value !== '' && !edited) handle.setTyping();
            }}
            onKeyDown={onKeyDown}
            onPaste={onPaste}
            onSelect={mentions.update}
            onBlur={() => handle.setTyping(false)}
          />
          {left !== undefined && left < WARN_CHARS && (
            // It changes with each key press, which must not be read out.
            <output className={styles.left} data-over={isTooLong ? '' : undefined} aria-live="off">
              {left}
            </output>
          )}
          {canRecord && hasMicrophone ? (
            <IconButton label={pane.record} onClick={() => setRecording(true)}>
              <Icon name="microphone" />
            </IconButton>
          ) : (
            <IconButton
              type="submit"
              label={edited ? pane.save : pane.send}
              className={styles.send}
              disabled={!canSend}
            >
              <Icon name={edited ? 'check' : 'send'} />
            </IconButton>
          )}
        </div>
      </div>
      {emojiAnchor && (
        <EmojiPopover
          anchor={emojiAnchor}
          onChoose={(chosen) => {
            const { selectionStart = text.length, selectionEnd = text.length } = field.current ?? {};
            insert(selectionStart, selectionEnd, chosen);
          }}
          onClose={() => setEmojiAnchor(undefined)}
        />
      )}
    </form>
  );
}

/** Shows that the viewer is editing or replying to a message, and which one. */
function Mode({ mode, error, onCancel }: { mode: ComposerMode; error: string; onCancel(): void }): ReactNode {
  const text = useText();
  const { pane } = text;
  const { kind, message } = mode;
  return (
    <div className={styles.mode}>
      <Icon name={kind === 'edit' ? 'pencil' : 'reply'} size={18} />
      <p>
        <strong>
          <bdi>{kind === 'edit' ? pane.editing : pane.replyingTo(message.sender?.displayName ?? '')}</bdi>
        </strong>
        {error === '' ? (
          <span>{message.deletedAt ? pane.deleted : previewOf(text, message)}</span>
        ) : (
          <span role="alert" className={styles.error}>
            {error}
          </span>
        )}
      </p>
      <IconButton label={pane.cancel} onClick={onCancel}>
        <Icon name="close" size={18} />
      </IconButton>
    </div>
  );
}

/**
 * The draft of a conversation. What another device has written replaces it, unless the user has written something here that
 * is not stored yet.
 */
function useDraft(
  handle: ConversationHandle,
  replyTo: Message | undefined,
  setMode: (mode: ComposerMode | undefined) => void,
) {
  const drafts = draftsOf(useParley());
  const { id } = handle;
  const stored = useReadable(drafts.of(id));
  const replyToId = replyTo?.id;
  const [text, setText] = useState(stored?.text ?? '');
  /** The draft that was last stored from here, or adopted from another device. */
  const known = useRef(keyOf(stored?.text ?? '', undefined));
  const save = (next: string, nextReplyToId: string | undefined) => {
    known.current = keyOf(next, nextReplyToId);
    void drafts.save(id, next, nextReplyToId);
  };
  const isFirst = useRef(true);
  useEffect(() => {
    // A reply without a text is a draft as well.
    if (!isFirst.current && known.current !== keyOf(text, replyToId)) save(text, replyToId);
    isFirst.current = false;
  }, [replyToId]);
  useEffect(() => {
    // Not the value of this rendering: the user may have written more since then.
    const { text: latest = '', replyToId: latestReplyToId } = drafts.of(id).value ?? {};
    const key = keyOf(latest, latestReplyToId);
    if (key === known.current) return;
    known.current = key;
    setText(latest);
    const message = handle.value.rows.find(({ message: each }) => each && each.id === latestReplyToId)?.message;
    setMode(message && { kind: 'reply', message });
  }, [stored, drafts, id, handle, setMode]);
  return {
    text,
    write(next: string) {
      setText(next);
      save(next, replyToId);
    },
    clear() {
      setText('');
      save('', undefined);
    },
  };
}

/** A name for the placeholder, which has one line. */
function shortened(name: string): string {
  const characters = [...name];
  return characters.length > NAME_CHARS
    ? `${characters
        .slice(0, NAME_CHARS - 1)
        .join('')
        .trimEnd()}…`
    : name;
}

const keyOf = (text: string, replyToId: string | undefined): string => `${replyToId ?? ''} ${text}`;
