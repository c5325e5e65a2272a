import type { Language } from './people.js';
import type { Topic } from './script.js';

/** A conversation of the demo without its messages. Its first member created it. */
export interface Place {
  language: Language;
  members: readonly string[];
  about: readonly Topic[];
  /** The number of scripts that are played in it. */
  scripts: number;
  /** Its age in days. */
  days: number;
  group?: { title: string; description: string | null; visibility: 'PRIVATE' | 'PUBLIC' };
}

const group = (
  title: string,
  description: string | null,
  visibility: 'PRIVATE' | 'PUBLIC',
  rest: Omit<Place, 'group'>,
): Place => ({ ...rest, group: { title, description, visibility } });

const teams = {
  de: ['anna', 'jonas', 'lena', 'felix'],
  en: ['james', 'sarah', 'emily', 'noah', 'grace'],
  es: ['mateo', 'lucia', 'camila', 'diego'],
  fr: ['chloe', 'hugo', 'amelie'],
  pt: ['beatriz', 'thiago', 'joana'],
  tr: ['elif', 'mert', 'zeynep'],
  ru: ['dmitri', 'olga', 'ivan'],
  ar: ['omar', 'layla', 'yusuf'],
  hi: ['priya', 'arjun', 'neha'],
  ja: ['yuki', 'haruto', 'sakura'],
  zh: ['wei', 'lina', 'jun'],
} as const satisfies Record<Language, readonly string[]>;

const everyone = ['james', ...Object.values(teams).flatMap((team) => team.filter((username) => username !== 'james'))];

/** Pairs of people with different languages who write to each other. */
const abroad: readonly (readonly [string, string])[] = [
  ['anna', 'james'],
  ['anna', 'priya'],
  ['anna', 'wei'],
  ['anna', 'mateo'],
  ['anna', 'yuki'],
  ['anna', 'omar'],
  ['anna', 'chloe'],
  ['anna', 'elif'],
  ['james', 'dmitri'],
  ['james', 'elif'],
  ['sarah', 'thiago'],
  ['sarah', 'neha'],
  ['emily', 'lina'],
  ['emily', 'amelie'],
  ['noah', 'arjun'],
  ['noah', 'layla'],
  ['grace', 'diego'],
  ['grace', 'haruto'],
  ['hugo', 'priya'],
  ['jonas', 'olga'],
  ['beatriz', 'camila'],
  ['zeynep', 'mateo'],
];

const direct = (language: Language, members: readonly [string, string], index: number): Place => ({
  language,
  members,
  about: ['work', 'friends'],
  scripts: language === 'en' ? 4 + (index % 3) : 5 + (index % 3),
  days: 21 + ((index * 11) % 38),
});

const pairsOf = (team: readonly string[]) =>
  team.flatMap((one, index) => team.slice(index + 1).map((other) => [one, other] as const));

const circle = (language: Exclude<Language, 'en'>, title: string, description: string | null, days: number): Place =>
  group(title, description, 'PRIVATE', { language, members: teams[language], about: ['circle'], scripts: 9, days });

/** All conversations of the demo. */
export const places: readonly Place[] = [
  ...(Object.keys(teams) as Language[]).flatMap((language) =>
    pairsOf(teams[language]).map((pair, index) => direct(language, pair, index)),
  ),
  ...abroad.map((pair, index) => direct('en', pair, index)),

  group('General', 'For everyone. Announcements, hellos, lost umbrellas.', 'PUBLIC', {
    language: 'en',
    members: everyone,
    about: ['company'],
    scripts: 12,
    days: 60,
  }),
  group('Lumen 2.0 launch', 'Decisions, dates and blockers of the launch. Debates please in Engineering.', 'PRIVATE', {
    language: 'en',
    members: ['anna', 'james', 'emily', 'noah', 'mateo', 'priya', 'wei', 'sarah', 'beatriz', 'zeynep', 'chloe', 'yuki'],
    about: ['launch'],
    scripts: 5,
    days: 42,
  }),
  group('Engineering', 'Standups, incidents, designs.', 'PRIVATE', {
    language: 'en',
    members: ['james', 'noah', 'jonas', 'hugo', 'thiago', 'elif', 'dmitri', 'omar', 'priya', 'arjun', 'wei', 'anna'],
    about: ['team'],
    scripts: 29,
    days: 56,
  }),
  group('Support', 'Tickets that need a second head.', 'PRIVATE', {
    language: 'en',
    members: ['sarah', 'grace', 'neha', 'layla', 'camila', 'felix', 'anna'],
    about: ['support'],
    scripts: 18,
    days: 56,
  }),
  group('Coffee & cake', null, 'PUBLIC', {
    language: 'en',
    members: ['grace', 'anna', 'hugo', 'elif', 'sarah', 'lina', 'yusuf', 'joana', 'olga'],
    about: ['circle'],
    scripts: 12,
    days: 49,
  }),
  group('Book club 📚', 'One book every six weeks. Reading it helps, but is not required.', 'PUBLIC', {
    language: 'en',
    members: ['sarah', 'lucia', 'olga', 'layla', 'zeynep', 'anna', 'jun'],
    about: ['books'],
    scripts: 5,
    days: 45,
  }),
  group('Runners 🏃', 'Slow is also running.', 'PUBLIC', {
    language: 'en',
    members: ['noah', 'anna', 'beatriz', 'ivan', 'sakura', 'arjun', 'emily'],
    about: ['running'],
    scripts: 8,
    days: 50,
  }),
  group('Photography 📷', null, 'PUBLIC', {
    language: 'en',
    members: ['emily', 'lena', 'hugo', 'yuki', 'diego', 'omar', 'lina'],
    about: ['photos'],
    scripts: 5,
    days: 38,
  }),

  circle('de', 'Berliner Runde', 'Stammtisch, Küche, Hütte.', 55),
  circle('es', 'La familia del café ☕', null, 52),
  circle('fr', "L'équipe de Lyon (et Montréal)", 'Pain au chocolat, point final.', 40),
  circle('pt', 'Domingo é dia de churrasco 🔥', null, 47),
  circle('tr', 'Kadıköy ekibi', 'Çay, vapur, kedi.', 44),
  circle('ru', 'Дача и прочее', 'Выходные, настолки, полезные адреса', 50),
  circle('ar', 'شلّة القهوة', 'سفرات ونصائح وقهوة', 43),
  circle('hi', 'चाय पे चर्चा', 'सब कुछ, बस काम नहीं।', 46),
  circle('ja', '週末ハイキング部', '山と温泉とお昼ごはん', 48),
  circle('zh', '周末吃什么', '吃喝玩乐，不谈工作', 41),
];
