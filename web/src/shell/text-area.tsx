import { type TextareaHTMLAttributes, useId } from 'react';
import styles from './field.module.css';

interface TextAreaProps extends TextareaHTMLAttributes<HTMLTextAreaElement> {
  label: string;
  name: string;
  /** Shown below the field and read with it. */
  error?: string | undefined;
}

/** A labelled field for a text with several lines. */
export function TextArea({ label, error, ...rest }: TextAreaProps) {
  const id = useId();
  const isInvalid = error !== undefined;
  return (
    <div className={styles.field}>
      <label htmlFor={id}>{label}</label>
      <div className={styles.box} data-invalid={isInvalid ? '' : undefined}>
        <textarea
          rows={3}
          dir="auto"
          {...rest}
          id={id}
          aria-invalid={isInvalid ? true : undefined}
          aria-describedby={isInvalid ? `${id}-note` : undefined}
        />
      </div>
      {isInvalid && (
        <p id={`${id}-note`} className={styles.error}>
          {error}
        </p>
      )}
    </div>
  );
}
