import { useLanguage, useText } from '../locales/locale.tsx';

const DAY_MS = 86_400_000;

/** The start of a day in the time zone of this device. */
const dayOf = (date: Date): number => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();

/** The day of the last comparison, because neighboring messages are usually of the same one. */
let day = { from: 0, to: 0 };

export function isSameDay(one: string, other: string): boolean {
  const [time, otherTime] = [Date.parse(one), Date.parse(other)];
  if (time < day.from || time >= day.to) {
    const date = new Date(time);
    day = { from: dayOf(date), to: new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1).getTime() };
  }
  return day.from <= otherTime && otherTime < day.to;
}

type Pane = ReturnType<typeof useText>['pane'];

/**
 * Those of the current language, for all components: making a format and using it for the first time takes about a
 * millisecond, and each message has times.
 */
let current: { tag: string; pane: Pane; times: ReturnType<typeof createTimes> } | undefined;

/** Functions that write times as the language does. */
export function useTimes() {
  const { tag } = useLanguage();
  const { pane } = useText();
  if (current?.tag !== tag || current.pane !== pane) current = { tag, pane, times: createTimes(tag, pane) };
  return current.times;
}

function createTimes(tag: string, pane: Pane) {
  const formats = {
    time: new Intl.DateTimeFormat(tag, { hour: 'numeric', minute: '2-digit' }),
    precise: new Intl.DateTimeFormat(tag, { timeStyle: 'medium' }),
    weekday: new Intl.DateTimeFormat(tag, { weekday: 'short' }),
    short: new Intl.DateTimeFormat(tag, { day: 'numeric', month: 'short' }),
    day: new Intl.DateTimeFormat(tag, { weekday: 'long', day: 'numeric', month: 'long' }),
    year: new Intl.DateTimeFormat(tag, { day: 'numeric', month: 'short', year: 'numeric' }),
    weekdayTime: new Intl.DateTimeFormat(tag, { weekday: 'short', hour: 'numeric', minute: '2-digit' }),
    dateTime: new Intl.DateTimeFormat(tag, { dateStyle: 'medium', timeStyle: 'short' }),
    full: new Intl.DateTimeFormat(tag, { dateStyle: 'full', timeStyle: 'short' }),
  };
  const ageInDays = (date: Date) => Math.round((dayOf(new Date()) - dayOf(date)) / DAY_MS);
  return {
    time: (at: string) => formats.time.format(new Date(at)),
    /** With seconds. */
    precise: (at: number) => formats.precise.format(at),
    full: (at: string) => formats.full.format(new Date(at)),
    /** The shortest useful form, for lists. */
    brief(at: string) {
      const date = new Date(at);
      const days = ageInDays(date);
      if (days <= 0) return formats.time.format(date);
      if (days === 1) return pane.yesterday;
      if (days < 7) return formats.weekday.format(date);
      return date.getFullYear() === new Date().getFullYear() ? formats.short.format(date) : formats.year.format(date);
    },
    /** A time in the future, as short as it is unambiguous. */
    until(at: string) {
      const date = new Date(at);
      const days = -ageInDays(date);
      return (days <= 0 ? formats.time : days < 7 ? formats.weekdayTime : formats.dateTime).format(date);
    },
    /** The name of a day, for the line above its messages. */
    day(at: string) {
      const date = new Date(at);
      const days = ageInDays(date);
      if (days === 0) return pane.today;
      if (days === 1) return pane.yesterday;
      return date.getFullYear() === new Date().getFullYear() ? formats.day.format(date) : formats.year.format(date);
    },
  };
}
