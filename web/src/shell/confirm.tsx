import { useText } from '../locales/locale.tsx';
import { Button } from './button.tsx';
import styles from './confirm.module.css';
import { Dialog } from './dialog.tsx';

/** Asks before something that cannot be undone. */
export function Confirm({
  title,
  text,
  action,
  onConfirm,
  onClose,
}: {
  title: string;
  text: string;
  action: string;
  onConfirm(): void;
  onClose(): void;
}) {
  const { pane } = useText();
  return (
    <Dialog title={title} onClose={onClose}>
      <div className={styles.confirm}>
        <p>{text}</p>
        <div>
          <Button onClick={onClose}>{pane.cancel}</Button>
          <Button kind="danger" onClick={onConfirm} autoFocus>
            {action}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
