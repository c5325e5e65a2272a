import { type InputHTMLAttributes, type ReactNode, useId, useState } from 'react';
import { useText } from '../locales/locale.tsx';
import styles from './field.module.css';
import { Icon } from './icon.tsx';

interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  label: string;
  name: string;
  hint?: string | undefined;
  /** Shown below the field and read with it. */
  error?: string | undefined;
  /** A control inside of the field, at its end. */
  end?: ReactNode;
}

/** A labelled input with a hint or an error. */
export function Field({ label, hint, error, end, ...rest }: FieldProps) {
  const id = useId();
  const note = error ?? hint;
  return (
    <div className={styles.field}>
      <label htmlFor={id}>{label}</label>
      <div className={styles.box} data-invalid={error === undefined ? undefined : ''}>
        <input
          {...rest}
          id={id}
          aria-invalid={error === undefined ? undefined : true}
          aria-describedby={note === undefined ? undefined : `${id}-note`}
        />
        {end}
      </div>
      {note !== undefined && (
        <p id={`${id}-note`} className={error === undefined ? styles.hint : styles.error}>
          {note}
        </p>
      )}
    </div>
  );
}

/** A password, which can be shown. */
export function PasswordField(props: Omit<FieldProps, 'end' | 'type'>) {
  const { account } = useText();
  const [shown, setShown] = useState(false);
  return (
    <Field
      {...props}
      type={shown ? 'text' : 'password'}
      autoCapitalize="none"
      spellCheck={false}
      end={
        <button
          type="button"
          className={styles.end}
          aria-label={shown ? account.hidePassword : account.showPassword}
          title={shown ? account.hidePassword : account.showPassword}
          onClick={() => setShown(!shown)}
        >
          <Icon name={shown ? 'eyeOff' : 'eye'} />
        </button>
      }
    />
  );
}
