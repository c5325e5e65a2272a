import type { ReactNode } from 'react';
import { Logo } from './logo.tsx';
import styles from './notice.module.css';

/** A full page or pane with a short text: an error, or an empty state. */
export function Notice({
  title,
  text,
  role,
  icon = <Logo size={40} />,
  children,
}: {
  title: string;
  text: string;
  role?: 'alert';
  icon?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <div className={styles.notice} role={role}>
      {icon}
      <h1>{title}</h1>
      <p>{text}</p>
      {children && <div className={styles.actions}>{children}</div>}
    </div>
  );
}
