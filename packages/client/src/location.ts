/** The result of removing the coordinates of a photo. */
export interface LocationRemoval {
  /** The file to upload: the same object if nothing was changed. */
  file: Blob;
  /**
   * - `none`: no coordinates were found.
   * - `removed`: `file` is a copy without them. Everything else is the same, byte for byte.
   * - `kept`: there are coordinates that cannot be removed from this format, or the file cannot be searched for them,
   *   because it is too large or a BigTIFF.
   */
  location: 'none' | 'removed' | 'kept';
}

/** Larger files are not read into memory, in bytes. */
const READ_MAX = 128 * 1_024 * 1_024;
/** Files that can be photos with coordinates. Browsers do not know the types of many of them. */
const PHOTO_TYPE = /^image\/(?!svg)/;
const PHOTO_NAME = /\.(avif|hei[cf]|hif|jpe?g|png|tiff?|webp|dng|arw|cr[23]|nef|nrw|orf|pef|raf|rw2|srw)$/i;
/** The entry of an image's directory that refers to the coordinates (EXIF 2.3, 4.6.3). */
const GPS_POINTER = 0x8825;
/** The highest tag of coordinates, and the most entries that a directory of a photo has. */
const GPS_TAG_MAX = 0x1f;
const ENTRIES_MAX = 512;
/** The sizes of the types of TIFF, in bytes, from type 1. */
const TYPE_SIZES = [1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4];
/** Coordinates as XMP contains them: attributes or elements. */
const XMP_GPS = /\bexif:GPS\w+\s*=\s*(?:"[^"]*"|'[^']*')|<exif:GPS(\w+)\b[^>]*>[^<]*<\/exif:GPS\1>/g;
const PNG = [0x89, 0x50, 0x4e, 0x47];

/**
 * Removes the coordinates from a photo that is to be sent as a `FILE`, which the server does not change: JPEG, WebP, HEIC,
 * AVIF, TIFF and the raw formats that are based on them. It overwrites them in place, so that pixels and everything else
 * stay as they are. Other files are returned unchanged.
 */
export async function withoutLocation(file: Blob): Promise<LocationRemoval> {
  const { name = '' } = file as Partial<File>;
  if (!PHOTO_TYPE.test(file.type) && !PHOTO_NAME.test(name)) return { file, location: 'none' };
  if (file.size > READ_MAX) return { file, location: 'kept' };
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (isBigTiff(bytes)) return { file, location: 'kept' };
  const isErased = eraseCoordinates(bytes);
  const isErasedInXmp = eraseXmp(bytes);
  if (!isErased && !isErasedInXmp) return { file, location: 'none' };
  // The chunks of a PNG have checksums.
  if (PNG.every((byte, index) => bytes[index] === byte)) return { file, location: 'kept' };
  const { type } = file;
  return { file: name ? new File([bytes], name, { type }) : new Blob([bytes], { type }), location: 'removed' };
}

/** Whether this is a TIFF image with numbers of 64 bits, which is not searched for coordinates. */
const isBigTiff = (bytes: Uint8Array) =>
  bytes[0] === bytes[1] && (bytes[0] === 0x49 ? bytes[2] : bytes[0] === 0x4d ? bytes[3] : 0) === 0x2b;

/**
 * Erases the coordinates of each EXIF block. All of these formats contain it as a TIFF structure, at different places
 * and some of them several times, so every place that begins like one is examined.
 */
function eraseCoordinates(bytes: Uint8Array): boolean {
  let isErased = false;
  for (let at = 0; at + 8 <= bytes.length; at += 1) {
    // "II*\0" or "MM\0*". Some cameras write something else than 42 at the beginning of a raw file.
    const isLittle = bytes[at] === 0x49 && bytes[at + 1] === 0x49;
    const isBig = bytes[at] === 0x4d && bytes[at + 1] === 0x4d;
    if (!isLittle && !isBig) continue;
    const [first, second] = isLittle ? [0x2a, 0] : [0, 0x2a];
    if (at === 0 || (bytes[at + 2] === first && bytes[at + 3] === second))
      isErased = eraseIn(bytes.subarray(at), isLittle) || isErased;
  }
  return isErased;
}

interface Entry {
  at: number;
  tag: number;
  /** The size of the value in bytes. Up to 4, it is in the entry itself. */
  size: number;
  /** The value of a number, or the place of a value that is larger. */
  value: number;
}

/** Erases the coordinates in one TIFF structure, if it is one. */
function eraseIn(tiff: Uint8Array, isLittle: boolean): boolean {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);

  /** The entries of the directory at this place; undefined if there is none. */
  function entriesOf(at: number): Entry[] | undefined {
    if (at < 8 || at + 2 > tiff.length) return undefined;
    const count = view.getUint16(at, isLittle);
    if (count === 0 || count > ENTRIES_MAX || at + 6 + 12 * count > tiff.length) return undefined;
    const entries: Entry[] = [];
    for (let index = 0; index < count; index += 1) {
      const entry = at + 2 + 12 * index;
      const typeSize = TYPE_SIZES[view.getUint16(entry + 2, isLittle) - 1];
      if (typeSize === undefined) return undefined;
      const size = typeSize * view.getUint32(entry + 4, isLittle);
      entries.push({
        at: entry,
        tag: view.getUint16(entry, isLittle),
        size,
        value: view.getUint32(entry + 8, isLittle),
      });
    }
    return entries;
  }

  function eraseDirectory(at: number, entries: readonly Entry[]): void {
    for (const { size, value } of entries) {
      if (size > 4 && value + size <= tiff.length) tiff.fill(0, value, value + size);
    }
    tiff.fill(0, at, at + 6 + 12 * entries.length);
  }

  const isGps = (entries: readonly Entry[]) => entries.every(({ tag }) => tag <= GPS_TAG_MAX);
  let isErased = false;
  const first = view.getUint32(4, isLittle);
  const seen = new Set<number>();
  for (let at = first; !seen.has(at); ) {
    seen.add(at);
    const entries = entriesOf(at);
    if (!entries) break;
    // Some raw formats keep the coordinates in a structure of their own.
    if (at === first && isGps(entries)) {
      eraseDirectory(at, entries);
      return true;
    }
    const end = at + 2 + 12 * entries.length;
    const next = view.getUint32(end, isLittle);
    const pointer = entries.find(({ tag }) => tag === GPS_POINTER);
    const coordinates = pointer && entriesOf(pointer.value);
    if (pointer && coordinates && isGps(coordinates)) {
      eraseDirectory(pointer.value, coordinates);
      // The entries that follow, and the place of the next directory, move up.
      tiff.copyWithin(pointer.at, pointer.at + 12, end + 4);
      tiff.fill(0, end - 8, end + 4);
      view.setUint16(at, entries.length - 1, isLittle);
      isErased = true;
    }
    at = next;
  }
  return isErased;
}

/** Overwrites coordinates in XMP with spaces. */
function eraseXmp(bytes: Uint8Array): boolean {
  // One character for each byte.
  const text = new TextDecoder('latin1').decode(bytes);
  let isErased = false;
  for (const { 0: found, index } of text.matchAll(XMP_GPS)) {
    bytes.fill(0x20, index, index + found.length);
    isErased = true;
  }
  return isErased;
}
