import type { Language, Person } from './people.js';
import type { Random } from './random.js';

/** What is talked about somewhere: in direct conversations of work or of friends, or in a group of a certain sort. */
export type Topic =
  | 'work'
  | 'friends'
  | 'team'
  | 'circle'
  | 'launch'
  | 'company'
  | 'support'
  | 'books'
  | 'running'
  | 'photos';

/** A piece of conversation from its first word to its last. */
export interface Script {
  about: Topic;
  /**
   * One turn a line: `A: …`; `A?: …` is left out now and then; `~ 3h` lets time pass (m, h, d), `~ sat` all until
   * the evening of the next Saturday (fri, sat, sun); `⏎` breaks a line.
   * In braces, innermost first: `{A}` the name of who plays A; `{A:one/other}` the first for a man, the second for a
   * woman; `{this|that}` one of several; `{slot}` from the variant; `{day+2}` and `{date+2}` the second working day
   * after the script's beginning as a weekday and as a date; `{sat}` the date of the Saturday after it.
   */
  lines: string;
  /** Values for slots; every use takes the next set. */
  variants?: readonly Readonly<Record<string, string>>[];
  /** Who plays A, B, C, …: then it is said once and by nobody else. */
  cast?: readonly string[];
  /** How often it may come in the same conversation; by default once. */
  times?: number;
}

export interface Turn {
  role: string;
  /** Left out now and then. */
  optional: boolean;
  template: string;
  /** How long nothing is said before it, in milliseconds, apart from the time that it takes to write. */
  pauseMs: number;
  /** The weekday (0 is Sunday) on whose evening it is said: the next one of its kind. */
  weekday: number | undefined;
}

const units = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DAY = units.d;
const weekdays: Readonly<Record<string, number>> = { sun: 0, fri: 5, sat: 6 };

/** @throws {Error} when a line is neither a turn nor a pause. */
export function turnsOf({ lines }: Script): Turn[] {
  const turns: Turn[] = [];
  let pauseMs = 0;
  let weekday: number | undefined;
  for (const line of lines.trim().split('\n')) {
    const pause = /^~ (\d+)([mhd])$/.exec(line.trim());
    if (pause) {
      pauseMs += Number(pause[1]) * units[pause[2] as keyof typeof units];
      continue;
    }
    const evening = /^~ (fri|sat|sun)$/.exec(line.trim());
    if (evening) {
      weekday = weekdays[evening[1] as string];
      continue;
    }
    const turn = /^([A-Z])(\??): (.+)$/.exec(line.trim());
    if (!turn) throw new Error(`Not a line of a script: ${line}`);
    const [, role = '', mark, template = ''] = turn;
    turns.push({ role, optional: mark === '?', template, pauseMs, weekday });
    pauseMs = 0;
    weekday = undefined;
  }
  return turns;
}

/** The roles of a script, in the order of the alphabet. */
export const rolesOf = (script: Script): string[] => [...new Set(turnsOf(script).map(({ role }) => role))].sort();

/** What a template needs to become what is said. */
export interface Scene {
  language: Language;
  /** Who plays which role. */
  cast: ReadonlyMap<string, Person>;
  variant: Readonly<Record<string, string>>;
  /** When the script begins. */
  begin: Date;
  /** What was picked of several in this scene: picked again only when nothing else is left. */
  picked: Set<string>;
}

/** @throws {Error} when a brace holds what nobody knows. */
export function render(template: string, scene: Scene, random: Random): string {
  let text = template;
  while (text.includes('{')) {
    const before = text;
    text = text.replace(/\{([^{}]*)\}/g, (_braces, inner: string) => resolve(inner, scene, random));
    if (text === before) throw new Error(`A brace is not closed: ${template}`);
  }
  return text.replaceAll('⏎', '\n');
}

function resolve(inner: string, { language, cast, variant, begin, picked }: Scene, random: Random): string {
  const gendered = /^([A-Z]):([^/]*)\/([^/]*)$/.exec(inner);
  if (gendered) {
    const [, role = '', masculine = '', feminine = ''] = gendered;
    return cast.get(role)?.gender === 'f' ? feminine : masculine;
  }
  if (inner.includes('|')) {
    const all = inner.split('|');
    const fresh = all.filter((one) => !picked.has(one));
    const one = random.pick(fresh.length > 0 ? fresh : all);
    picked.add(one);
    return one;
  }
  const person = cast.get(inner);
  if (person) return language === 'en' ? person.latinName : person.givenName;
  const later = /^(day|date)\+(\d)$/.exec(inner);
  if (later) {
    const at = workingDayAfter(begin, Number(later[2]));
    return inDays(language, at, later[1] === 'day' ? { weekday: 'long' } : { day: 'numeric', month: 'long' });
  }
  if (inner === 'sat') {
    const at = new Date(begin.getTime() + (6 - begin.getUTCDay() || 7) * DAY);
    return inDays(language, at, { day: 'numeric', month: 'long' });
  }
  const value = variant[inner];
  if (value === undefined) throw new Error(`No value for {${inner}}.`);
  return value;
}

function workingDayAfter(begin: Date, days: number): Date {
  const at = new Date(begin);
  for (let left = days; left > 0; ) {
    at.setUTCDate(at.getUTCDate() + 1);
    if (at.getUTCDay() !== 0 && at.getUTCDay() !== 6) left -= 1;
  }
  return at;
}

const locales: Partial<Record<Language, string>> = { en: 'en-GB', ar: 'ar-EG-u-nu-latn', hi: 'hi-IN' };

const inDays = (language: Language, at: Date, format: Intl.DateTimeFormatOptions) =>
  new Intl.DateTimeFormat(locales[language] ?? language, { ...format, timeZone: 'UTC' }).format(at);
