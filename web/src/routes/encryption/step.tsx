import { type ReactNode, useEffect, useRef } from 'react';
import styles from './encryption.module.css';

/** The content of a dialog that has several steps. It gets the focus when it is shown after another one. */
export function Step({ isFirst = false, children }: { isFirst?: boolean; children: ReactNode }) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!isFirst) ref.current?.focus();
  }, [isFirst]);
  return (
    <div ref={ref} className={styles.step} tabIndex={-1}>
      {children}
    </div>
  );
}
