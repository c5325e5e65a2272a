/** How often the number on the icon is set at most, in milliseconds: setting it takes browsers several milliseconds. */
const BADGE_MS = 1_000;

let next: number | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Shows a number on the icon of the app, where it is installed; 0 removes it. Of several numbers in a second, the last one is shown. */
export function showBadge(count: number): void {
  next = count;
  timer ??= setTimeout(setNext, 0);
}

function setNext(): void {
  clearTimeout(timer);
  timer = undefined;
  if (next === undefined) return;
  void navigator.setAppBadge?.(next).catch(() => {});
  next = undefined;
  timer = setTimeout(setNext, BADGE_MS);
}

// The page may not exist any more when the time has passed.
addEventListener('pagehide', setNext);
