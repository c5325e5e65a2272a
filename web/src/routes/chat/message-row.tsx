import type { Message, MessageStatus, OutboxEntry, Row, User } from '@parley/client';
import {
  type CSSProperties,
  type FocusEvent,
  type KeyboardEvent,
  lazy,
  memo,
  type PointerEvent,
  type RefObject,
  Suspense,
  useRef,
  useState,
} from 'react';
import { EmojiPopover } from '../../emoji/emoji-popover.tsx';
import { useText } from '../../locales/locale.tsx';
import { Attached } from '../../media/attached.tsx';
import { usePane } from '../../pane.ts';
import { useParley } from '../../parley.ts';
import { areKeysOn } from '../../preferences.ts';
import { Avatar, hueOf } from '../../shell/avatar.tsx';
import { Button } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import { useTimes } from '../../shell/time.ts';
import { MessageMenu, type Permissions, Toolbar, useActions } from './message-actions.tsx';
import styles from './message-row.module.css';
import { MessageText } from './message-text.tsx';
import { isShown, previewOf, systemText } from './names.ts';
import { Reactions, useReactions } from './reactions.tsx';

const CallEntry = lazy(() => import('../call/call-entry.tsx'));
const EncryptionEntry = lazy(() => import('../sealed/encryption-entry.tsx'));
const Failure = lazy(() => import('../sealed/failure.tsx'));
const RowProtection = lazy(() => import('../sealed/row-protection.tsx'));
const StatusQuote = lazy(() => import('../status/status-quote.tsx'));

/** How long a finger must stay on a message until its menu opens, in milliseconds. */
const LONG_PRESS_MS = 450;
const MOVED_PX = 10;

/** One message. It is rendered again only if something about it has changed. */
export const MessageRow = memo(function MessageRow({
  row,
  viewer,
  permissions,
  startsGroup,
  isTarget,
  isTabStop,
  isExposed,
}: {
  row: Row;
  viewer: User | undefined;
  permissions: Permissions;
  startsGroup: boolean;
  /** Whether the viewer has just jumped to it. */
  isTarget: boolean;
  /** Whether the Tab key stops here. The arrow keys reach the other messages. */
  isTabStop: boolean;
  /** Whether it is not encrypted although the conversation was when it was sent. */
  isExposed: boolean;
}) {
  const text = useText();
  const times = useTimes();
  const { handle, showUser, jump } = usePane();
  const { message, pending, isOwn, status, createdAt } = row;
  const { reactions, toggle } = useReactions(message, handle);
  const [isActive, setActive] = useState(false);
  const [open, setOpen] = useState<Open>();
  const bubble = useRef<HTMLDivElement>(null);
  const keys = useRef<(event: KeyboardEvent<HTMLElement>) => void>(undefined);
  const press = usePress(() => setOpen({ what: 'menu', anchor: bubble.current }));
  if (message?.kind === 'SYSTEM') {
    return (
      <p className={styles.system} data-key={row.key} data-seq={message.seq} dir="auto">
        {message.systemEvent?.type === 'CALL_ENDED' ? (
          <Suspense fallback={systemText(text, message)}>
            <CallEntry message={message} conversationId={handle.id} />
          </Suspense>
        ) : message.systemEvent?.type === 'ENCRYPTION_ENABLED' ? (
          <Suspense fallback={systemText(text, message)}>
            <EncryptionEntry message={message} />
          </Suspense>
        ) : (
          systemText(text, message)
        )}
      </p>
    );
  }
  const sender = isOwn ? viewer : message?.sender;
  const name = sender?.displayName ?? '';
  const isGroup = permissions.kind === 'GROUP';
  const canReact = message !== undefined && message.deletedAt === null && permissions.viewerCanSend;
  const isAlive = message !== undefined && message.deletedAt === null;
  // Messages that were stored by an earlier version lack the field.
  const hasFiles = pending?.uploads !== undefined || (message?.attachments ?? []).length > 0;
  return (
    <article
      className={styles.row}
      data-key={row.key}
      data-seq={message?.seq}
      data-own={isOwn ? '' : undefined}
      data-starts={startsGroup ? '' : undefined}
      data-target={isTarget ? '' : undefined}
      tabIndex={isTabStop ? 0 : -1}
      aria-label={`${isOwn ? text.list.you : name}, ${times.time(createdAt)}`}
      onPointerEnter={(event) => event.pointerType === 'mouse' && setActive(true)}
      onPointerLeave={() => setActive(false)}
      onFocus={(event: FocusEvent<HTMLElement>) => event.target.matches(':focus-visible') && setActive(true)}
      onBlur={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget)) setActive(false);
      }}
      onKeyDown={(event) => {
        if (event.target === event.currentTarget) keys.current?.(event);
      }}
      {...(isAlive && press)}
    >
      {isGroup && !isOwn && (
        <span className={styles.picture}>
          {startsGroup && sender && (
            <button type="button" tabIndex={-1} aria-label={name} onClick={() => showUser(sender)}>
              <Avatar name={name} id={sender.id} url={sender.avatarUrl} size={32} />
            </button>
          )}
        </span>
      )}
      <div className={styles.body}>
        <div ref={bubble} className={styles.bubble} data-status={status}>
          {isGroup && !isOwn && startsGroup && (
            <span
              className={styles.sender}
              style={{ '--own-hue': hueOf(sender?.id ?? '') } as CSSProperties}
              aria-hidden="true"
            >
              <bdi>{name}</bdi>
            </span>
          )}
          <Suspense>{message && (isExposed || !isShown(message)) && <RowProtection message={message} />}</Suspense>
          {message?.replyTo && <Quote message={message.replyTo} onJump={jump} />}
          <Suspense>
            {(message?.statusReply ?? pending?.replyToStatusId) && <StatusQuote row={row} className={styles.quote} />}
          </Suspense>
          {hasFiles && <Attached row={row} />}
          {message?.deletedAt ? (
            <em className={styles.deleted}>{text.pane.deleted}</em>
          ) : (
            row.text && (
              <MessageText
                text={row.text}
                mentions={message?.mentions ?? []}
                mentionsEveryone={message?.mentionsEveryone ?? false}
                viewerName={viewer?.username}
                onMention={showUser}
              />
            )
          )}
          <span className={styles.meta}>
            {message?.pinnedAt && (
              <span title={text.pane.pinned}>
                <Icon name="pin" size={12} />
                <span className="visually-hidden">{text.pane.pinned}</span>
              </span>
            )}
            {message?.editedAt && !message.deletedAt && <span>{text.pane.edited}</span>}
            <time dateTime={createdAt} title={times.full(createdAt)}>
              {times.time(createdAt)}
            </time>
            {status && <Ticks status={status} />}
          </span>
        </div>
        {reactions.length > 0 && (
          <Reactions reactions={reactions} onToggle={canReact ? (emoji) => void toggle(emoji) : undefined} />
        )}
        {pending?.error && <Failed pending={pending} error={pending.error} />}
        {isAlive && (isActive || open) && (
          <Active
            message={message}
            isOwn={isOwn}
            permissions={permissions}
            keys={keys}
            open={open}
            setOpen={setOpen}
            chosen={reactions.filter((each) => each.isOwn).map(({ emoji }) => emoji)}
            onReact={canReact ? (emoji) => void toggle(emoji) : undefined}
          />
        )}
      </div>
    </article>
  );
});

type Open = { what: 'menu' | 'emojis'; anchor: Element | null };

/**
 * The parts of a row that exist only for the message under the pointer or with the focus, because there are many rows.
 */
function Active({
  message,
  isOwn,
  permissions,
  open,
  setOpen,
  chosen,
  onReact,
  keys,
}: {
  message: Message;
  isOwn: boolean;
  permissions: Permissions;
  /** Receives the keys that are pressed while the row itself has the focus. */
  keys: RefObject<((event: KeyboardEvent<HTMLElement>) => void) | undefined>;
  open: Open | undefined;
  setOpen(open: Open | undefined): void;
  chosen: readonly string[];
  onReact: ((emoji: string) => void) | undefined;
}) {
  const actions = useActions(message, isOwn, permissions);
  const box = useRef<HTMLDivElement>(null);
  const close = () => setOpen(undefined);
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isLetter = event.key.length === 1;
    if (isLetter && !areKeysOn()) return;
    if (event.key === '+' && onReact) {
      event.preventDefault();
      setOpen({ what: 'emojis', anchor: box.current });
    }
    const action = actions.find(({ key }) => key?.toLowerCase() === event.key.toLowerCase());
    const isMenu = event.key === 'Enter' || event.key === 'ContextMenu';
    if (!action && !isMenu) return;
    event.preventDefault();
    if (action) action.run();
    else setOpen({ what: 'menu', anchor: box.current });
  };
  keys.current = onKeyDown;
  return (
    <div ref={box} className={styles.active}>
      <Toolbar
        actions={actions}
        canReact={onReact !== undefined}
        openMenu={(anchor) => setOpen({ what: 'menu', anchor })}
        openEmojis={(anchor) => setOpen({ what: 'emojis', anchor })}
      />
      {open?.what === 'menu' && (
        <MessageMenu
          actions={actions}
          anchor={open.anchor}
          chosen={chosen}
          onReact={onReact}
          onMoreEmojis={() => setOpen({ what: 'emojis', anchor: open.anchor })}
          onClose={close}
        />
      )}
      {open?.what === 'emojis' && onReact && <EmojiPopover anchor={open.anchor} onChoose={onReact} onClose={close} />}
    </div>
  );
}

/** Calls `onPress` when a finger stays on an element. Browsers differ in whether they report this themselves. */
function usePress(onPress: () => void) {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const from = useRef({ x: 0, y: 0 });
  const stop = () => clearTimeout(timer.current);
  return {
    onPointerDown(event: PointerEvent) {
      stop();
      if (event.pointerType === 'mouse') return;
      from.current = { x: event.clientX, y: event.clientY };
      timer.current = setTimeout(() => {
        // Otherwise lifting the finger would press what has appeared below it.
        addEventListener('touchend', (end) => end.preventDefault(), { capture: true, once: true, passive: false });
        onPress();
      }, LONG_PRESS_MS);
    },
    onPointerMove({ clientX, clientY }: PointerEvent) {
      if (Math.hypot(clientX - from.current.x, clientY - from.current.y) > MOVED_PX) stop();
    },
    onPointerUp: stop,
    onPointerCancel: stop,
    onContextMenu(event: { preventDefault(): void; nativeEvent: Event }) {
      // Otherwise the menu of the browser would open as well.
      if ((event.nativeEvent as globalThis.PointerEvent).pointerType === 'touch') event.preventDefault();
    },
  };
}

function Quote({
  message,
  onJump,
}: {
  message: NonNullable<NonNullable<Row['message']>['replyTo']>;
  onJump(seq: number): void;
}) {
  const text = useText();
  const { pane } = text;
  const name = message.sender?.displayName ?? '';
  return (
    <button type="button" className={styles.quote} tabIndex={-1} title={pane.jump} onClick={() => onJump(message.seq)}>
      <strong>
        <bdi>{name}</bdi>
      </strong>
      <span>{message.deletedAt ? pane.deleted : previewOf(text, message)}</span>
    </button>
  );
}

const icons = {
  queued: 'clock',
  sending: 'clock',
  failed: 'alert',
  stored: 'check',
  delivered: 'checks',
  seen: 'checks',
} as const satisfies Record<MessageStatus, string>;

/** How far a message is on its way, as a sign and as a word. */
function Ticks({ status }: { status: MessageStatus }) {
  const { states } = useText().pane;
  return (
    <span className={styles.ticks} data-status={status} title={states[status]}>
      <Icon name={icons[status]} size={15} />
      <span className="visually-hidden">{states[status]}</span>
    </span>
  );
}

/** What the user can do with a message that the server has rejected. */
function Failed({
  pending: { clientMessageId },
  error,
}: {
  pending: OutboxEntry;
  error: NonNullable<OutboxEntry['error']>;
}) {
  const { app, pane } = useText();
  const { outbox } = useParley();
  return (
    <div className={styles.failed} role="alert">
      <p>
        {pane.states.failed}:{' '}
        <Suspense fallback={error.message}>
          <Failure error={error} />
        </Suspense>
      </p>
      <Button kind="quiet" onClick={() => void outbox.retry(clientMessageId)}>
        {app.retry}
      </Button>
      <Button kind="quiet" onClick={() => void outbox.discard(clientMessageId)}>
        {pane.discard}
      </Button>
    </div>
  );
}
