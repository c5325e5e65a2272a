import { lazy, Suspense, useEffect } from 'react';
import { useEncryption } from '../../encryption/encryption.ts';
import { connectMessages } from '../../encryption/messages.ts';
import type { Encryption } from '../../encryption/types.ts';
import { useParley, useReadable } from '../../parley.ts';
import { Notices } from './notices.tsx';

const EncryptionDialogs = lazy(() => import('./encryption-dialogs.tsx'));

/** Keeps this browser registered as a device of the user, opens and encrypts messages with its keys, and shows notices and dialogs in front of whatever page is open. */
export default function EncryptionHost() {
  const encryption = useEncryption();
  return encryption ? <Host encryption={encryption} /> : null;
}

function Host({ encryption }: { encryption: Encryption }) {
  const parley = useParley();
  const dialog = useReadable(encryption.dialog);
  useEffect(() => connectMessages(parley, encryption), [parley, encryption]);
  return (
    <>
      <Notices encryption={encryption} />
      <Suspense>{dialog && <EncryptionDialogs encryption={encryption} dialog={dialog} />}</Suspense>
    </>
  );
}
