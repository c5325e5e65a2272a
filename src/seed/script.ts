import type { Language, Person } from './people.js';
import type { Random } from './random.js';

/**
 * The subject of a script, which determines the conversations that it fits: direct conversations at work or between
 * friends, or groups of a certain kind.
 */
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

/** A complete dialogue. */
export interface Script {
  about: Topic;
  /**
   * One turn per line: `A: …`. `A?: …` is omitted sometimes. `~ 3h` is a pause (m, h, d); `~ sat` is a pause until the
   * evening of the next Saturday (fri, sat, sun). `⏎` breaks a line.
   * Placeholders in braces are replaced, innermost first: `{A}` by the name of the person who plays A; `{A:one/other}`
   * by the first word if that person is male, and by the second if female; `{this|that}` by one of several
   * alternatives; `{slot}` by a value of the variant; `{day+2}` and `{date+2}` by the weekday and the date of the
   * second working day after the start of the script; `{sat}` by the date of the next Saturday.
   */
  lines: string;
  /** Values of the slots; each use of the script takes the next set. */
  variants?: readonly Readonly<Record<string, string>>[];
  /** The people who play A, B, C, …. A script with a cast is used only once. */
  cast?: readonly string[];
  /** How often the script can be used in the same conversation; by default once. */
  times?: number;
}

export interface Turn {
  role: string;
  /** Whether the turn is omitted sometimes. */
  optional: boolean;
  template: string;
  /** The pause before the turn in milliseconds, in addition to the time it takes to write. */
  pauseMs: number;
  /** The weekday (0 is Sunday) on whose next evening the turn is said. */
  weekday: number | undefined;
}

const units = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DAY = units.d;
const weekdays: Readonly<Record<string, number>> = { sun: 0, fri: 5, sat: 6 };

/**
 * Parses the lines of a script.
 * @throws {Error} if a line is neither a turn nor a pause.
 */
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

/** The roles of a script, in alphabetical order. */
export const rolesOf = (script: Script): string[] => [...new Set(turnsOf(script).map(({ role }) => role))].sort();

/** The context in which a template is rendered. */
export interface Scene {
  language: Language;
  /** The person who plays each role. */
  cast: ReadonlyMap<string, Person>;
  variant: Readonly<Record<string, string>>;
  /** The time at which the script begins. */
  begin: Date;
  /** The alternatives already used in this scene. They are repeated only if no other is left. */
  picked: Set<string>;
}

/**
 * Replaces the placeholders of a template.
 * @throws {Error} if a placeholder is unknown.
 */
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
