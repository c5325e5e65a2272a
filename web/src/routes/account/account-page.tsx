import type { ReactNode } from 'react';
import { Logo } from '../../shell/logo.tsx';
import styles from './account-page.module.css';

/** The layout of the pages on which nobody is signed in. */
export function AccountPage({
  title,
  lead,
  children,
  footer,
}: {
  title: string;
  lead: ReactNode;
  children: ReactNode;
  footer?: ReactNode;
}) {
  return (
    <main className={styles.page}>
      <div className={styles.card}>
        <Logo size={44} />
        <h1>{title}</h1>
        <p className={styles.lead}>{lead}</p>
        {children}
      </div>
      {footer && <p className={styles.footer}>{footer}</p>}
    </main>
  );
}
