// @ts-check
// A process that checks and converts the files of users. It is started without environment variables and without access to
// the database, and can be ended at any time: what makes a decoder crash or loop ends this process, not the node.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync } from 'node:fs';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { constants, getPriority, setPriority } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { fileTypeFromFile } from 'file-type';
import sharp from 'sharp';
import { rgbaToThumbHash } from 'thumbhash';
import { BrokenImage, withoutMetadata } from './image-metadata.js';

/**
 * @typedef {import('./media.processes.js').Job} Job
 * @typedef {import('./media.processes.js').Facts} Facts
 * @typedef {import('./media.processes.js').Result} Result
 */

/** The types of images that browsers show, and with which this process can remove metadata. */
const imageTypes = ['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/avif'];
/** The largest side of an image in WebP, in pixels. */
const SIDE_MAX = 16_383;
const WEBP_QUALITY = 80;
const AVIF_QUALITY = 60;
/** The largest sides of the variants, in pixels. */
const sizes = /** @type {const} */ ([
  ['preview', 1_280],
  ['thumbnail', 320],
]);
/** The largest side of the image from which a ThumbHash is computed, in pixels: the library accepts no more. */
const THUMB_HASH_SIDE = 100;
/** The time of the still image of a video, in seconds: the first frame is often black. */
const POSTER_AT = 1;
/** The number of peaks of a waveform, and the highest peak. */
const PEAKS = 64;
const PEAK_MAX = 100;
/** How many samples per second ffmpeg returns for a waveform. */
const PEAKS_RATE = 8_000;
/** The names of the formats of recordings in ffmpeg. @type {Record<string, string>} */
const demuxers = {
  'audio/mp4': 'mov',
  'audio/webm': 'matroska',
  'audio/ogg': 'ogg',
  'audio/mpeg': 'mp3',
  'audio/wav': 'wav',
};
/** Larger videos are written without moving their index to the front, which needs them in memory, in bytes. */
const FAST_START_MAX = 256 * 1024 * 1024;

// Requests of users take precedence. On Linux, each thread has a priority of its own: those that decode images exist already.
for (const thread of threads()) {
  try {
    setPriority(thread, Math.max(getPriority(thread), constants.priority.PRIORITY_BELOW_NORMAL));
  } catch {
    // It has ended.
  }
}

/** The ids of the threads of this process, or of the process alone. */
function threads() {
  try {
    return readdirSync('/proc/self/task').map(Number);
  } catch {
    return [process.pid];
  }
}

// No SVG, no PDF and no scripts: only the loaders of the types above.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Heif'].map((name) => `VipsForeignLoad${name}File`),
});
sharp.cache(false);
sharp.concurrency(1);

/** The file is not what it claims to be, is not safe, or cannot be read. */
class Rejected extends Error {}

process.on('message', async (/** @type {Job} */ job) => {
  /** @type {Result} */
  let result;
  try {
    result = { state: 'READY', ...(await processFile(job)) };
  } catch (error) {
    const isExpected = error instanceof Rejected || error instanceof BrokenImage || isDecoderError(error);
    const reason = error instanceof Error ? error.message : String(error);
    result = isExpected ? { state: 'REJECTED', reason } : { state: 'FAILED', reason };
  }
  process.send?.(result);
});
// The node has ended. The process has a group of its own, with the programs that it has started.
process.on('disconnect', () => process.kill(-process.pid, 'SIGKILL'));

/** Errors of the file, not of this machine. @param {unknown} error */
function isDecoderError(error) {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return !['ENOSPC', 'EIO', 'EMFILE', 'ENOENT', 'EACCES', 'ENOMEM', 'EROFS', 'EDQUOT'].includes(String(code));
}

/** @param {Job} job @returns {Promise<Facts>} */
async function processFile(job) {
  const { path, kind, byteSize, sha256 } = job;
  const { size } = await stat(path);
  if (size !== byteSize) throw new Rejected(`The file has ${size} bytes instead of ${byteSize}.`);
  if (sha256) {
    const hash = createHash('sha256');
    await pipeline(createReadStream(path), hash);
    if (!hash.digest().equals(sha256)) throw new Rejected('The file has another SHA-256 hash.');
  }
  const type = (await fileTypeFromFile(path))?.mime ?? 'application/octet-stream';
  if (kind === 'FILE') return { contentType: type, byteSize, isChanged: false, variants: [] };
  return kind === 'IMAGE' ? processImage(job, type) : processRecording(job);
}

/** @param {Job} job @param {string} type @returns {Promise<Facts>} */
async function processImage({ path, pixelsMax, output }, type) {
  if (!imageTypes.includes(type)) throw new Rejected(`Images of the type ${type} are not supported.`);
  /** @type {import('sharp').SharpOptions} */
  const limits = { limitInputPixels: pixelsMax, failOn: 'error' };
  const {
    width = 0,
    height = 0,
    pages = 1,
    pageHeight = height,
    orientation = 1,
  } = await sharp(path, limits).metadata();
  if (Math.max(width, pageHeight) > SIDE_MAX)
    throw new Rejected(`A side of the image has more than ${SIDE_MAX} pixels.`);
  if (width * pageHeight * pages > pixelsMax) throw new Rejected(`The image has more than ${pixelsMax} pixels.`);
  const original = `${output}original`;
  const stripped = withoutMetadata(await readFile(path), type, orientation);
  if (stripped) await writeFile(original, stripped);
  // AVIF has no structure from which metadata could be cut without decoding.
  else await sharp(path, limits).autoOrient().avif({ quality: AVIF_QUALITY, effort: 2 }).toFile(original);
  // From the result, so that an image that was cut wrongly is never READY. It is decoded once: smaller versions are made of
  // the largest one.
  const { data, info: raw } = await sharp(original, limits)
    .autoOrient()
    .resize(within(sizes[0][1]))
    .raw()
    .toBuffer({ resolveWithObject: true });
  const largest = () => sharp(data, { raw: { width: raw.width, height: raw.height, channels: raw.channels } });
  const variants = [];
  for (const [name, side] of sizes) {
    const info = await largest().resize(within(side)).webp({ quality: WEBP_QUALITY }).toFile(`${output}${name}`);
    variants.push({ name, contentType: 'image/webp', width: info.width, height: info.height, byteSize: info.size });
  }
  const isTurned = orientation >= 5;
  return {
    contentType: type,
    byteSize: (await stat(original)).size,
    isChanged: true,
    width: isTurned ? pageHeight : width,
    height: isTurned ? width : pageHeight,
    thumbHash: await thumbHashOf(largest()),
    variants,
  };
}

/** Reduces an image to at most this side, in pixels. @param {number} side @returns {import('sharp').ResizeOptions} */
const within = (side) => ({ width: side, height: side, fit: 'inside', withoutEnlargement: true });

/** The ThumbHash of an image that this process has made. @param {import('sharp').Sharp} image */
async function thumbHashOf(image) {
  const { data, info } = await image
    .resize(within(THUMB_HASH_SIDE))
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return Buffer.from(rgbaToThumbHash(info.width, info.height, data)).toString('base64');
}

/** Copies the tracks of a video or a recording into a new file, without any tags. @param {Job} job @returns {Promise<Facts>} */
async function processRecording({ path, kind, output, byteSize, ffmpeg, pixelsMax }) {
  // Loaded when it is needed, because most files are images.
  const media = await import('mediabunny');
  const input = new media.Input({
    source: new media.FilePathSource(path),
    formats: [media.MP4, media.QTFF, media.MATROSKA, media.WEBM, media.OGG, media.MP3, media.WAVE],
  });
  try {
    const format = await input.getFormat();
    const video = await input.getPrimaryVideoTrack();
    const audio = await input.getPrimaryAudioTrack();
    if (kind === 'VIDEO' ? !video : !audio || video) {
      throw new Rejected(kind === 'VIDEO' ? 'The file contains no video.' : 'The file is not a sound recording.');
    }
    const [outputFormat, type] = outputOf(media, format, kind, byteSize);
    const target = new media.FilePathTarget(`${output}original`);
    const conversion = await media.Conversion.init({
      input,
      output: new media.Output({ format: outputFormat, target }),
      tags: {},
      showWarnings: false,
    });
    if (!conversion.isValid || conversion.discardedTracks.some(({ track }) => track === video || track === audio)) {
      throw new Rejected('The tracks of the file cannot be copied.');
    }
    await conversion.execute();
    const duration = await input.computeDuration();
    const poster = video && ffmpeg && (await posterOf(ffmpeg, output, type, duration, pixelsMax));
    return {
      contentType: type,
      byteSize: (await stat(`${output}original`)).size,
      isChanged: true,
      durationMs: Math.round(duration * 1_000),
      ...(kind !== 'VIDEO' &&
        audio && { waveform: await waveformOf(media, audio, duration, ffmpeg, [`${output}original`, type]) }),
      ...(video && { width: await video.getDisplayWidth(), height: await video.getDisplayHeight() }),
      ...(poster && { thumbHash: await thumbHashOf(sharp(`${output}poster`)) }),
      variants: poster ? [poster] : [],
    };
  } finally {
    input.dispose();
  }
}

/**
 * Makes a still image of a video. Undefined if that is not possible, for example because the codec is not supported.
 * @param {{ path: string, timeoutMs: number }} ffmpeg
 * @param {string} output
 * @param {string} type the type of the new file, which contains nothing but the tracks
 * @param {number} duration in seconds
 * @param {number} pixelsMax
 * @returns {Promise<import('./media.store.js').Variant | undefined>}
 */
async function posterOf({ path, timeoutMs }, output, type, duration, pixelsMax) {
  const frame = `${output}frame`;
  const at = Math.min(POSTER_AT, duration / 2);
  const arguments_ = [
    ...['-nostdin', '-v', 'error', '-threads', '1'],
    // Nothing but this file is read, in this format.
    ...['-protocol_whitelist', 'file', '-f', type === 'video/mp4' ? 'mov' : 'matroska'],
    ...['-ss', String(at), '-i', `file:${output}original`],
    ...['-map', '0:v:0', '-frames:v', '1', '-f', 'image2', '-c:v', 'png', '-y', `file:${frame}`],
  ];
  try {
    await promisify(execFile)(path, arguments_, { timeout: timeoutMs, killSignal: 'SIGKILL' });
    const [[, side]] = sizes;
    const info = await sharp(frame, { limitInputPixels: pixelsMax })
      .resize(within(side))
      .webp({ quality: WEBP_QUALITY })
      .toFile(`${output}poster`);
    return { name: 'poster', contentType: 'image/webp', width: info.width, height: info.height, byteSize: info.size };
  } catch {
    return undefined;
  } finally {
    await rm(frame, { force: true });
  }
}

/**
 * The loudest sample of each part of a recording. Empty if nothing decodes its codec here: Opus, which browsers record, is
 * decoded without ffmpeg, but AAC, which older versions of Safari record, is not.
 * @param {typeof import('mediabunny')} media
 * @param {import('mediabunny').InputAudioTrack} track
 * @param {number} duration in seconds
 * @param {Job['ffmpeg']} ffmpeg
 * @param {[path: string, type: string]} file the new file
 * @returns {Promise<number[]>}
 */
async function waveformOf(media, track, duration, ffmpeg, file) {
  const [codec, channelCount, sampleRate] = await Promise.all([
    track.getCodec(),
    track.getNumberOfChannels(),
    track.getSampleRate(),
  ]);
  const decoder = await decoderOf(codec, channelCount, sampleRate);
  if (!(duration > 0)) return [];
  if (!decoder) return ffmpeg ? waveformByFfmpeg(ffmpeg, file, duration) : [];
  const { peaks, add } = createPeaks(duration);
  try {
    for await (const { timestamp, data } of new media.EncodedPacketSink(track).packets()) {
      const { channels, sampleRate } = decoder.decode(data);
      for (const samples of channels) {
        for (const [index, sample] of samples.entries()) add(timestamp + index / sampleRate, sample);
      }
    }
    return peaks();
  } finally {
    decoder.free();
  }
}

/** Collects the loudest sample of each part. @param {number} duration in seconds */
function createPeaks(duration) {
  const loudest = new Array(PEAKS).fill(0);
  return {
    /** @param {number} time in seconds @param {number} sample from -1 to 1 */
    add(time, sample) {
      const at = Math.min(PEAKS - 1, Math.max(0, Math.floor((time / duration) * PEAKS)));
      loudest[at] = Math.max(loudest[at], Math.abs(sample));
    },
    /** @returns {number[]} */
    peaks: () => loudest.map((peak) => Math.round(Math.min(1, peak) * PEAK_MAX)),
  };
}

/**
 * Lets ffmpeg decode a recording. Empty if it cannot, or takes too long.
 * @param {{ path: string, timeoutMs: number }} ffmpeg
 * @param {[path: string, type: string]} file
 * @param {number} duration in seconds
 * @returns {Promise<number[]>}
 */
async function waveformByFfmpeg({ path, timeoutMs }, [recording, type], duration) {
  const arguments_ = [
    ...['-nostdin', '-v', 'error', '-threads', '1'],
    ...['-protocol_whitelist', 'file', '-f', demuxers[type] ?? 'mov'],
    ...['-i', `file:${recording}`, '-map', '0:a:0', '-ac', '1', '-ar', String(PEAKS_RATE)],
    ...['-c:a', 'pcm_s16le', '-f', 's16le', 'pipe:1'],
  ];
  const stdio = /** @type {['ignore', 'pipe', 'ignore']} */ (['ignore', 'pipe', 'ignore']);
  const child = spawn(path, arguments_, { stdio, timeout: timeoutMs, killSignal: 'SIGKILL' });
  const ended = new Promise((resolve) => {
    child.once('error', () => resolve(undefined));
    child.once('close', resolve);
  });
  const { peaks, add } = createPeaks(duration);
  let count = 0;
  let rest = Buffer.alloc(0);
  for await (const chunk of child.stdout) {
    const bytes = Buffer.concat([rest, chunk]);
    const length = bytes.length - (bytes.length % 2);
    for (let at = 0; at < length; at += 2) {
      add(count / PEAKS_RATE, bytes.readInt16LE(at) / 32_768);
      count += 1;
    }
    rest = bytes.subarray(length);
  }
  return (await ended) === 0 && count > 0 ? peaks() : [];
}

/** @param {string | null} codec @param {number} channelCount @param {number} sampleRate */
async function decoderOf(codec, channelCount, sampleRate) {
  if (codec === 'pcm-s16') {
    return {
      /** @param {Uint8Array} data */
      decode(data) {
        const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
        const frames = Math.floor(data.byteLength / 2 / channelCount);
        const channels = Array.from({ length: channelCount }, (_, channel) =>
          Float32Array.from({ length: frames }, (__, frame) => {
            return view.getInt16(2 * (frame * channelCount + channel), true) / 32_768;
          }),
        );
        return { channels, sampleRate };
      },
      free() {},
    };
  }
  if (codec !== 'opus' || channelCount > 2) return undefined;
  const { OpusDecoder } = await import('opus-decoder');
  const decoder = new OpusDecoder({ channels: channelCount });
  await decoder.ready;
  return {
    /** @param {Uint8Array} data */
    decode(data) {
      const { channelData, sampleRate: decodedRate } = decoder.decodeFrame(data);
      return { channels: channelData, sampleRate: decodedRate };
    },
    free: () => decoder.free(),
  };
}

/**
 * The format of the new file, in which the same tracks are allowed.
 * @param {typeof import('mediabunny')} media
 * @param {import('mediabunny').InputFormat} format
 * @param {Job['kind']} kind
 * @param {number} byteSize
 * @returns {[import('mediabunny').OutputFormat, string]}
 */
function outputOf(media, format, kind, byteSize) {
  const what = kind === 'VIDEO' ? 'video' : 'audio';
  if (format === media.MP4 || format === media.QTFF) {
    const fastStart = byteSize <= FAST_START_MAX ? 'in-memory' : false;
    return [new media.Mp4OutputFormat({ fastStart }), `${what}/mp4`];
  }
  if (format === media.WEBM || format === media.MATROSKA) return [new media.WebMOutputFormat(), `${what}/webm`];
  if (format === media.OGG) return [new media.OggOutputFormat(), 'audio/ogg'];
  if (format === media.MP3) return [new media.Mp3OutputFormat(), 'audio/mpeg'];
  return [new media.WavOutputFormat(), 'audio/wav'];
}
