import { lazy, Suspense } from 'react';
import { useEncryption } from '../../encryption/encryption.ts';
import type { Encryption } from '../../encryption/types.ts';
import { useReadable } from '../../parley.ts';
import { Notices } from './notices.tsx';

const EncryptionDialogs = lazy(() => import('./encryption-dialogs.tsx'));

/** Keeps this browser registered as a device of the user, and shows notices and dialogs of encryption in front of whatever page is open. */
export default function EncryptionHost() {
  const encryption = useEncryption('later');
  return encryption ? <Host encryption={encryption} /> : null;
}

function Host({ encryption }: { encryption: Encryption }) {
  const dialog = useReadable(encryption.dialog);
  return (
    <>
      <Notices encryption={encryption} />
      <Suspense>{dialog && <EncryptionDialogs encryption={encryption} dialog={dialog} />}</Suspense>
    </>
  );
}
