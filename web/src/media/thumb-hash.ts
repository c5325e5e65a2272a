import { thumbHashToDataURL } from 'thumbhash';

const known = new Map<string, string>();
/** How many pictures are kept. */
const KNOWN_MAX = 500;

/** A blurred picture to show until the image is loaded, as a URL. */
export function blurred(thumbHash: string | null | undefined): string | undefined {
  if (!thumbHash) return undefined;
  let found = known.get(thumbHash);
  if (found === undefined) {
    try {
      found = thumbHashToDataURL(Uint8Array.from(atob(thumbHash), (character) => character.charCodeAt(0)));
    } catch {
      found = '';
    }
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(thumbHash, found);
  }
  return found || undefined;
}
