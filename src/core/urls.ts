/**
 * The URL that a text is; undefined when it is none. `URL.canParse` must not be used: in Node 20, once its caller has
 * been optimized, it refuses letters such as ü (it reads Latin-1 strings as UTF-8).
 */
export function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
