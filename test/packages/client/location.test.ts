import exifr from 'exifr';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { withoutLocation } from '../../../packages/client/src/media.js';

const XMP = `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmp:Rating="5" exif:GPSLatitude="52,31.2N"><exif:GPSLongitude>13,24.3E</exif:GPSLongitude></rdf:Description>
  </rdf:RDF></x:xmpmeta>`;

/** A photo with coordinates, the name of the camera and a comment. */
async function photo(format: 'jpeg' | 'webp' | 'avif' | 'png'): Promise<Buffer> {
  const image = sharp({ create: { width: 60, height: 40, channels: 3, background: 'red' } }).withExif({
    // The last entry follows the one that refers to the coordinates.
    IFD0: { Make: 'Some Camera', Software: 'Some Software', XPTitle: 'A title' },
    IFD2: { UserComment: 'A comment' },
    IFD3: { GPSLatitude: '52/1 31/1 12/1', GPSLatitudeRef: 'N', GPSLongitude: '13/1 24/1 0/1', GPSLongitudeRef: 'E' },
  });
  return (format === 'avif' ? image.avif({ effort: 0 }) : image.withXmp(XMP)[format]()).toBuffer();
}
/** The same EXIF as a file of its own, like that of a TIFF image or of a raw format that is based on TIFF. */
async function tiff(): Promise<Buffer> {
  const { exif } = await sharp(await photo('jpeg')).metadata();
  return Buffer.from(exif?.subarray(6) ?? []);
}
/** The same in the other byte order, with which telephones of another maker write it. */
function turned(little: Buffer): Buffer {
  const big = Buffer.from(little);
  big.write('MM\0*', 0, 'latin1');
  const swap = (at: number, size: number) => {
    for (let index = 0; index < size; index += 1) big.writeUInt8(little.readUInt8(at + size - 1 - index), at + index);
  };
  const sizes = [0, 1, 1, 2, 4, 4, 1, 1, 2, 4, 4, 4, 8];
  const directory = (at: number) => {
    const count = little.readUInt16LE(at);
    swap(at, 2);
    for (let entry = at + 2; entry < at + 2 + 12 * count; entry += 12) {
      const [tag, type, length] = [
        little.readUInt16LE(entry),
        little.readUInt16LE(entry + 2),
        little.readUInt32LE(entry + 4),
      ];
      swap(entry, 2);
      swap(entry + 2, 2);
      swap(entry + 4, 4);
      const size = sizes[type] ?? 0;
      // Fractions consist of two numbers.
      const isFraction = type === 5 || type === 10;
      const total = size * length * (isFraction ? 2 : 1);
      if (total > 4) swap(entry + 8, 4);
      const values = total > 4 ? little.readUInt32LE(entry + 8) : entry + 8;
      for (let each = values; each < values + total; each += size) swap(each, size);
      if (tag === 0x8769 || tag === 0x8825) directory(little.readUInt32LE(entry + 8));
    }
    swap(at + 2 + 12 * count, 4);
  };
  swap(4, 4);
  directory(little.readUInt32LE(4));
  return big;
}

const fileOf = (bytes: Buffer, name: string, type: string) => new File([new Uint8Array(bytes)], name, { type });
const bytesOf = async (file: Blob) => Buffer.from(await file.arrayBuffer());
/** The latitude as EXIF contains it: three fractions. */
const latitude = (write: 'writeUInt32LE' | 'writeUInt32BE') => {
  const bytes = Buffer.alloc(24);
  for (const [index, value] of [52, 1, 31, 1, 12, 1].entries()) bytes[write](value, 4 * index);
  return bytes;
};
const hasLatitude = (bytes: Buffer) =>
  bytes.includes(latitude('writeUInt32LE')) || bytes.includes(latitude('writeUInt32BE'));
/** What another library reads. */
const read = (bytes: Buffer) => exifr.parse(bytes, { gps: true, exif: true, tiff: true, xmp: true });

describe('the coordinates of a photo that is sent as a document', () => {
  it.each([
    ['JPEG', () => photo('jpeg'), 'a.jpg', 'image/jpeg'],
    ['TIFF', tiff, 'a.tif', 'image/tiff'],
    ['a raw format whose type the browser does not know', tiff, 'a.DNG', ''],
    ['the other byte order', async () => turned(await tiff()), 'a.tif', 'image/tiff'],
  ])('are removed, and nothing else: %s', async (_what, make, name, type) => {
    const before = await make();
    expect(await read(before)).toMatchObject({ latitude: expect.closeTo(52.52), longitude: expect.closeTo(13.4) });
    const { file, location } = await withoutLocation(fileOf(before, name, type));
    expect([location, (file as File).name, file.type, file.size]).toEqual(['removed', name, type, before.length]);
    const after = await bytesOf(file);
    const { latitude, longitude, GPSLatitude, GPSLatitudeRef, GPSLongitude, GPSLongitudeRef, ...rest } =
      await read(before);
    expect([latitude, longitude, GPSLatitude, GPSLongitude, GPSLatitudeRef, GPSLongitudeRef]).not.toContain(undefined);
    expect(await read(after)).toEqual(rest);
    expect(rest).toMatchObject({ Make: 'Some Camera', Software: 'Some Software', XPTitle: expect.anything() });
    expect([hasLatitude(before), hasLatitude(after)]).toEqual([true, false]);
    // Neither the pixels nor anything else has changed.
    let changed = 0;
    for (const [index, byte] of before.entries()) if (after[index] !== byte) changed += 1;
    expect(changed).toBeLessThan(400);
    if (type === 'image/jpeg') {
      expect(after.includes('GPSL')).toBe(false);
      expect(after.includes('xmp:Rating="5"')).toBe(true);
      expect((await sharp(after).raw().toBuffer()).equals(await sharp(before).raw().toBuffer())).toBe(true);
    }
    // A second call finds nothing.
    expect(await withoutLocation(file)).toEqual({ file, location: 'none' });
  });

  // AVIF is stored like HEIC.
  it.each(['webp', 'avif'] as const)('are removed from the container of %s, and the pixels stay', async (format) => {
    const before = await photo(format);
    const { file, location } = await withoutLocation(fileOf(before, `a.${format}`, `image/${format}`));
    expect(location).toBe('removed');
    const after = await bytesOf(file);
    const exifOf = async (bytes: Buffer) => {
      const { exif } = await sharp(bytes).metadata();
      return read(Buffer.from(exif?.subarray(exif.toString('latin1', 0, 4) === 'Exif' ? 6 : 0) ?? []));
    };
    expect(await exifOf(before)).toMatchObject({ latitude: expect.closeTo(52.52) });
    expect([hasLatitude(before), hasLatitude(after)]).toEqual([true, false]);
    expect(await exifOf(after)).toMatchObject({ Make: 'Some Camera' });
    expect((await exifOf(after)).latitude).toBeUndefined();
    expect(after.includes('exif:GPS')).toBe(false);
    expect((await sharp(after).raw().toBuffer()).equals(await sharp(before).raw().toBuffer())).toBe(true);
  });

  it('are removed from the structure of their own in which some raw formats keep them', async () => {
    // A directory with one entry, the latitude, somewhere in the file.
    const head = Buffer.from('49492a0008000000' + '0100' + '020005000300000' + '01a000000' + '00000000', 'hex');
    const before = Buffer.concat([
      Buffer.from('....ftypcrx CMT4'),
      head,
      latitude('writeUInt32LE'),
      Buffer.from('end'),
    ]);
    const { file, location } = await withoutLocation(fileOf(before, 'a.CR3', ''));
    const after = await bytesOf(file);
    expect([location, hasLatitude(before), hasLatitude(after)]).toEqual(['removed', true, false]);
    expect(after.toString('latin1')).toMatch(/^\.{4}ftypcrx CMT4II\*.*end$/s);
  });

  it('are reported if they cannot be removed', async () => {
    const file = fileOf(await photo('png'), 'a.png', 'image/png');
    expect(await withoutLocation(file)).toEqual({ file, location: 'kept' });
    const big = fileOf(Buffer.from('II+\0\x08\0\0\0', 'latin1'), 'a.tif', 'image/tiff');
    expect(await withoutLocation(big)).toEqual({ file: big, location: 'kept' });
    const size = 200 * 1_024 * 1_024;
    const large = Object.defineProperty(fileOf(Buffer.from('x'), 'a.tif', 'image/tiff'), 'size', { value: size });
    expect((await withoutLocation(large)).location).toBe('kept');
  });

  it('are not searched for in other files, and not found in photos without any', async () => {
    const plain = await sharp({ create: { width: 9, height: 9, channels: 3, background: 'red' } })
      .withExif({ IFD0: { Make: 'Some Camera' } })
      .jpeg()
      .toBuffer();
    for (const file of [
      fileOf(plain, 'a.jpg', 'image/jpeg'),
      fileOf(await photo('jpeg'), 'archive.zip', 'application/zip'),
      fileOf(Buffer.from('II*\0'), 'a.tif', 'image/tiff'),
      fileOf(Buffer.from('II*\0\xff\xff\xff\xff\x01', 'latin1'), 'a.tif', 'image/tiff'),
      fileOf(Buffer.alloc(1_000, 'MM\0*'), 'a.tif', 'image/tiff'),
    ]) {
      const result = await withoutLocation(file);
      expect(result.location).toBe('none');
      expect(result.file).toBe(file);
    }
  });
});
