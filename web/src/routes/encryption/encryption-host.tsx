import { useEncryption } from '../../encryption/encryption.ts';

/** Keeps this browser registered as a device of the user. */
export default function EncryptionHost() {
  useEncryption();
  return null;
}
