import type { Message } from '@parley/client';
import { useScreenText } from '../../locales/screens.ts';
import { Icon } from '../../shell/icon.tsx';
import { systemText } from '../chat/names.ts';
import styles from './sealed.module.css';

/** The text of the system message that encryption was turned on, which divides the messages of a conversation. */
export default function EncryptionEntry({ message }: { message: Message }) {
  const text = useScreenText();
  return (
    <span className={styles.entry}>
      <span>
        <Icon name="lock" size={14} /> {systemText(text, message)}
      </span>
      <small>{text.protection.above}</small>
    </span>
  );
}
