import { FOREVER } from '@parley/client/notifications';

/** For how long a conversation can be muted, or the user not be disturbed. */
export const durations = ['hour', 'hours', 'morning', 'week'] as const;
export type Duration = (typeof durations)[number];

const HOUR_MS = 3_600_000;
/** When the morning begins, in hours. */
const MORNING = 8;

/** When such a duration ends that begins now. */
export function endOf(duration: Duration, now = new Date()): Date {
  switch (duration) {
    case 'hour':
      return new Date(now.getTime() + HOUR_MS);
    case 'hours':
      return new Date(now.getTime() + 8 * HOUR_MS);
    case 'week':
      return new Date(now.getTime() + 7 * 24 * HOUR_MS);
    case 'morning':
      return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1, MORNING);
  }
}

/** Whether a mute has no end. */
export const isForever = (until: string): boolean => Date.parse(until) >= FOREVER.getTime();
