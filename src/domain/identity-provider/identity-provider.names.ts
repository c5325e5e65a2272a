import { createHash, randomBytes } from 'node:crypto';
import { nameOf } from '../../core/text/characters.js';
import { usernameFrom } from '../../core/usernames.js';
import type { ProviderClaims } from '../../infra/auth/provider-tokens.js';
import { displayName, email, webAddress } from '../user/user.input.js';

/** The names to store for a user, from the claims of a token; null if the token contains no usable value. */
export interface ProviderNames {
  username: string | null;
  displayName: string | null;
  avatarUrl: string | null;
}

const DISPLAY_NAME_MAX = 80;

/** Derives names that are valid here from the claims. */
export function namesFrom(
  { username, name, picture }: Pick<ProviderClaims, 'username' | 'name' | 'picture'>,
  suffix: string,
): ProviderNames {
  const cut = name === null ? undefined : nameOf(name.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+/gu, ' '));
  // Truncation must not split a surrogate pair.
  const shown = displayName.safeParse(cut?.slice(0, DISPLAY_NAME_MAX).replace(/\p{Cs}$/u, ''));
  return {
    username: (username !== null && usernameFrom(username, suffix)) || null,
    displayName: shown.data ?? null,
    avatarUrl: webAddress.safeParse(picture).data ?? null,
  };
}

/** The email address if it is valid, otherwise an empty text. */
export const emailFrom = (text: string | null): string => email.safeParse(text).data ?? '';

/** Suffixes that make a username unique, in the order to try: none, one derived from the identity, and random ones. */
export function suffixesFor({ issuer, subject }: Pick<ProviderClaims, 'issuer' | 'subject'>): string[] {
  const own = createHash('sha256')
    .update(JSON.stringify([issuer, subject]))
    .digest('hex');
  return ['', `-${own.slice(0, 4)}`, `-${own.slice(0, 8)}`, `-${randomBytes(5).toString('hex')}`];
}
