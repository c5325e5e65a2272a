// Preferences of this browser. Reading them must work before the app starts, so they are in localStorage, which can be
// absent or blocked.

type Name = 'theme' | 'hue' | 'locale' | 'emoji' | 'keys' | 'push-offer' | 'sounds';

export function read(name: Name): string | undefined {
  try {
    return localStorage.getItem(`parley.${name}`) ?? undefined;
  } catch {
    return undefined;
  }
}

export function write(name: Name, value: string): void {
  try {
    localStorage.setItem(`parley.${name}`, value);
  } catch {
    // The preference then lasts until the page is closed.
  }
}

const INVITATION = 'parley.invitation';

/** The user whose invitation was opened in this tab before anybody was signed in. */
export function readInvitation(): string | undefined {
  try {
    return sessionStorage.getItem(INVITATION) ?? undefined;
  } catch {
    return undefined;
  }
}

export function writeInvitation(userId: string): void {
  try {
    sessionStorage.setItem(INVITATION, userId);
  } catch {
    // The link has to be opened again after signing in.
  }
}

/** Reads and removes the invitation. */
export function takeInvitation(): string | undefined {
  const userId = readInvitation();
  if (userId !== undefined) sessionStorage.removeItem(INVITATION);
  return userId;
}

/** Whether a sound announces messages while the app is open. */
export const areSoundsOn = (): boolean => read('sounds') !== 'off';

/** Whether single letters are shortcuts while no field has the focus. */
export const areKeysOn = (): boolean => read('keys') !== 'off';
