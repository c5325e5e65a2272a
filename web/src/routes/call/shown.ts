/** Shows the call of this tab in full, after it was minimized. */
const shown = new EventTarget();

export const showCall = (): void => void shown.dispatchEvent(new Event('show'));

/** Calls the listener when the call is to be shown. Returns a function that ends it. */
export function onShowCall(listener: () => void): () => void {
  shown.addEventListener('show', listener);
  return () => shown.removeEventListener('show', listener);
}
