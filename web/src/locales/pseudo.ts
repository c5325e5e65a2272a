import { en } from './en.ts';
import { enScreens, type FullText } from './en-screens.ts';

const accented: Record<string, string> = { a: 'å', e: 'é', i: 'î', o: 'ö', u: 'ü', c: 'ç', n: 'ñ', s: 'š', y: 'ý' };

/** Lengthens a text by a third, as translations do, and marks it, so that texts outside of the locale files stand out. */
function pseudonymize(text: string): string {
  const changed = text.replace(/[aeioucnsy]/g, (letter) => accented[letter] ?? letter);
  return `⟦${changed}${'·'.repeat(Math.ceil(text.length / 3))}⟧`;
}

function convert(value: unknown): unknown {
  if (typeof value === 'string') return pseudonymize(value);
  if (typeof value === 'function') return (...args: unknown[]) => pseudonymize(value(...args));
  if (Array.isArray(value)) return value.map(convert);
  return Object.fromEntries(Object.entries(value as object).map(([key, each]) => [key, convert(each)]));
}

/** A locale for tests of the layout. */
export const pseudo = convert({ ...en, ...enScreens }) as FullText;
