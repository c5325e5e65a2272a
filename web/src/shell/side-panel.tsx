import { type ReactNode, useEffect, useId, useRef } from 'react';
import { useText } from '../locales/locale.tsx';
import { IconButton } from './button.tsx';
import { Icon } from './icon.tsx';
import { useMedia } from './media.ts';
import styles from './side-panel.module.css';

/** On such a screen, a panel is in front of the messages: see side-panel.module.css. */
export const IN_FRONT = '(width < 60rem)';

/** A panel next to the messages; on a narrow screen, it is in front of them. Escape closes it. */
export function SidePanel({ title, onClose, children }: { title: string; onClose(): void; children: ReactNode }) {
  const { app } = useText();
  const id = useId();
  // In front of the messages, it is the page.
  const Title = useMedia(IN_FRONT) ? 'h1' : 'h2';
  const close = useRef<HTMLDivElement>(null);
  const panel = useRef<HTMLElement>(null);
  const latest = useRef(onClose);
  latest.current = onClose;
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const target = event.target as Element;
      // Nothing has the focus if what had it has been removed. A dialog that the panel has opened closes first.
      const isHere = target === document.body || (panel.current?.contains(target) && !target.closest('dialog'));
      if (event.key === 'Escape' && isHere && !event.defaultPrevented) latest.current();
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, []);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    close.current?.querySelector('button')?.focus();
    return () => before?.focus();
  }, []);
  return (
    <aside ref={panel} className={styles.panel} aria-labelledby={id}>
      <header className={styles.header}>
        <Title id={id}>{title}</Title>
        <div ref={close}>
          <IconButton label={app.close} onClick={onClose}>
            <Icon name="close" />
          </IconButton>
        </div>
      </header>
      <div className={styles.content}>{children}</div>
    </aside>
  );
}
