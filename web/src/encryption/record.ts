// What this browser remembers of the encryption of each user, for all of its tabs. The keys are elsewhere, in IndexedDB.

/** A user who can read a conversation from now on who could not before. */
export interface AddedMember {
  conversationId: string;
  userId: string;
}

export interface EncryptionRecord {
  /** Whether this browser has keys of the user. */
  isReady: boolean;
  /** Whether the user has yet to confirm that the recovery key is saved. */
  isKeyPending: boolean;
  /** The device that the server knows for these keys. */
  deviceId?: string | undefined;
  /** The users whose identity has changed; the viewer has not seen it yet. */
  changed: readonly string[];
  /** The users of whose devices the server has shown different lists; the viewer has not seen it yet. */
  disputed: readonly string[];
  /** It changes whenever the identity of a user was verified or accepted. */
  revision?: number | undefined;
  /** The users who were added; the viewer has not seen it yet. */
  added: readonly AddedMember[];
}

const PREFIX = 'parley.encryption.';
const empty: EncryptionRecord = { isReady: false, isKeyPending: false, changed: [], disputed: [], added: [] };
/** What lasts only until the page is closed where localStorage is blocked. */
const unsaved = new Map<string, EncryptionRecord>();

export const recordKey = (userId: string): string => `${PREFIX}${userId}`;

export function readRecord(userId: string): EncryptionRecord {
  try {
    const text = localStorage.getItem(recordKey(userId));
    return text === null ? (unsaved.get(userId) ?? empty) : { ...empty, ...JSON.parse(text) };
  } catch {
    return unsaved.get(userId) ?? empty;
  }
}

export function writeRecord(userId: string, changes: Partial<EncryptionRecord>): void {
  const record = { ...readRecord(userId), ...changes };
  try {
    localStorage.setItem(recordKey(userId), JSON.stringify(record));
  } catch {
    unsaved.set(userId, record);
  }
}

export function removeRecord(userId: string): void {
  unsaved.delete(userId);
  try {
    localStorage.removeItem(recordKey(userId));
  } catch {
    // Nothing was stored.
  }
}
