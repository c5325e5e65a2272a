import type { ReactNode } from 'react';
import { Logo } from './logo.tsx';
import styles from './notice.module.css';

/** A full page or pane with a short text: an error, or an empty state. */
export function Notice({
  title,
  text,
  role,
  isPage = false,
  icon = <Logo size={40} />,
  children,
}: {
  title: string;
  text: string;
  role?: 'alert';
  /** Whether it is the whole page, so that it is its main landmark. */
  isPage?: boolean;
  icon?: ReactNode;
  children?: ReactNode;
}) {
  const Root = isPage ? 'main' : 'div';
  return (
    <Root className={styles.notice} role={role}>
      {icon}
      <h1>{title}</h1>
      <p>{text}</p>
      {children && <div className={styles.actions}>{children}</div>}
    </Root>
  );
}
