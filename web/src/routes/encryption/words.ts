import { wordlist } from '@scure/bip39/wordlists/english.js';

/** How many words a recovery key has. */
export const WORDS = 12;
/** How many words are suggested. */
const SUGGESTIONS_MAX = 6;

const words = new Set(wordlist);

export const normalize = (text: string): string => text.normalize('NFKC').toLowerCase().trim();

export const isWord = (text: string): boolean => words.has(normalize(text));

/** The words of a text, without the numbers that a printed key has. */
export const wordsOf = (text: string): string[] =>
  normalize(text)
    .split(/[\s,;]+/)
    .map((part) => part.replace(/^\d+[.):]?/, ''))
    .filter((part) => part !== '');

/** The words that begin with a text. */
export function suggestionsFor(text: string): string[] {
  const start = normalize(text);
  if (start === '' || words.has(start)) return [];
  return wordlist.filter((word) => word.startsWith(start)).slice(0, SUGGESTIONS_MAX);
}

/** The only word that begins with a text. Four letters are enough for each word of the list. */
export function completionOf(text: string): string | undefined {
  const start = normalize(text);
  if (start === '' || words.has(start)) return undefined;
  const [first, second] = wordlist.filter((word) => word.startsWith(start));
  return second === undefined ? first : undefined;
}

/** The word that a misspelled one most likely stands for; undefined if none is similar. */
export function correctionOf(text: string): string | undefined {
  const written = normalize(text);
  let [best, least] = [undefined as string | undefined, 3];
  for (const word of wordlist) {
    const distance = distanceOf(written, word, least);
    if (distance < least) [best, least] = [word, distance];
  }
  return best;
}

/** How many letters have to be inserted, deleted or replaced; at most `limit`. */
function distanceOf(one: string, other: string, limit: number): number {
  if (Math.abs(one.length - other.length) >= limit) return limit;
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let index = 1; index <= one.length; index++) {
    const next = [index];
    for (let column = 1; column <= other.length; column++) {
      const isSame = one[index - 1] === other[column - 1];
      const replaced = (row[column - 1] as number) + (isSame ? 0 : 1);
      next.push(Math.min(replaced, (row[column] as number) + 1, (next[column - 1] as number) + 1));
    }
    row = next;
  }
  return row.at(-1) as number;
}
