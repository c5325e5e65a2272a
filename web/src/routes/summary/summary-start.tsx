import { useScreenText } from '../../locales/screens.ts';
import { Button } from '../../shell/button.tsx';
import styles from './summary-panel.module.css';

/** The button that makes a summary, its progress, and why the last attempt failed. */
export function SummaryStart({
  progress,
  error,
  isDisabled,
  onStart,
}: {
  /** From 0 to 1; undefined while no summary is being made. */
  progress: number | undefined;
  error: string | undefined;
  isDisabled: boolean;
  onStart(): void;
}) {
  const { summary: text } = useScreenText();
  const isBusy = progress !== undefined;
  return (
    <>
      <div className={styles.start}>
        <Button kind="primary" busy={isBusy} disabled={isDisabled} onClick={onStart}>
          {text.start}
        </Button>
      </div>
      {isBusy && (
        <div className={styles.progress}>
          <progress value={progress} max={1} aria-label={text.progress} />
          <span role="status">{text.percent(Math.round(progress * 4) * 25)}</span>
        </div>
      )}
      {error !== undefined && (
        <p role="alert" className={styles.error}>
          {error}
        </p>
      )}
    </>
  );
}
