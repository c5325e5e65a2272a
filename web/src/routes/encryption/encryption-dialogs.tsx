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
  return dialog.name === 'verify' ? (
    <VerifyDialog key={dialog.userId} encryption={encryption} userId={dialog.userId} />
  ) : (
    <SetupDialog key={dialog.name} encryption={encryption} isRecovering={dialog.name === 'recover'} />
  );
}
