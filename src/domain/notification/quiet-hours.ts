/** A part of each day, in the local time of a time zone. If `from` is later than `to`, it spans midnight. */
export interface QuietHours {
  /** HH:MM; the minute is included. */
  from: string;
  /** HH:MM; the minute is not included. */
  to: string;
  /** The name of an IANA time zone. */
  timeZone: string;
}

/**
 * Whether these quiet hours include a moment. The local time of that moment decides: hours that begin in the gap of a
 * change to summer time begin after the gap, and hours in a repeated hour include it twice.
 */
export function includes({ from, to, timeZone }: QuietHours, moment: Date): boolean {
  const time = localTime(timeZone, moment);
  return from < to ? from <= time && time < to : from <= time || time < to;
}

function localTime(timeZone: string, moment: Date): string {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  return format.format(moment);
}

/** The areas of IANA time zones. Zones outside of them, such as EST5EDT, are kept for old software only. */
const AREAS = /^(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc)\/[A-Z]/;

/**
 * Whether a text is the name of an IANA time zone: `UTC`, or an area and a location such as `Europe/Berlin`, in the
 * spelling of the time zone database. Offsets such as `+02:00` are not accepted, because they ignore summer time.
 */
export function isTimeZone(name: string): boolean {
  if (name !== 'UTC' && !AREAS.test(name)) return false;
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions();
    // The runtime ignores case. An older name of a zone is resolved to its present one, which has another spelling.
    return timeZone === name || timeZone.toLowerCase() !== name.toLowerCase();
  } catch {
    return false;
  }
}
