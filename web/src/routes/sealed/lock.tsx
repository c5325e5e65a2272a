import { useScreenText } from '../../locales/screens.ts';
import { Icon } from '../../shell/icon.tsx';
import styles from './sealed.module.css';

/** Shows that a conversation is encrypted. */
export default function Lock() {
  const { protection } = useScreenText();
  return (
    <span className={styles.lock} title={protection.encrypted}>
      <Icon name="lock" size={14} />
      <span className="visually-hidden">{protection.encrypted}</span>
    </span>
  );
}
