import { lazy, Suspense } from 'react';
import { useText } from '../locales/locale.tsx';
import { Popover } from '../shell/popover.tsx';
import styles from './emoji-panel.module.css';

// The list of emojis is as large as a third of the app.
const EmojiPanel = lazy(() => import('./emoji-panel.tsx'));

/** The panel of emojis next to an element. */
export function EmojiPopover({
  anchor,
  onChoose,
  onClose,
}: {
  anchor: Element | null;
  onChoose(emoji: string): void;
  onClose(): void;
}) {
  const { app, pane } = useText();
  return (
    <Popover anchor={anchor} label={pane.emojis} onClose={onClose}>
      <Suspense fallback={<div className={styles.panel} role="status" aria-label={app.loading} />}>
        <EmojiPanel
          onChoose={(chosen) => {
            onClose();
            onChoose(chosen);
          }}
        />
      </Suspense>
    </Popover>
  );
}
