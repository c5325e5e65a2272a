import emojiRegex from 'emoji-regex';

/** One emoji of Unicode's and nothing else, with or without its variation selectors. */
const ONE = new RegExp(`^(?:${emojiRegex().source})$`);
/** The longest are families and kisses in several skins, some 35 UTF-16 units. */
const MAX_LENGTH = 64;
/** Say whether what stands before them is drawn as text or as an emoji. */
const SELECTORS = /[\uFE0E\uFE0F]/g;
/** What is drawn as text unless a selector behind it says otherwise. A skin tone behind it says so as well. */
const TEXT_BY_DEFAULT = /(?=\p{Emoji})\P{Emoji_Presentation}(?!\p{Emoji_Modifier})/gu;

/**
 * The one spelling of an emoji, which Unicode calls fully qualified, whichever of its spellings was given: flags, skin
 * tones and what is joined of several too. Undefined of everything else.
 */
export function emojiOf(text: string): string | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const bare = text.trim().replaceAll(SELECTORS, '');
  return ONE.test(bare) ? bare.replaceAll(TEXT_BY_DEFAULT, '$&\uFE0F') : undefined;
}
