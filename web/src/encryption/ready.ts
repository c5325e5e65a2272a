import { constant } from '../loaded.ts';
import { useReadable } from '../parley.ts';
import { useEncryption } from './encryption.ts';
import type { Encryption, EncryptionState, EncryptionStatus } from './types.ts';

const unknown = constant<EncryptionState>({ status: 'loading', isKeyPending: false });

/** Whether this browser can encrypt for the user. */
export const useEncryptionStatus = (): EncryptionStatus => useReadable(useEncryption()?.state ?? unknown).status;

/** The encryption of the user, as long as this browser has keys. */
export function useReadyEncryption(): Encryption | undefined {
  const encryption = useEncryption();
  return useEncryptionStatus() === 'ready' ? encryption : undefined;
}
