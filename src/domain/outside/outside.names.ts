import { createHash, randomBytes } from 'node:crypto';
import { nameOf } from '../../core/text/characters.js';
import { usernameFrom } from '../../core/usernames.js';
import type { OutsideClaims } from '../../infra/auth/outside-tokens.js';
import { displayName, email, webAddress } from '../user/user.input.js';

/** What a person's row is to say, of what a token says; null where it says nothing that can be used. */
export interface OutsideNames {
  username: string | null;
  displayName: string | null;
  avatarUrl: string | null;
}

const DISPLAY_NAME_MAX = 80;

/** How somebody is called here who is called so elsewhere. */
export function namesFrom(
  { username, name, picture }: Pick<OutsideClaims, 'username' | 'name' | 'picture'>,
  suffix: string,
): OutsideNames {
  const cut = name === null ? undefined : nameOf(name.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+/gu, ' '));
  // Not through the middle of a character that is two units.
  const shown = displayName.safeParse(cut?.slice(0, DISPLAY_NAME_MAX).replace(/\p{Cs}$/u, ''));
  return {
    username: (username !== null && usernameFrom(username, suffix)) || null,
    displayName: shown.data ?? null,
    avatarUrl: webAddress.safeParse(picture).data ?? null,
  };
}

/** The address if it is one; empty where none is known. */
export const emailFrom = (text: string | null): string => email.safeParse(text).data ?? '';

/**
 * What a username may end in so that it is nobody else's, one after another: nothing, then what is the same for this
 * person each time, then anything.
 */
export function suffixesFor({ issuer, subject }: Pick<OutsideClaims, 'issuer' | 'subject'>): string[] {
  const own = createHash('sha256')
    .update(JSON.stringify([issuer, subject]))
    .digest('hex');
  return ['', `-${own.slice(0, 4)}`, `-${own.slice(0, 8)}`, `-${randomBytes(5).toString('hex')}`];
}
