import emojiRegex from 'emoji-regex';

/** Matches a text that is exactly one emoji. */
const SINGLE_EMOJI = new RegExp(`^(?:${emojiRegex().source})$`);
/** In UTF-16 units. The longest emojis, families and couples with several skin tones, have about 35. */
const MAX_LENGTH = 64;
/** Variation selectors: they choose whether the preceding character is displayed as text or as an emoji. */
const SELECTORS = /[\uFE0E\uFE0F]/g;
/** Characters that are displayed as text unless a variation selector or a skin tone follows. */
const TEXT_BY_DEFAULT = /(?=\p{Emoji})\P{Emoji_Presentation}(?!\p{Emoji_Modifier})/gu;

/**
 * Normalizes an emoji to its fully qualified form (a term of Unicode), so that all spellings of an emoji are equal.
 * Flags, skin tones and joined sequences are supported.
 * @returns undefined if the text is not exactly one emoji.
 */
export function emojiOf(text: string): string | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const bare = text.trim().replaceAll(SELECTORS, '');
  return SINGLE_EMOJI.test(bare) ? bare.replaceAll(TEXT_BY_DEFAULT, '$&\uFE0F') : undefined;
}
