import { type Bytes, concat, copyOf, equal, fromBase64Url, fromUtf8, toBase64Url, utf8 } from './bytes.js';
import { subtle } from './crypto.js';
import { E2eeError } from './errors.js';

/** The reactions to a message that was opened. The server counts equal ones, and does not see their emojis. */
export interface MessageReactions {
  /**
   * Encrypts an emoji: the input `emoji` of the mutations `addReaction` and `removeReaction`. For one message, the same emoji always has
   * the same result.
   * @throws E2eeError `NOT_AN_EMOJI`.
   */
  seal(emoji: string): Promise<string>;
  /**
   * Decrypts the `emoji` of a group of reactions whose `isEncrypted` is true.
   * @throws E2eeError `TAMPERED` if it was changed, or belongs to another message, or is not an emoji; `UNKNOWN_FORMAT`.
   */
  open(sealed: string): Promise<string>;
  /** The key of the reactions, with which the next version of the message is encrypted: see `E2eeConversation.encrypt`. */
  key(): Promise<Bytes>;
}

/** The first byte of an encrypted emoji. */
const FORMAT = new Uint8Array([1]);
const IV_BYTES = 16;
/** The longest emoji has 35 bytes. With this length, the whole has no unused bits in base64url. */
const EMOJI_BYTES = 46;
const MAC_KEY_BYTES = 32;

/** Characters that are displayed as text unless a variation selector or a skin tone follows. */
const TEXT_BY_DEFAULT = /(?=\p{Emoji})\P{Emoji_Presentation}(?!\p{Emoji_Modifier})/gu;
/** Browsers without this flag, which came in 2023, must be able to load this file. */
const UNICODE_SETS: string = 'v';
let singleEmoji: RegExp | undefined;

/**
 * Normalizes an emoji to its fully qualified form, as the server does for messages in plain text.
 * @returns undefined if the text is not exactly one emoji.
 */
export function emojiOf(text: string): string | undefined {
  // A character that is newer than the browser is accepted if Unicode has reserved it for emojis.
  singleEmoji ??= new RegExp('^(?:\\p{RGI_Emoji}|[\\p{ExtPict}&&\\p{Cn}])$', UNICODE_SETS);
  const emoji = text
    .trim()
    .replace(/[\uFE0E\uFE0F]/g, '')
    .replace(TEXT_BY_DEFAULT, '$&\uFE0F');
  return singleEmoji.test(emoji) ? emoji : undefined;
}

/** Whether a text has the form of an encrypted emoji. */
export const isSealedEmoji = (text: string): boolean => /^[\w-]{84}$/.test(text);

/**
 * The reactions to a message.
 * @param derive derives the key of the reactions, which is done only if there are some.
 */
export function messageReactions(derive: () => Promise<Bytes>): MessageReactions {
  let deriving: Promise<Bytes> | undefined;
  let importing: Promise<[CryptoKey, CryptoKey]> | undefined;

  function key(): Promise<Bytes> {
    deriving ??= derive();
    return deriving;
  }

  async function importKeys(): Promise<[CryptoKey, CryptoKey]> {
    const bytes = await key();
    return Promise.all([
      subtle().importKey('raw', bytes.slice(0, MAC_KEY_BYTES), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']),
      subtle().importKey('raw', bytes.slice(MAC_KEY_BYTES), 'AES-CTR', false, ['encrypt']),
    ]);
  }

  function keys(): Promise<[CryptoKey, CryptoKey]> {
    importing ??= importKeys();
    return importing;
  }

  /** The initial counter is a code of what is encrypted, so that equal emojis are encrypted equally, and others never with the same counter. */
  async function ivOf(padded: Uint8Array): Promise<Bytes> {
    const [macKey] = await keys();
    return new Uint8Array(await subtle().sign('HMAC', macKey, concat(FORMAT, padded))).slice(0, IV_BYTES);
  }

  /** Encrypts and decrypts. */
  async function apply(iv: Uint8Array, bytes: Uint8Array): Promise<Bytes> {
    const [, aesKey] = await keys();
    const parameters = { name: 'AES-CTR', counter: copyOf(iv), length: 128 };
    return new Uint8Array(await subtle().encrypt(parameters, aesKey, copyOf(bytes)));
  }

  return {
    key,
    async seal(text) {
      const emoji = emojiOf(text);
      if (emoji === undefined) throw new E2eeError('NOT_AN_EMOJI', 'A reaction must be a single emoji.');
      const padded = new Uint8Array(EMOJI_BYTES);
      padded.set(utf8(emoji));
      const iv = await ivOf(padded);
      return toBase64Url(concat(FORMAT, iv, await apply(iv, padded)));
    },
    async open(sealed) {
      try {
        const bytes = fromBase64Url(sealed);
        if (bytes[0] !== FORMAT[0]) throw new E2eeError('UNKNOWN_FORMAT', 'A newer client has encrypted the reaction.');
        const iv = bytes.subarray(1, 1 + IV_BYTES);
        const padded = await apply(iv, bytes.subarray(1 + IV_BYTES));
        if (padded.length !== EMOJI_BYTES || !equal(await ivOf(padded), iv)) throw new Error('The code is wrong.');
        const emoji = fromUtf8(padded).replace(/\0+$/, '');
        // Whoever is in the group can have encrypted another text.
        if (emojiOf(emoji) !== emoji) throw new Error('It is not an emoji.');
        return emoji;
      } catch (cause) {
        if (cause instanceof E2eeError) throw cause;
        throw new E2eeError('TAMPERED', 'The reaction is not one to this message.', { cause });
      }
    },
  };
}
