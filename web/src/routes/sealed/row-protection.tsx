import type { Message } from '@parley/client';
import { useEncryption } from '../../encryption/encryption.ts';
import { useScreenText } from '../../locales/screens.ts';
import { Icon } from '../../shell/icon.tsx';
import { reasonOf } from './reasons.ts';
import styles from './sealed.module.css';
import { useStatus } from './use-status.ts';

/** Why the text of a message is not shown, or that nothing protects it. */
export default function RowProtection({ message }: { message: Message }) {
  const { protection: text } = useScreenText();
  const encryption = useEncryption();
  const status = useStatus();
  const { protection, sender } = message;
  if (protection === undefined) {
    return (
      <span className={styles.exposed} title={text.exposedText}>
        <Icon name="alert" size={14} />
        {text.exposed}
      </span>
    );
  }
  if (protection === 'protected') return null;
  if (protection === 'opening') {
    const isUnready = status !== 'loading' && status !== 'ready';
    return (
      <em className={styles.hidden} data-waiting={isUnready ? undefined : ''}>
        <Icon name="lock" size={16} />
        {isUnready ? text.locked : text.opening}
      </em>
    );
  }
  const { error } = protection;
  return (
    <span className={styles.hidden}>
      <Icon name={error === 'KEY_UNAVAILABLE' ? 'lock' : 'alert'} size={16} />
      <span>
        <em>{reasonOf(text, error) ?? text.cannotOpen}</em>
        {error === 'IDENTITY_CHANGED' && sender && (
          <button type="button" className={styles.link} onClick={() => encryption?.openVerification(sender.id)}>
            {text.review}
          </button>
        )}
        {error === 'UNKNOWN_FORMAT' && (
          <button type="button" className={styles.link} onClick={() => location.reload()}>
            {text.reload}
          </button>
        )}
      </span>
    </span>
  );
}
