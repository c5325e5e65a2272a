import { constant } from '../loaded.ts';
import { useReadable } from '../parley.ts';
import { useEncryption } from './encryption.ts';
import type { Encryption, EncryptionState } from './types.ts';

const unknown = constant<EncryptionState>({ status: 'loading', isKeyPending: false });

/** The encryption of the user, as long as this browser has keys. */
export function useReadyEncryption(): Encryption | undefined {
  const encryption = useEncryption();
  const { status } = useReadable(encryption?.state ?? unknown);
  return status === 'ready' ? encryption : undefined;
}
