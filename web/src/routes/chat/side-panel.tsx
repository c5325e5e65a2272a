import { type ReactNode, useEffect, useId, useRef } from 'react';
import { useText } from '../../locales/locale.tsx';
import { IconButton } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import styles from './side-panel.module.css';

/** A panel next to the messages; on a narrow screen, it is in front of them. Escape closes it. */
export function SidePanel({ title, onClose, children }: { title: string; onClose(): void; children: ReactNode }) {
  const { app } = useText();
  const id = useId();
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
        <h2 id={id}>{title}</h2>
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
