import type { Encryption, EncryptionDialog } from '../../encryption/types.ts';
import { SetupDialog } from './setup-dialog.tsx';
import { VerifyDialog } from './verify-dialog.tsx';

/** The dialog that is open. */
export default function EncryptionDialogs({
  encryption,
  dialog,
}: {
  encryption: Encryption;
  dialog: EncryptionDialog;
}) {
  return dialog.name === 'setup' ? (
    <SetupDialog encryption={encryption} />
  ) : (
    <VerifyDialog key={dialog.userId} encryption={encryption} userId={dialog.userId} />
  );
}
