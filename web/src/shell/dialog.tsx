import { type ReactNode, useEffect, useId, useRef } from 'react';
import { useText } from '../locales/locale.tsx';
import { IconButton } from './button.tsx';
import styles from './dialog.module.css';
import { Icon } from './icon.tsx';

/** A modal dialog. It is open as long as it is rendered; `onClose` is called when the user closes it. */
export function Dialog({ title, onClose, children }: { title: string; onClose(): void; children: ReactNode }) {
  const { app } = useText();
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a dialog closes with Escape by itself
    <dialog
      ref={ref}
      className={styles.dialog}
      aria-labelledby={id}
      // Not after it was removed because another one is shown.
      onClose={() => ref.current && onClose()}
      onClick={(event) => {
        // The backdrop belongs to the dialog, its content does not cover it.
        if (event.target === event.currentTarget) event.currentTarget.close();
      }}
    >
      <div className={styles.content}>
        <header className={styles.header}>
          <h2 id={id}>{title}</h2>
          <IconButton label={app.close} onClick={() => ref.current?.close()}>
            <Icon name="close" />
          </IconButton>
        </header>
        {children}
      </div>
    </dialog>
  );
}
