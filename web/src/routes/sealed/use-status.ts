import { useEncryption } from '../../encryption/encryption.ts';
import type { EncryptionState } from '../../encryption/types.ts';
import { constant } from '../../loaded.ts';
import { useReadable } from '../../parley.ts';

const loading = constant<EncryptionState>({ status: 'loading', isKeyPending: false });

/** Whether this browser can encrypt for the user. */
export const useStatus = () => useReadable(useEncryption()?.state ?? loading).status;
