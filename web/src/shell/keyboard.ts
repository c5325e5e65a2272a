/** By how many pixels the visible part is smaller while a keyboard is shown; the bars of a browser are not as high. */
const KEYBOARD_MIN = 120;

/**
 * Keeps the app above the keyboard of touch screens. Most browsers make the page smaller, as `interactive-widget` in index.html
 * requests; Safari covers it, and scrolls the page so far that its header is no longer visible.
 */
export function fitAboveKeyboard(): void {
  const viewport = globalThis.visualViewport;
  if (!viewport) return;
  const { style } = document.documentElement;
  const fit = () => {
    // A page that the user has enlarged has a smaller visible part as well.
    const isCovered = viewport.scale === 1 && innerHeight - viewport.height > KEYBOARD_MIN;
    if (!isCovered) {
      style.removeProperty('--app-height');
      return;
    }
    style.setProperty('--app-height', `${viewport.height}px`);
    scrollTo(0, 0);
  };
  viewport.addEventListener('resize', fit);
  viewport.addEventListener('scroll', fit);
}
