import type { Conversation, Message } from '@parley/client';
import { type ReactNode, useEffect, useState } from 'react';
import { quickEmojis } from '../../emoji/recent.ts';
import { useText } from '../../locales/locale.tsx';
import { usePane } from '../../pane.ts';
import { useParley } from '../../parley.ts';
import { IconButton } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import { MenuItem, Popover } from '../../shell/popover.tsx';
import { useToast } from '../../shell/toast.tsx';
import styles from './message-actions.module.css';
import { isShown } from './names.ts';

/** What the viewer may do in the conversation, apart from their own messages. */
export type Permissions = Pick<Conversation, 'kind' | 'viewerCanSend' | 'viewerCanPin' | 'viewerCanUpdate'>;

/** Whether a time has not come yet. */
function useIsBefore(time: string | null | undefined): boolean {
  const left = time ? Date.parse(time) - Date.now() : Number.POSITIVE_INFINITY;
  const [, setPassed] = useState(0);
  useEffect(() => {
    // Browsers cannot wait for longer than this.
    if (left <= 0 || left > 2 ** 31 - 1) return;
    const timer = setTimeout(() => setPassed(Date.now()), left + 1);
    return () => clearTimeout(timer);
  }, [left]);
  return left > 0;
}

interface Action {
  name: 'reply' | 'edit' | 'pin' | 'copy' | 'details' | 'notified' | 'report' | 'delete';
  icon: Parameters<typeof Icon>[0]['name'];
  label: string;
  key?: string;
  isDangerous?: boolean;
  run(): void;
}

/** What the viewer can do with a message now. */
export function useActions(message: Message, isOwn: boolean, { kind, ...may }: Permissions): Action[] {
  const text = useText();
  const { pane } = text;
  const actions = usePane();
  const parley = useParley();
  const toast = useToast();
  const isEditable = useIsBefore(message.editableUntil);
  const isDeleted = message.deletedAt !== null;
  const isPinned = message.pinnedAt !== null;
  const found: Action[] = [];
  // Fields of the conversation are current even if the role of the viewer has changed since the message was fetched.
  if (may.viewerCanSend && !isDeleted) {
    found.push({ name: 'reply', icon: 'reply', label: pane.reply, key: 'R', run: () => actions.reply(message) });
  }
  if (message.viewerCanEdit && isEditable && !isDeleted && isShown(message)) {
    found.push({ name: 'edit', icon: 'pencil', label: pane.edit, key: 'E', run: () => actions.edit(message) });
  }
  if (message.text !== null) {
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(message.text ?? '');
        toast(pane.copied);
      } catch {
        // Pages without a secure context have no clipboard.
        toast(text.errors.unexpected);
      }
    };
    found.push({ name: 'copy', icon: 'copy', label: pane.copy, key: 'C', run: () => void copy() });
  }
  if (may.viewerCanPin && !isDeleted) {
    const toggle = async () => {
      try {
        const { pinsOf } = await import('@parley/client/pins');
        await pinsOf(parley).set(actions.handle.id, message.id, !isPinned);
      } catch (error) {
        toast((error as Error).message);
      }
    };
    const label = isPinned ? pane.unpin : pane.pin;
    found.push({ name: 'pin', icon: 'pin', label, key: 'P', run: () => void toggle() });
  }
  if (!isDeleted) {
    found.push({ name: 'details', icon: 'info', label: pane.details, run: () => actions.showDetails(message) });
  }
  if (!isOwn && !isDeleted) {
    found.push({ name: 'notified', icon: 'bell', label: pane.notified, run: () => actions.showNotified(message) });
    found.push({ name: 'report', icon: 'alert', label: pane.report, run: () => actions.report(message) });
  }
  const canDelete = isOwn || kind !== 'GROUP' ? message.viewerCanDelete : may.viewerCanUpdate;
  if (canDelete && !isDeleted) {
    const run = () => actions.remove(message);
    found.push({ name: 'delete', icon: 'trash', label: pane.delete, key: 'Delete', isDangerous: true, run });
  }
  return found;
}

/** The actions of a message as a menu, with some emojis to react with. */
export function MessageMenu({
  actions,
  anchor,
  chosen,
  onReact,
  onMoreEmojis,
  onClose,
}: {
  actions: Action[];
  anchor: Element | null;
  /** The emojis with which the viewer has reacted. */
  chosen: readonly string[];
  /** Undefined if the viewer may not react. */
  onReact: ((emoji: string) => void) | undefined;
  onMoreEmojis(): void;
  onClose(): void;
}) {
  const { pane } = useText();
  return (
    <Popover anchor={anchor} label={pane.actions} role="menu" onClose={onClose}>
      {onReact && (
        <div className={styles.quick} data-row="" role="none">
          {quickEmojis().map((emoji) => (
            <button
              key={emoji}
              type="button"
              role="menuitemcheckbox"
              aria-checked={chosen.includes(emoji)}
              tabIndex={-1}
              onClick={() => {
                onClose();
                onReact(emoji);
              }}
            >
              {emoji}
            </button>
          ))}
          <button type="button" role="menuitem" tabIndex={-1} aria-label={pane.moreEmojis} onClick={onMoreEmojis}>
            <Icon name="plus" size={18} />
          </button>
        </div>
      )}
      {actions.map(({ name, icon, label, key, isDangerous, run }) => (
        <MenuItem
          key={name}
          icon={icon}
          keys={key}
          danger={isDangerous ?? false}
          onClick={() => {
            onClose();
            run();
          }}
        >
          {label}
        </MenuItem>
      ))}
    </Popover>
  );
}

/** The most frequent actions of a message, next to it. */
export function Toolbar({
  actions,
  canReact,
  openMenu,
  openEmojis,
}: {
  actions: Action[];
  canReact: boolean;
  openMenu(anchor: Element): void;
  openEmojis(anchor: Element): void;
}): ReactNode {
  const { pane } = useText();
  return (
    <div className={styles.toolbar} role="toolbar" aria-label={pane.actions}>
      {canReact && (
        <IconButton label={pane.react} onClick={(event) => openEmojis(event.currentTarget)}>
          <Icon name="smile" size={18} />
        </IconButton>
      )}
      {actions
        .filter(({ name }) => name === 'reply' || name === 'edit')
        .map(({ name, icon, label, run }) => (
          <IconButton key={name} label={label} onClick={run}>
            <Icon name={icon} size={18} />
          </IconButton>
        ))}
      <IconButton label={pane.more} aria-haspopup="menu" onClick={(event) => openMenu(event.currentTarget)}>
        <Icon name="more" size={18} />
      </IconButton>
    </div>
  );
}
