/**
 * Parses a URL. Returns undefined if the text is not a URL. `URL.canParse` must not be used: in Node 20 it rejects
 * non-ASCII letters such as ü once its caller has been optimized, because it reads Latin-1 strings as UTF-8.
 */
export function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
