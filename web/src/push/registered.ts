/** The registration of this browser, for all of its tabs. Without it, the user has switched its pushes off. */
export interface Registered {
  userId: string;
  sessionId: string | undefined;
  endpoint: string;
}

export const REGISTERED_KEY = 'parley.push';

export function readRegistered(): Registered | undefined {
  try {
    return JSON.parse(localStorage.getItem(REGISTERED_KEY) ?? 'null') ?? undefined;
  } catch {
    return undefined;
  }
}

export function writeRegistered(registered: Registered): void {
  localStorage.setItem(REGISTERED_KEY, JSON.stringify(registered));
}

export function forgetRegistered(): void {
  localStorage.removeItem(REGISTERED_KEY);
}
