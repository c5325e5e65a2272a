import { equal } from './bytes.js';
import { type Certificate, readCertificate } from './certificate.js';
import { MESSAGE_KEY_BYTES, type OpenedContent, openWithMessageKey, type Place } from './content.js';
import { E2eeError } from './errors.js';

// The server verifies reports with this file and what it imports: see `share` in deploy/run.mjs. None of them may import a package
// that the server does not have.

/** The device that is stated to have encrypted a message. */
export interface ReportedDevice {
  userId: string;
  signatureKey: Uint8Array;
  /** The certificate that the device has, and those that it had before. Those that are not valid are skipped. */
  certificates: readonly Uint8Array[];
}

/**
 * Decrypts the message that a reporter has disclosed, and verifies that the device has signed it for this place.
 * @param messageKey the key of the message, which `E2eeConversation.report` returns.
 * @throws E2eeError `TAMPERED` or `UNKNOWN_FORMAT`.
 */
export async function verifyDisclosure(
  place: Omit<Place, 'version'>,
  { userId, signatureKey, certificates }: ReportedDevice,
  content: Uint8Array,
  messageKey: Uint8Array,
): Promise<OpenedContent> {
  const read = await Promise.all(certificates.map((bytes) => readCertificate(bytes).catch(() => undefined)));
  const isOfDevice = (certificate: Certificate) =>
    certificate.userId === userId && equal(certificate.signatureKey, signatureKey);
  const keys = read.flatMap((certificate) => (certificate && isOfDevice(certificate) ? [certificate.contentKey] : []));
  if (messageKey.length !== MESSAGE_KEY_BYTES)
    throw new E2eeError('TAMPERED', 'The key of a message has another length.');
  return openWithMessageKey(messageKey, keys, place, content);
}
