import { read, write } from '../preferences.ts';

const RECENT_MAX = 16;
/** Offered until the user has chosen others. */
const usual = ['👍', '❤️', '😂', '🎉', '😮', '🙏'];

/** The emojis that the user has chosen last, latest first. */
export const recentEmojis = (): string[] => read('emoji')?.split(' ').filter(Boolean) ?? [];

export function rememberEmoji(emoji: string): void {
  const others = recentEmojis().filter((each) => each !== emoji);
  write('emoji', [emoji, ...others].slice(0, RECENT_MAX).join(' '));
}

/** Some emojis to react with by one press. */
export const quickEmojis = (): string[] => [...new Set([...recentEmojis().slice(0, 3), ...usual])].slice(0, 6);
