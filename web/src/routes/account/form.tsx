import type { ReactNode } from 'react';
import { useText } from '../../locales/locale.tsx';
import { Button } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import styles from './account-page.module.css';
import type { useForm } from './use-form.ts';

/** A form with its error, its fields and the button that sends it. */
export function Form({
  form: { ref, onSubmit, busy, failure, waitSeconds },
  action,
  children,
}: {
  form: ReturnType<typeof useForm>;
  action: string;
  children: ReactNode;
}) {
  const { errors } = useText();
  const alert = waitSeconds > 0 ? errors.rateLimited(waitSeconds) : failure;
  return (
    <form ref={ref} className={styles.form} onSubmit={onSubmit} noValidate>
      {/* The seconds are not announced one by one. */}
      <div role="alert" className={styles.alerts} aria-live={waitSeconds > 0 ? 'off' : 'assertive'}>
        {alert !== undefined && (
          <p className={styles.alert}>
            <Icon name="alert" />
            {alert}
          </p>
        )}
      </div>
      {children}
      <Button kind="primary" type="submit" busy={busy} disabled={waitSeconds > 0}>
        {action}
      </Button>
    </form>
  );
}
