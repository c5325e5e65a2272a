import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import {
  BufferTarget,
  EncodedAudioPacketSource,
  EncodedPacket,
  EncodedVideoPacketSource,
  Mp4OutputFormat,
  Output,
  type VideoCodec,
  WebMOutputFormat,
} from 'mediabunny';
import sharp from 'sharp';
import { type Answer, eventually, type Json, type Person } from './client.js';
import type { Place } from './place.js';

/** The directory in which the nodes of a place store files. */
export const mediaDirOf = ({ env }: Place): string => env['MEDIA_DIR'] ?? join(env['DATA_DIR'] ?? '', 'media');

const ATTACHMENT = `id kind state filename contentType byteSize width height durationMs thumbHash waveform altText path
  variants { name contentType width height byteSize path }`;

const CREATE = `mutation ($input: CreateUploadInput!) {
  createUpload(input: $input) {
    upload { expiresAt attachment { ${ATTACHMENT} } missingParts { number offset byteSize url headers { name value } } }
  }
}`;

let uploads = 0;

export const tryCreate = (person: Person, bytes: Buffer, more: Json = {}): Promise<Answer> => {
  uploads += 1;
  const input = {
    clientUploadId: `upload ${uploads}`,
    kind: 'FILE',
    filename: 'file',
    byteSize: bytes.length,
    ...more,
  };
  return person.request(CREATE, { input });
};

export async function createUpload(person: Person, bytes: Buffer, more: Json = {}): Promise<Json> {
  const { data, errors } = await tryCreate(person, bytes, more);
  if (errors) throw new Error(JSON.stringify(errors));
  return data.createUpload.upload;
}

export const partUrl = (nodeUrl: string, { url }: { url: string }): string => new URL(url, nodeUrl).href;

/** Sends one part of a file. */
export const putPart = (nodeUrl: string, bytes: Buffer, part: Json): Promise<Response> =>
  fetch(partUrl(nodeUrl, part), {
    method: 'PUT',
    headers: Object.fromEntries(part.headers.map(({ name, value }: Json) => [name, value])),
    body: new Uint8Array(bytes.subarray(part.offset, part.offset + part.byteSize)),
  });

export const complete = (person: Person, attachmentId: string): Promise<Answer> =>
  person.request(
    `mutation ($input: CompleteUploadInput!) { completeUpload(input: $input) { attachment { ${ATTACHMENT} } } }`,
    { input: { attachmentId } },
  );

/** Uploads a file. It is PROCESSING or already READY afterwards. */
export async function upload(nodeUrl: string, person: Person, bytes: Buffer, more: Json = {}): Promise<Json> {
  const { attachment, missingParts } = await createUpload(person, bytes, more);
  for (const part of missingParts) {
    const { ok, status } = await putPart(nodeUrl, bytes, part);
    if (!ok) throw new Error(`part ${part.number}: ${status}`);
  }
  const { data, errors } = await complete(person, attachment.id);
  if (errors) throw new Error(JSON.stringify(errors));
  return data.completeUpload.attachment;
}

/** The present state of an attachment; null if the person cannot see it. */
export const attachmentOf = async (person: Person, id: string): Promise<Json> =>
  (await person.ask(`query ($id: ID!) { node(id: $id) { ... on Attachment { ${ATTACHMENT} } } }`, { id })).node;

/** Uploads a file and waits until it is READY or REJECTED. */
export async function uploaded(nodeUrl: string, person: Person, bytes: Buffer, more: Json = {}): Promise<Json> {
  const { id } = await upload(nodeUrl, person, bytes, more);
  let attachment: Json;
  await eventually('the file is processed', async () => {
    attachment = await attachmentOf(person, id);
    return ['READY', 'REJECTED'].includes(attachment.state);
  });
  return attachment;
}

export const sendWith = (person: Person, conversationId: string, ids: string[], more: Json = {}): Promise<Answer> =>
  person.request(
    `mutation ($input: SendMessageInput!) {
      sendMessage(input: $input) { message { id seq text attachments { ${ATTACHMENT} } } }
    }`,
    { input: { conversationId, attachmentIds: ids, ...more } },
  );

/** Opens the path of an attachment with the token of the person's session. */
export async function open(nodeUrl: string, person: Person, path: string, init: RequestInit = {}): Promise<Response> {
  const { viewer } = await person.at(nodeUrl).ask('{ viewer { mediaToken } }');
  return fetch(`${new URL(path, nodeUrl).href}?t=${viewer.mediaToken}`, init);
}

/** A picture in this format, 600 by 400 pixels, red at the left and blue at the right. Its metadata contains a place. */
export async function makePicture(format: 'jpeg' | 'png' | 'webp' | 'gif' | 'avif', orientation = 1): Promise<Buffer> {
  const half = (background: string) => ({ create: { width: 300, height: 400, channels: 3 as const, background } });
  const blue = await sharp(half('blue')).png().toBuffer();
  return sharp({ create: { width: 600, height: 400, channels: 3, background: 'red' } })
    .composite([{ input: blue, left: 300, top: 0 }])
    .withExif({
      IFD0: { Make: 'Secret Camera' },
      IFD3: { GPSLatitude: '52/1 31/1 0/1', GPSLatitudeRef: 'N', GPSLongitude: '13/1 24/1 0/1', GPSLongitudeRef: 'E' },
    })
    .withMetadata({ orientation })
    [format]()
    .toBuffer();
}

/** A video with ten frames per second, by default of one second, 64 by 48 pixels, whose frames cannot be decoded. Its metadata contains a place. */
export async function makeVideo(format: 'mp4' | 'webm', frames = 10): Promise<Buffer> {
  const target = new BufferTarget();
  const [outputFormat, codec, codecText] =
    format === 'mp4'
      ? ([new Mp4OutputFormat({ fastStart: false }), 'vp9', 'vp09.00.10.08'] as const)
      : ([new WebMOutputFormat(), 'vp8', 'vp8'] as const);
  const output = new Output({ format: outputFormat, target });
  const source = new EncodedVideoPacketSource(codec satisfies VideoCodec);
  output.addVideoTrack(source, format === 'mp4' ? { rotation: 90 } : {});
  output.setMetadataTags({ comment: 'Secret Place', raw: { '©xyz': '+52.5200+013.4050/' } });
  await output.start();
  for (let frame = 0; frame < frames; frame += 1) {
    const packet = new EncodedPacket(new Uint8Array(500).fill(frame), frame === 0 ? 'key' : 'delta', frame / 10, 0.1);
    await source.add(packet, { decoderConfig: { codec: codecText, codedWidth: 64, codedHeight: 48 } });
  }
  await output.finalize();
  return Buffer.from(target.buffer ?? new ArrayBuffer(0));
}

/** A recording of one second in AAC, as older versions of Safari record it. Its sounds cannot be decoded. */
export async function makeAac(): Promise<Buffer> {
  const target = new BufferTarget();
  const output = new Output({ format: new Mp4OutputFormat({ fastStart: 'in-memory' }), target });
  const source = new EncodedAudioPacketSource('aac');
  output.addAudioTrack(source);
  await output.start();
  // AAC-LC, 8 kHz, one channel.
  const description = new Uint8Array([0x15, 0x88]);
  const decoderConfig = { codec: 'mp4a.40.2', sampleRate: 8_000, numberOfChannels: 1, description };
  for (let index = 0; index < 10; index += 1) {
    const packet = new EncodedPacket(new Uint8Array(50).fill(index), 'key', index / 10, 0.1);
    await source.add(packet, { decoderConfig });
  }
  await output.finalize();
  return Buffer.from(target.buffer ?? new ArrayBuffer(0));
}

/** A recording of one second in WAV, which becomes louder. */
export function makeRecording(): Buffer {
  const samples = 8_000;
  const wav = Buffer.alloc(44 + 2 * samples);
  wav.write('RIFF');
  wav.writeUInt32LE(36 + 2 * samples, 4);
  wav.write('WAVEfmt ', 8);
  // A header of 16 bytes: PCM, one channel, 8,000 samples of two bytes per second.
  for (const [index, value] of [16, 0, 1, 1, 8_000, 0, 16_000, 0, 2, 16].entries()) {
    wav.writeUInt16LE(value, 16 + 2 * index);
  }
  wav.write('data', 36);
  wav.writeUInt32LE(2 * samples, 40);
  for (let index = 0; index < samples; index += 1) {
    wav.writeInt16LE(Math.round(32_767 * Math.sin(index) * (index / samples)), 44 + 2 * index);
  }
  return wav;
}

/** A chunk of a PNG image. */
export function pngChunk(type: string, content: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  const [size, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  size.writeUInt32BE(content.length);
  check.writeUInt32BE(crc32(named));
  return Buffer.concat([size, named, check]);
}
