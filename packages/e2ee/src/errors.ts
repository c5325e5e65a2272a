/**
 * - `UNSUPPORTED`: the environment has no Web Crypto, for example because the page is not a secure context.
 * - `CLOSED`: the object was closed.
 * - `NOT_SET_UP`: this device has no keys yet: call `setUp` or `recover`.
 * - `WRONG_RECOVERY_KEY`: the recovery key does not open the vault of this account.
 * - `INVALID_RECOVERY_KEY`: the words are not a recovery key, for example because one is misspelled.
 * - `KEY_UNAVAILABLE`: this device does not have the key of the epoch: it was sent before the device or its user joined, and no
 *   sealed key could be opened.
 * - `TAMPERED`: the content, its sender, or its place is not what the sender encrypted.
 * - `UNKNOWN_FORMAT`: a newer client encrypted it.
 * - `INVALID_CERTIFICATE`: the certificate of a device is malformed or not signed by its account.
 * - `IDENTITY_CHANGED`: the identity key of the viewer, or of a user whom the viewer has verified, is another one than before.
 * - `INVALID_COMMIT`: a commit is not valid for the group.
 * - `NOT_ENCRYPTED`: the conversation is not encrypted.
 * - `DOWNGRADED`: the server states that a conversation is not encrypted, and this device has seen that it is.
 * - `UNEXPECTED_MEMBER`: the group of a direct conversation contains a device of a third user.
 * - `NOT_A_MEMBER`: the viewer cannot join the group of the conversation.
 * - `INVALID_ANSWER`: the answer of the server does not have the form of the schema. It is unknown whether the server did something.
 * - `TOO_LARGE`: the content is larger than the server accepts.
 * - `NOT_AN_EMOJI`: a reaction is not a single emoji.
 */
export type E2eeErrorCode =
  | 'UNSUPPORTED'
  | 'CLOSED'
  | 'NOT_SET_UP'
  | 'WRONG_RECOVERY_KEY'
  | 'INVALID_RECOVERY_KEY'
  | 'KEY_UNAVAILABLE'
  | 'TAMPERED'
  | 'UNKNOWN_FORMAT'
  | 'INVALID_CERTIFICATE'
  | 'IDENTITY_CHANGED'
  | 'INVALID_COMMIT'
  | 'NOT_ENCRYPTED'
  | 'DOWNGRADED'
  | 'UNEXPECTED_MEMBER'
  | 'NOT_A_MEMBER'
  | 'INVALID_ANSWER'
  | 'TOO_LARGE'
  | 'NOT_AN_EMOJI';

/** A failure of encryption or decryption. Errors of the server are passed on as they are. */
export class E2eeError extends Error {
  override readonly name = 'E2eeError';

  constructor(
    readonly code: E2eeErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}
