import { useEncryption } from '../../encryption/encryption.ts';
import { useIdentity } from '../../encryption/identity.ts';
import type { Encryption } from '../../encryption/types.ts';
import { useScreenText } from '../../locales/screens.ts';
import { Icon } from '../../shell/icon.tsx';
import styles from './verified-badge.module.css';

/** A mark next to the name of a user whom the viewer has verified; nothing for others. */
export default function VerifiedBadge({ userId }: { userId: string }) {
  const encryption = useEncryption();
  return encryption ? <Badge encryption={encryption} userId={userId} /> : null;
}

function Badge({ encryption, userId }: { encryption: Encryption; userId: string }) {
  const { encryption: text } = useScreenText();
  const identity = useIdentity(encryption, userId);
  if (!identity?.isVerified || identity.isChanged) return null;
  return (
    <span className={styles.badge} role="img" aria-label={text.isVerified} title={text.isVerified}>
      <Icon name="shield" size={18} />
    </span>
  );
}
