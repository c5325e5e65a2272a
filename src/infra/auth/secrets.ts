import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * Protects data with keys that are derived from `JWT_SECRET`, one for each purpose. What was protected with
 * `JWT_SECRET_PREVIOUS` is accepted as well, so that the secret can be replaced.
 */
export interface Secrets {
  /** Encrypts a text, so that it can be stored where others can read it. */
  seal(purpose: string, text: string): string;
  /** Decrypts a sealed text; undefined if it was sealed with another secret or for another purpose, or was changed. */
  unseal(purpose: string, sealed: string): { text: string; isPrevious: boolean } | undefined;
  /** A keyed hash of a text in base64url, with 43 characters. */
  mac(purpose: string, text: string): string;
  /** Whether this is the keyed hash of a text. */
  isMac(purpose: string, text: string, mac: string): boolean;
}

const IV_BYTES = 12;
const TAG_BYTES = 16;
const ALGORITHM = 'aes-256-gcm';

export function createSecrets({
  secret,
  previousSecret,
}: {
  secret: string;
  previousSecret?: string | undefined;
}): Secrets {
  const secrets = previousSecret === undefined ? [secret] : [secret, previousSecret];
  const derived = new Map<string, Buffer[]>();
  /** The keys of a purpose, the current one first. Purposes are literals in the code, so that there are few. */
  function keysOf(purpose: string): Buffer[] {
    let keys = derived.get(purpose);
    if (!keys) {
      keys = secrets.map((each) => Buffer.from(hkdfSync('sha256', each, '', `parley ${purpose}`, 32)));
      derived.set(purpose, keys);
    }
    return keys;
  }
  const currentKey = (purpose: string) => keysOf(purpose)[0] as Buffer;
  const hash = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();

  return {
    seal(purpose, text) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(ALGORITHM, currentKey(purpose), iv);
      const parts = [iv, cipher.update(text, 'utf8'), cipher.final()];
      return Buffer.concat([...parts, cipher.getAuthTag()]).toString('base64url');
    },
    unseal(purpose, sealed) {
      const bytes = Buffer.from(sealed, 'base64url');
      if (bytes.length < IV_BYTES + TAG_BYTES) return undefined;
      for (const [index, key] of keysOf(purpose).entries()) {
        const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, IV_BYTES));
        decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
        try {
          const text = Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
          return { text: text.toString('utf8'), isPrevious: index > 0 };
        } catch {
          // Another key, or a changed text.
        }
      }
      return undefined;
    },
    mac: (purpose, text) => hash(currentKey(purpose), text).toString('base64url'),
    isMac(purpose, text, mac) {
      const given = Buffer.from(mac, 'base64url');
      return keysOf(purpose).some((key) => given.length === 32 && timingSafeEqual(given, hash(key, text)));
    },
  };
}
