import type { Readable } from '@parley/client';
import type { E2ee } from '@parley/e2ee';
import type { AddedMember } from './record.ts';

/**
 * Whether this browser can encrypt for the user:
 * - `loading`: it is being found out, or nobody is signed in.
 * - `off`: the server does not offer encryption, and the account has no keys.
 * - `unsupported`: the page is not a secure context, such as one with HTTPS.
 * - `notSetUp`: the account has no keys.
 * - `needsRecovery`: the account has keys, and this browser has none.
 * - `ready`: this browser has keys.
 */
export type EncryptionStatus = 'loading' | 'off' | 'unsupported' | 'notSetUp' | 'needsRecovery' | 'ready';

export interface EncryptionState {
  status: EncryptionStatus;
  /** Whether the user has yet to confirm that the recovery key is saved. */
  isKeyPending: boolean;
}

/** A dialog of encryption: set-up, recovery, or the comparison of security codes with a user. */
export type EncryptionDialog = { name: 'setup' } | { name: 'recover' } | { name: 'verify'; userId: string };

/** The encryption of the user who is signed in, on this page. */
export interface Encryption {
  readonly state: Readable<EncryptionState>;
  /** Encrypts and opens messages. It is undefined unless the status is `ready`, and another object after another sign-in. */
  readonly e2ee: E2ee | undefined;
  /** The dialog that is open. */
  readonly dialog: Readable<EncryptionDialog | undefined>;
  /** Opens the dialog in which encryption is set up or recovered. */
  openSetup(): void;
  /** Opens the dialog in which the recovery key is entered, also if this browser has keys, which another device has replaced. */
  openRecovery(): void;
  /** Opens the dialog in which the viewer verifies a user, and accepts a changed identity. */
  openVerification(userId: string): void;
  closeDialog(): void;
  /** The users whose identity has changed, until `seeChange`. */
  readonly changes: Readable<readonly string[]>;
  seeChange(userId: string): void;
  /** The users of whose devices the server shows different lists to different people, until `seeDispute`. */
  readonly disputes: Readable<readonly string[]>;
  seeDispute(userId: string): void;
  /** The users who can read a conversation from now on, until `seeAdded`. */
  readonly added: Readable<readonly AddedMember[]>;
  seeAdded(conversationId: string): void;
  /**
   * Creates the keys of the account.
   * @param replace whether in place of those that the account has.
   * @returns false if the account has keys by now, of another tab or device; the status is then that of this browser.
   */
  setUp(replace?: boolean): Promise<boolean>;
  /**
   * Recovers the keys of the account.
   * @throws E2eeError `INVALID_RECOVERY_KEY` or `WRONG_RECOVERY_KEY`.
   */
  recover(words: string): Promise<void>;
  /** The recovery key that the user has yet to confirm. */
  recoveryKey(): Promise<string | undefined>;
  /**
   * Makes another recovery key. With `rotateHistoryKey`, someone who has the keys of a device cannot read with them what is sent from then
   * on; the other devices need the new recovery key.
   */
  changeRecoveryKey(options?: { rotateHistoryKey?: boolean }): Promise<void>;
  /** Forgets the recovery key, after the user has confirmed that it is saved. */
  confirmRecoveryKey(): Promise<void>;
  /** It changes whenever something that is stored of identities and notices may have changed. */
  readonly revision: Readable<number>;
  /** Looks for the identity of a user in their direct conversation, if that is encrypted. */
  meet(userId: string): Promise<void>;
  /** The digits that the viewer and a user compare: those of the changed identity, if it was changed. */
  securityCode(userId: string): Promise<string>;
  /** Stores whether the viewer and a user have compared the security code. */
  verify(userId: string, isVerified: boolean): Promise<void>;
  /** Accepts the changed identity of a user. */
  accept(userId: string, identityKey: Uint8Array): Promise<void>;
  /** Resolves when what the user has begun so far, such as accepting an identity, is done. */
  settled(): Promise<void>;
  /** Deletes the keys of this browser, so that they can be recovered or set up again. */
  forgetKeys(): Promise<void>;
  /** Removes another device of the user. */
  removeDevice(deviceId: string): Promise<void>;
  /** The id of the device that this browser is; undefined without keys. */
  readonly deviceId: string | undefined;
  /** Renames a device of the user. */
  rename(deviceId: string, name: string): Promise<void>;
  /** Signs out. `erase` also deletes the keys of this browser. */
  signOut(options: { erase: boolean }): Promise<void>;
}
