import { FOREVER, type NotificationLevel, notificationsOf } from '@parley/client/notifications';
import { useState } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { Action } from '../../shell/action.tsx';
import { IconButton } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import { MenuItem, Popover } from '../../shell/popover.tsx';
import { useTimes } from '../../shell/time.ts';
import { useTask } from '../../shell/use-task.ts';
import { durations, endOf, isForever } from './durations.ts';
import styles from './level-menu.module.css';

/** The notification settings of a conversation, in a few words. */
function useLevelText(conversationId: string) {
  const { notifications, list } = useScreenText();
  const times = useTimes();
  const current = useReadable(notificationsOf(useParley()).level(conversationId));
  const { level, mutedUntil, isSilent } = current;
  const levelName = notifications.levels[level as keyof typeof notifications.levels] ?? level;
  const muted =
    mutedUntil === null
      ? undefined
      : isForever(mutedUntil)
        ? list.muted
        : notifications.mutedUntil(times.until(mutedUntil));
  return { ...current, label: muted ?? levelName, muted, icon: isSilent ? ('bellOff' as const) : ('bell' as const) };
}

/** A button in the header of a conversation that opens its menu of notifications. */
export function LevelButton({ conversationId }: { conversationId: string }) {
  const { notifications } = useScreenText();
  const [anchor, setAnchor] = useState<Element>();
  const { label, icon } = useLevelText(conversationId);
  return (
    <>
      <IconButton
        label={`${notifications.title}: ${label}`}
        aria-haspopup="menu"
        aria-expanded={anchor !== undefined}
        onClick={(event) => setAnchor(event.currentTarget)}
      >
        <Icon name={icon} />
      </IconButton>
      {anchor && <LevelMenu conversationId={conversationId} anchor={anchor} onClose={() => setAnchor(undefined)} />}
    </>
  );
}

/** The same in a panel about the conversation. */
export function LevelAction({ conversationId }: { conversationId: string }) {
  const { notifications } = useScreenText();
  const [anchor, setAnchor] = useState<Element>();
  const { label, icon } = useLevelText(conversationId);
  return (
    <>
      <Action
        icon={icon}
        label={`${notifications.title}: ${label}`}
        hasMenu
        onClick={(event) => setAnchor(event.currentTarget)}
      />
      {anchor && <LevelMenu conversationId={conversationId} anchor={anchor} onClose={() => setAnchor(undefined)} />}
    </>
  );
}

function LevelMenu({ conversationId, anchor, onClose }: { conversationId: string; anchor: Element; onClose(): void }) {
  const { notifications: text } = useScreenText();
  const inbox = notificationsOf(useParley());
  const { chosen, muted } = useLevelText(conversationId);
  const fallback = useReadable(inbox.settings)?.defaultLevel ?? 'ALL';
  const task = useTask();
  const run = (work: () => Promise<void>) => {
    onClose();
    void task.run(work);
  };
  const names = Object.entries(text.levels) as [NotificationLevel, string][];
  const fallbackName = names.find(([level]) => level === fallback)?.[1] ?? fallback;
  const choices: [NotificationLevel | null, string][] = [[null, text.levelDefault(fallbackName)], ...names];
  return (
    <Popover anchor={anchor} role="menu" label={text.menu} onClose={onClose}>
      <Group title={text.level}>
        {choices.map(([level, name]) => (
          <MenuItem
            key={level}
            checked={level === chosen}
            onClick={() => run(() => inbox.setLevel(conversationId, level))}
          >
            {name}
          </MenuItem>
        ))}
      </Group>
      <Group title={muted ?? text.mute}>
        {muted !== undefined && (
          <MenuItem icon="bell" onClick={() => run(() => inbox.mute(conversationId, null))}>
            {text.unmute}
          </MenuItem>
        )}
        {durations.map((duration) => (
          <MenuItem
            key={duration}
            icon="bellOff"
            onClick={() => run(() => inbox.mute(conversationId, endOf(duration)))}
          >
            {text.durations[duration]}
          </MenuItem>
        ))}
        <MenuItem icon="bellOff" onClick={() => run(() => inbox.mute(conversationId, FOREVER))}>
          {text.durations.always}
        </MenuItem>
      </Group>
    </Popover>
  );
}

function Group({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a menu contains no fieldset
    <div role="group" aria-label={title} className={styles.group}>
      <p aria-hidden="true">{title}</p>
      {children}
    </div>
  );
}
