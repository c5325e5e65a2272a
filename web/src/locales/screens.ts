import { en } from './en.ts';
import { enScreens, type FullText } from './en-screens.ts';
import { useText } from './locale.tsx';

const english: FullText = { ...en, ...enScreens };

/** The texts of the current locale, for what is loaded when it is opened: the first view must not import this. */
export function useScreenText(): FullText {
  const text = useText();
  return text === en ? english : (text as FullText);
}
