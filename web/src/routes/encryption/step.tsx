import { type ReactNode, useLayoutEffect, useRef } from 'react';
import styles from './encryption.module.css';

/** The content of a dialog that has several steps. It gets the focus when it is shown after another one. */
export function Step({ isFirst = false, children }: { isFirst?: boolean; children: ReactNode }) {
  const ref = useRef<HTMLDivElement>(null);
  // Before the next key is pressed: without a focus in the dialog, Escape would also close the panel behind it.
  useLayoutEffect(() => {
    if (!isFirst) ref.current?.focus();
  }, [isFirst]);
  return (
    <div ref={ref} className={styles.step} tabIndex={-1}>
      {children}
    </div>
  );
}
