import { createContext, type ReactNode, useContext, useEffect, useState } from 'react';
import { read, write } from '../preferences.ts';
import { en, type Text } from './en.ts';

interface Locale {
  /** The BCP 47 tag for `Intl`. */
  tag: string;
  /** The name of the language in itself, for the settings. */
  name: string;
  dir: 'ltr' | 'rtl';
  load(): Promise<Text>;
}

/** All locales, except the one for tests of the layout. */
export const locales: Readonly<Record<string, Locale>> = {
  en: { tag: 'en', name: 'English', dir: 'ltr', load: async () => en },
  de: { tag: 'de', name: 'Deutsch', dir: 'ltr', load: async () => (await import('./de.ts')).de },
  ar: { tag: 'ar', name: 'العربية', dir: 'rtl', load: async () => (await import('./ar.ts')).ar },
};
const pseudo: Locale = {
  tag: 'en',
  name: 'Pseudo',
  dir: 'ltr',
  load: async () => (await import('./pseudo.ts')).pseudo,
};

interface Language {
  key: string;
  locale: Locale;
  text: Text;
}

const english: Language = { key: 'en', locale: locales['en'] as Locale, text: en };
const Context = createContext<{ language: Language; choose(key: string): void }>({
  language: english,
  choose() {},
});

const find = (key: string): Locale | undefined => (key === 'pseudo' ? pseudo : locales[key]);

/** The chosen locale, otherwise the first one of the browser's that exists. */
function preferredKey(): string {
  const chosen = read('locale');
  if (chosen !== undefined && find(chosen)) return chosen;
  const own = navigator.languages.map((tag) => tag.split('-')[0] ?? '');
  return own.find((key) => locales[key]) ?? 'en';
}

/** The BCP 47 tag of the language of the app. */
export const preferredTag = (): string => (find(preferredKey()) ?? english.locale).tag;

async function load(key: string): Promise<Language> {
  const locale = find(key) ?? english.locale;
  return { key, locale, text: await locale.load() };
}

/** Loads the preferred locale; English if it cannot be loaded. */
export const loadLanguage = (): Promise<Language> => load(preferredKey()).catch(() => english);

/** Provides the texts, and sets the language and direction of the page. */
export function LanguageProvider({ initial, children }: { initial: Language; children: ReactNode }) {
  const [language, setLanguage] = useState(initial);
  const { locale, key } = language;
  useEffect(() => {
    document.documentElement.lang = locale.tag;
    document.documentElement.dir = locale.dir;
  }, [locale]);
  const choose = (next: string) => {
    write('locale', next);
    void load(next).then(setLanguage);
  };
  return (
    <Context.Provider key={key} value={{ language, choose }}>
      {children}
    </Context.Provider>
  );
}

/** The texts of the current locale. */
export const useText = (): Text => useContext(Context).language.text;

/** The current locale and a function that chooses another one. */
export function useLanguage() {
  const { language, choose } = useContext(Context);
  return { key: language.key, tag: language.locale.tag, choose };
}
