// @ts-check
// Removes metadata from images without decoding them: places, times, cameras, comments, thumbnails, and whatever follows
// the image. What is needed to show it correctly stays: the color profile and the orientation.
// The formats are those of ITU T.81 and JFIF, of the PNG specification, of the WebP container and of GIF89a.

/** The image does not have the format that its first bytes indicate. */
export class BrokenImage extends Error {}

/**
 * @param {Buffer} bytes the image.
 * @param {string} type its media type, according to its first bytes.
 * @param {number} orientation how it is to be shown: 1 to 8, as in EXIF.
 * @returns {Buffer | undefined} the image without metadata; undefined if that is not possible for this type.
 * @throws {BrokenImage}
 */
export function withoutMetadata(bytes, type, orientation) {
  const strip = { 'image/jpeg': ofJpeg, 'image/png': ofPng, 'image/webp': ofWebp, 'image/gif': ofGif }[type];
  return strip?.(new Reader(bytes), orientation);
}

/** Reads numbers and ranges, and throws BrokenImage at the end of the image. */
class Reader {
  at = 0;
  /** @param {Buffer} bytes */
  constructor(bytes) {
    this.bytes = bytes;
  }
  get atEnd() {
    return this.at >= this.bytes.length;
  }
  /** @param {number} length */
  take(length) {
    if (length < 0 || this.at + length > this.bytes.length) throw new BrokenImage('The image ends too early.');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  byte() {
    return this.take(1).readUInt8();
  }
}

/** The smallest EXIF block: a TIFF header, and one directory with the orientation. @param {number} orientation */
function tiffWith(orientation) {
  const tiff = Buffer.alloc(26);
  tiff.write('MM\0*', 0, 'latin1');
  tiff.writeUInt32BE(8, 4);
  tiff.writeUInt16BE(1, 8);
  // Tag, type SHORT, one value.
  tiff.writeUInt16BE(0x0112, 10);
  tiff.writeUInt16BE(3, 12);
  tiff.writeUInt32BE(1, 14);
  tiff.writeUInt16BE(orientation, 18);
  return tiff;
}

const isTurned = (/** @type {number} */ orientation) => orientation > 1 && orientation <= 8;

/** @param {Reader} reader @param {number} orientation */
function ofJpeg(reader, orientation) {
  const parts = [reader.take(2)];
  if (isTurned(orientation)) {
    const exif = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), tiffWith(orientation)]);
    const header = Buffer.from([0xff, 0xe1, 0, 0]);
    header.writeUInt16BE(exif.length + 2, 2);
    parts.push(header, exif);
  }
  for (;;) {
    if (reader.byte() !== 0xff) throw new BrokenImage('A JPEG marker is missing.');
    let marker = reader.byte();
    // Markers can be preceded by any number of fill bytes.
    while (marker === 0xff) marker = reader.byte();
    if (marker === 0xd9) {
      parts.push(Buffer.from([0xff, marker]));
      return Buffer.concat(parts);
    }
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) continue;
    const length = reader.take(2);
    const content = reader.take(length.readUInt16BE() - 2);
    if (isKeptInJpeg(marker, content)) parts.push(Buffer.from([0xff, marker]), length, content);
    if (marker === 0xda) parts.push(scanOf(reader));
  }
}

/** @param {number} marker @param {Buffer} content */
function isKeptInJpeg(marker, content) {
  const begins = (/** @type {string} */ name) => content.toString('latin1', 0, name.length) === name;
  if (marker === 0xe0) return begins('JFIF\0');
  if (marker === 0xe2) return begins('ICC_PROFILE\0');
  if (marker === 0xee) return begins('Adobe');
  // All other application segments, and comments.
  return !(marker >= 0xe0 && marker <= 0xef) && marker !== 0xfe;
}

/** The coded data after the header of a scan, up to the next marker. @param {Reader} reader */
function scanOf(reader) {
  const { bytes, at: start } = reader;
  for (let at = start; ; ) {
    at = bytes.indexOf(0xff, at);
    const next = at < 0 ? undefined : bytes[at + 1];
    if (next === undefined) throw new BrokenImage('A JPEG scan does not end.');
    if (next !== 0 && !(next >= 0xd0 && next <= 0xd7) && next !== 0xff) {
      reader.at = at;
      return bytes.subarray(start, at);
    }
    at += next === 0xff ? 1 : 2;
  }
}

const PNG_KEPT = new Set(
  'IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs sPLT acTL fcTL fdAT'.split(' '),
);

/** @param {Reader} reader @param {number} orientation */
function ofPng(reader, orientation) {
  const parts = [reader.take(8)];
  for (;;) {
    const length = reader.take(4);
    const name = reader.take(4);
    const rest = reader.take(length.readUInt32BE() + 4);
    const type = name.toString('latin1');
    if (PNG_KEPT.has(type)) parts.push(length, name, rest);
    if (type === 'IHDR' && isTurned(orientation)) parts.push(pngChunk('eXIf', tiffWith(orientation)));
    if (type === 'IEND') return Buffer.concat(parts);
  }
}

/** @param {string} name @param {Buffer} content */
function pngChunk(name, content) {
  const named = Buffer.concat([Buffer.from(name, 'latin1'), content]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(content.length, 0);
  ends.writeUInt32BE(crc32(named), 4);
  return Buffer.concat([ends.subarray(0, 4), named, ends.subarray(4)]);
}

/** @param {Buffer} bytes */
function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const WEBP_KEPT = new Set(['VP8 ', 'VP8L', 'VP8X', 'ALPH', 'ANIM', 'ANMF', 'ICCP']);
const WEBP_EXIF = 0x08;
const WEBP_XMP = 0x04;

/** @param {Reader} reader @param {number} orientation */
function ofWebp(reader, orientation) {
  const header = Buffer.from(reader.take(12));
  const end = Math.min(reader.bytes.length, header.readUInt32LE(4) + 8);
  /** @type {Buffer[]} */
  const parts = [];
  let isExtended = false;
  while (reader.at < end) {
    const name = reader.take(4);
    const size = reader.take(4);
    const content = reader.take(size.readUInt32LE());
    const padding = size.readUInt32LE() % 2 === 1 ? reader.take(1) : Buffer.alloc(0);
    const type = name.toString('latin1');
    if (!WEBP_KEPT.has(type)) continue;
    let kept = content;
    if (type === 'VP8X') {
      isExtended = true;
      kept = Buffer.from(content);
      const flags = kept.readUInt8() & ~(WEBP_EXIF | WEBP_XMP);
      kept.writeUInt8(isTurned(orientation) ? flags | WEBP_EXIF : flags);
    }
    parts.push(name, size, kept, padding);
  }
  // Only an image with the extended format can contain an orientation.
  if (isExtended && isTurned(orientation)) {
    const exif = tiffWith(orientation);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(exif.length);
    parts.push(Buffer.from('EXIF', 'latin1'), size, exif);
  }
  const body = Buffer.concat(parts);
  header.writeUInt32LE(body.length + 4, 4);
  return Buffer.concat([header, body]);
}

/** The extension that contains how often a GIF is repeated. */
const GIF_LOOPS = ['NETSCAPE2.0', 'ANIMEXTS1.0'];

/** @param {Reader} reader */
function ofGif(reader) {
  const head = reader.take(13);
  const parts = [head, colorsOf(reader, head.readUInt8(10))];
  for (;;) {
    const kind = reader.byte();
    if (kind === 0x3b) {
      parts.push(Buffer.from([kind]));
      return Buffer.concat(parts);
    }
    const start = reader.at - 1;
    if (kind === 0x2c) {
      const image = reader.take(9);
      colorsOf(reader, image.readUInt8(8));
      reader.byte();
      skipBlocks(reader);
      parts.push(reader.bytes.subarray(start, reader.at));
    } else if (kind === 0x21) {
      const label = reader.byte();
      const name = reader.bytes.toString('latin1', reader.at + 1, reader.at + 12);
      skipBlocks(reader);
      const isKept = label === 0xf9 || (label === 0xff && GIF_LOOPS.includes(name));
      if (isKept) parts.push(reader.bytes.subarray(start, reader.at));
    } else throw new BrokenImage('A GIF block is unknown.');
  }
}

/** Reads a table of colors, if the flags indicate one. @param {Reader} reader @param {number} flags */
const colorsOf = (reader, flags) => reader.take(flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0);

/** @param {Reader} reader */
function skipBlocks(reader) {
  for (let length = reader.byte(); length > 0; length = reader.byte()) reader.take(length);
}
