import stopword from 'stopword';

/** Letters of scripts without spaces between words. Pairs of characters are used instead of words. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const WORD = /[\p{L}\p{N}\p{M}]+(?:['’][\p{L}]+)*/gu;
const UNSPACED_RUN =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{M}]+/gu;

/** Longer words are equal if this many first characters are equal, regardless of plurals, cases and tenses. */
const STEM = 6;

/** Lower case, without diacritics of Latin, Greek and Cyrillic letters. */
export const fold = (text: string): string =>
  text
    .toLowerCase()
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .normalize('NFC')
    .replaceAll('’', "'");

/** Additional stop words of chats. */
const fillers: Record<string, string> = {
  eng: "i i'm i'll i've i'd you're you'll it's that's there's don't doesn't didn't isn't can't won't wasn't we're we'll they're let's ok okay yes no yeah yep nope lol haha hey hi hello thanks thank ty please oh ah um hm well really very just also too got get gets going go gonna one can could would should will not do does did have has had am was were been being what when where who how why",
  deu: 'ok okay ja nein jaja nee haha hallo hi moin huhu danke bitte oh ach ah hm mal halt eben doch schon noch so sehr super toll gut ich du er sie es wir ihr mich dich uns euch ist bin bist sind seid war waren hab habe hast hat haben wird werden kann kannst konnen',
  spa: 'ok vale si no ya jaja jajaja hola buenas gracias ay uy oh ah pues bueno oye tio claro muy mas yo tu el ella nosotros vosotros ellos me te se nos os lo la los las le les es soy eres son era esta estoy estan hay he has ha hemos han que de del al un una unos unas y o pero por para con sin en a',
};

/** For each stop word, its languages. */
const languagesOf = new Map<string, string[]>();
for (const [language, list] of Object.entries(stopword)) {
  if (!Array.isArray(list)) continue;
  for (const word of new Set([...(list as string[]), ...(fillers[language]?.split(' ') ?? [])].map(fold))) {
    const known = languagesOf.get(word);
    if (known) known.push(language);
    else languagesOf.set(word, [language]);
  }
}

/** The folded words of a text; in scripts without spaces, all pairs of characters. */
export function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const [word] of fold(text).matchAll(WORD)) {
    if (!UNSPACED.test(word)) words.push(word);
    else {
      for (const [run] of word.matchAll(UNSPACED_RUN)) {
        const characters = [...run];
        if (characters.length === 1) words.push(run);
        for (let at = 0; at + 1 < characters.length; at += 1) words.push(`${characters[at]}${characters[at + 1]}`);
      }
      // Words of other scripts between them.
      for (const other of word.split(UNSPACED_RUN)) if (other !== '') words.push(other);
    }
  }
  return words;
}

/** Languages are considered if they have at least this share of the stop words of the most likely language. */
const LANGUAGE_SHARE = 0.7;

/** The languages of a conversation, the most likely first; usually one. They are detected by their stop words. */
export function languagesIn(words: readonly (readonly string[])[]): string[] {
  const hits = new Map<string, number>();
  for (const each of words) {
    for (const word of each) {
      for (const language of languagesOf.get(word) ?? []) hits.set(language, (hits.get(language) ?? 0) + 1);
    }
  }
  const ranked = [...hits].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const best = ranked[0]?.[1] ?? 0;
  return ranked.filter(([, count]) => count >= LANGUAGE_SHARE * best).map(([language]) => language);
}

/** The stems of the meaningful words of a message in these languages. */
export function stemsOf(words: readonly string[], languages: ReadonlySet<string>): string[] {
  return words.filter((word) => !languagesOf.get(word)?.some((language) => languages.has(language))).map(stemOf);
}

const stemOf = (word: string) => (word.length > STEM ? word.slice(0, STEM) : word);
