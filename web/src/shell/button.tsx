import type { ButtonHTMLAttributes, ReactNode } from 'react';
import styles from './button.module.css';

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: 'primary' | 'secondary' | 'quiet' | 'danger';
  /** Whether the action of the button is in progress. The button keeps its focus, and does nothing when pressed. */
  busy?: boolean;
  children: ReactNode;
}

/** A button with a label. */
export function Button({ kind = 'secondary', busy = false, type = 'button', onClick, children, ...rest }: ButtonProps) {
  return (
    <button
      {...rest}
      type={type}
      className={`${styles.button} ${styles[kind]}`}
      aria-disabled={busy || rest.disabled ? true : undefined}
      onClick={(event) => {
        if (busy) event.preventDefault();
        else onClick?.(event);
      }}
    >
      {busy && <span className={styles.spinner} aria-hidden="true" />}
      <span className={busy ? styles.hidden : undefined}>{children}</span>
    </button>
  );
}

/** A button that shows only an icon. */
export function IconButton({
  label,
  children,
  className,
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { label: string; children: ReactNode }) {
  return (
    <button
      {...rest}
      type={rest.type ?? 'button'}
      className={`${styles.icon} ${className ?? ''}`}
      aria-label={label}
      title={label}
    >
      {children}
    </button>
  );
}
