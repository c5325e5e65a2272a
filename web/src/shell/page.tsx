import type { ReactNode } from 'react';
import { useText } from '../locales/locale.tsx';
import { Icon } from './icon.tsx';
import styles from './page.module.css';
import { Link, type Route } from './router.tsx';

/** A page with one column, a title, and a link back to the page from which it is opened. */
export function Page({ title, back, children }: { title: string; back: Route; children: ReactNode }) {
  const { app } = useText();
  return (
    <main className={styles.page}>
      <div className={styles.column}>
        <header className={styles.header}>
          <Link to={back} className={styles.back} aria-label={app.back} title={app.back}>
            <Icon name="back" />
          </Link>
          <h1>{title}</h1>
        </header>
        {children}
      </div>
    </main>
  );
}
