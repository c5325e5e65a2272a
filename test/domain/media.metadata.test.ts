import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import exifr from 'exifr';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createMediaProcess } from '../../src/domain/media/media.processes.js';
import type { AttachmentKind } from '../../src/domain/media/media.store.js';
import { makeVideo, pngChunk } from '../support/media.js';

// The remaining metadata of a file is read by another library than the one that removes it; for formats that this
// library does not support, the structure of the file is examined.

let made: ReturnType<typeof createMediaProcess>;
beforeAll(() => {
  made = createMediaProcess(60_000);
});
afterAll(() => made.close());

/** The file that others receive. */
async function processed(bytes: Buffer, kind: AttachmentKind): Promise<Buffer> {
  const folder = await mkdtemp(join(inject('scratch'), 'media-'));
  const path = join(folder, 'upload');
  await writeFile(path, bytes);
  const limits = { sha256: null, pixelsMax: 1_000_000, ffmpeg: null };
  const output = join(folder, 'new-');
  expect(await made.run({ path, kind, byteSize: bytes.length, ...limits, output })).toMatchObject({ state: 'READY' });
  return readFile(`${output}original`);
}

const XMP = `<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
  <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
    photoshop:City="Secret Place" exif:GPSLatitude="52,31.2N" exif:GPSLongitude="13,24.3E"/></rdf:RDF>
  </x:xmpmeta><?xpacket end="w"?>`;

/** The city and a caption, as IPTC and Photoshop write them. */
function iptc(): Buffer {
  const entry = (number: number, text: string) => {
    const head = Buffer.from([0x1c, 2, number, 0, text.length]);
    return Buffer.concat([head, Buffer.from(text)]);
  };
  const content = Buffer.concat([entry(90, 'Secret Place'), entry(120, 'Secret Place at home')]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(content.length);
  const padding = Buffer.alloc(content.length % 2);
  return Buffer.concat([Buffer.from('8BIM\x04\x04\0\0', 'latin1'), size, content, padding]);
}

/** A picture with a place in EXIF and in XMP, which is shown turned. */
const tagged = (format: 'jpeg' | 'png' | 'webp') =>
  sharp({ create: { width: 60, height: 40, channels: 3, background: 'red' } })
    .withExif({
      IFD0: { Make: 'Secret Place' },
      IFD3: { GPSLatitude: '52/1 31/1 0/1', GPSLatitudeRef: 'N', GPSLongitude: '13/1 24/1 0/1', GPSLongitudeRef: 'E' },
    })
    .withXmp(XMP)
    .withMetadata({ orientation: 6 })
    [format]()
    .toBuffer();

/** A segment of a JPEG image. */
function segment(marker: number, content: Buffer): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(content.length + 2, 2);
  return Buffer.concat([head, content]);
}

const pixels = (bytes: Buffer) => sharp(bytes).autoOrient().raw().toBuffer();

async function expectClean(before: Buffer, after: Buffer): Promise<void> {
  expect(after.includes('Secret')).toBe(false);
  expect((await sharp(after).metadata()).orientation).toBe(6);
  expect(Buffer.compare(await pixels(after), await pixels(before))).toBe(0);
}

/** Everything that the library finds, apart from the size of the picture and how it is encoded. */
async function found(bytes: Buffer): Promise<Record<string, unknown>> {
  const options = { tiff: true, ifd1: true, exif: true, gps: true, xmp: true, iptc: true, mergeOutput: false };
  const { ihdr: _header, jfif: _jfif, errors: _errors, ...blocks } = (await exifr.parse(bytes, options)) ?? {};
  return blocks;
}

describe('the metadata of images', () => {
  it('of a JPEG are removed: EXIF, XMP, IPTC, comments and further pictures', async () => {
    const plain = await tagged('jpeg');
    const further = Buffer.concat([Buffer.from('MPF\0', 'latin1'), Buffer.from('Secret Place')]);
    const bytes = Buffer.concat([
      plain.subarray(0, 2),
      segment(0xed, Buffer.concat([Buffer.from('Photoshop 3.0\0', 'latin1'), iptc()])),
      segment(0xfe, Buffer.from('Secret Place')),
      segment(0xe2, further),
      plain.subarray(2),
      // A second picture, as telephones append it.
      plain,
    ]);
    expect(await found(bytes)).toMatchObject({
      gps: { latitude: expect.closeTo(52.52, 1), longitude: expect.closeTo(13.4, 1) },
      iptc: { City: 'Secret Place' },
      photoshop: { City: 'Secret Place' },
    });
    const after = await processed(bytes, 'IMAGE');
    expect(await found(after)).toEqual({ ifd0: { Orientation: 'Rotate 90 CW' } });
    await expectClean(bytes, after);
  });

  it('of a PNG are removed: EXIF, XMP, texts and raw profiles', async () => {
    const plain = await tagged('png');
    const headEnd = 8 + 25;
    const hex = iptc().toString('hex');
    const profile = deflateSync(Buffer.from(`\niptc\n${String(hex.length / 2).padStart(8)}\n${hex}\n`));
    const bytes = Buffer.concat([
      plain.subarray(0, headEnd),
      pngChunk('tEXt', Buffer.from('Comment\0Secret Place', 'latin1')),
      pngChunk('zTXt', Buffer.concat([Buffer.from('Raw profile type iptc\0\0', 'latin1'), profile])),
      pngChunk('iTXt', Buffer.from(`XML:com.adobe.xmp\0\0\0\0\0${XMP}`, 'latin1')),
      pngChunk('tIME', Buffer.from([7, 230, 1, 2, 3, 4, 5])),
      plain.subarray(headEnd),
      Buffer.from('Secret Place'),
    ]);
    const chunksOf = (png: Buffer) => {
      const names = [];
      for (let at = 8; at + 8 <= png.length; at += 12 + png.readUInt32BE(at)) {
        names.push(png.toString('latin1', at + 4, at + 8));
        if (names.at(-1) === 'IEND') break;
      }
      return new Set(names);
    };
    expect(await found(bytes)).toMatchObject({
      gps: { latitude: expect.closeTo(52.52, 1) },
      photoshop: { City: 'Secret Place' },
    });
    for (const name of ['eXIf', 'iTXt', 'tEXt', 'zTXt', 'tIME']) expect([...chunksOf(bytes)]).toContain(name);
    const after = await processed(bytes, 'IMAGE');
    expect(await found(after)).toEqual({ ifd0: { Orientation: 'Rotate 90 CW' } });
    for (const name of ['iTXt', 'tEXt', 'zTXt', 'tIME']) expect([...chunksOf(after)]).not.toContain(name);
    await expectClean(bytes, after);
  });

  it('of a WebP are removed: EXIF, XMP and unknown chunks', async () => {
    const plain = await tagged('webp');
    const bytes = Buffer.concat([plain, Buffer.from('LOCA\x0c\0\0\0Secret Place', 'latin1')]);
    bytes.writeUInt32LE(bytes.length - 8, 4);
    const chunksOf = (webp: Buffer) => {
      const chunks = new Map<string, Buffer>();
      for (let at = 12; at + 8 <= webp.length; ) {
        const size = webp.readUInt32LE(at + 4);
        chunks.set(webp.toString('latin1', at, at + 4), webp.subarray(at + 8, at + 8 + size));
        at += 8 + size + (size % 2);
      }
      return chunks;
    };
    /** The library does not read WebP, but the TIFF structure inside it. */
    const exifOf = async (webp: Buffer) => {
      const exif = chunksOf(webp).get('EXIF') ?? Buffer.alloc(0);
      return found(exif.toString('latin1', 0, 4) === 'Exif' ? exif.subarray(6) : exif);
    };
    expect(await exifOf(bytes)).toMatchObject({ gps: { latitude: expect.closeTo(52.52, 1) } });
    expect(chunksOf(bytes).get('XMP ')?.includes('Secret Place')).toBe(true);
    const after = await processed(bytes, 'IMAGE');
    // The color profile stays.
    expect([...chunksOf(after).keys()]).toEqual(['VP8X', 'ICCP', 'VP8 ', 'EXIF']);
    expect(await exifOf(after)).toEqual({ ifd0: { Orientation: 'Rotate 90 CW' } });
    await expectClean(bytes, after);
  });
});

describe('the metadata of videos', () => {
  /** The contents of the boxes of this type, at any depth. */
  function boxes(bytes: Buffer, type: string): Buffer[] {
    const all: Buffer[] = [];
    for (let at = 0; at + 8 <= bytes.length; ) {
      const size = bytes.readUInt32BE(at);
      const name = bytes.toString('latin1', at + 4, at + 8);
      const content = bytes.subarray(at + 8, size === 0 ? undefined : at + size);
      if (name === type) all.push(content);
      if (['moov', 'trak', 'mdia', 'udta'].includes(name)) all.push(...boxes(content, type));
      if (size === 0) break;
      at += size;
    }
    return all;
  }
  /** How a track is shown: the matrix in the second version-dependent half of its header. */
  const matrixOf = (bytes: Buffer) =>
    boxes(bytes, 'tkhd').map((head) => {
      const at = head.readUInt8() === 1 ? 52 : 40;
      return [0, 1, 3, 4].map((index) => head.readInt32BE(at + 4 * index) / 65_536);
    });

  const box = (type: string, content: Buffer) => {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(8 + content.length);
    head.write(type, 4, 'latin1');
    return Buffer.concat([head, content]);
  };

  it('of an MP4 are removed, and its rotation stays', async () => {
    const plain = await makeVideo('mp4');
    // The index is at the end, so that nothing moves when more follows in it: a place as iPhones write it.
    const index = plain.indexOf('moov') - 4;
    expect(index + plain.readUInt32BE(index)).toBe(plain.length);
    const apple = Buffer.from('keysmdtacom.apple.quicktime.location.ISO6709 ilst +48.8500+002.3500/');
    const bytes = Buffer.concat([plain, box('meta', apple), box('uuid', Buffer.from(XMP))]);
    bytes.writeUInt32BE(plain.length - index + 8 + apple.length, index);
    expect(boxes(bytes, 'meta').some((each) => each.includes('+48.8500'))).toBe(true);
    expect(boxes(bytes, 'uuid')).toHaveLength(1);
    expect(boxes(bytes, 'udta').some((each) => each.includes('+52.5200+013.4050/'))).toBe(true);
    expect(matrixOf(bytes)).toEqual([[0, 1, -1, 0]]);
    const after = await processed(bytes, 'VIDEO');
    expect(matrixOf(after)).toEqual([[0, 1, -1, 0]]);
    for (const text of ['+52.5200', '+48.8500', 'Secret', 'GPSLatitude'])
      expect(after.includes(text), text).toBe(false);
    for (const type of ['udta', 'meta', 'uuid']) expect(boxes(after, type), type).toEqual([]);
  });
});
