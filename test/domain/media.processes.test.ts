import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { constants, getPriority } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { createMediaProcess, type Job, ProcessEnded } from '../../src/domain/media/media.processes.js';
import { eventually } from '../support/client.js';
import { makeAac, makePicture, makeVideo } from '../support/media.js';

it('the process that checks files is killed at its time limit, and a new one continues', async () => {
  const folder = await mkdtemp(join(inject('scratch'), 'media-'));
  const path = join(folder, 'upload');
  const picture = await makePicture('jpeg');
  await writeFile(path, picture);
  const job: Job = {
    path,
    kind: 'IMAGE',
    byteSize: picture.length,
    sha256: null,
    pixelsMax: 1_000_000,
    output: join(folder, 'new-'),
    ffmpeg: null,
  };
  const impatient = createMediaProcess(1);
  const patient = createMediaProcess(60_000);
  onTestFinished(() => {
    impatient.close();
    patient.close();
  });
  await expect(impatient.run(job)).rejects.toThrow(ProcessEnded);
  await expect(impatient.run(job)).rejects.toThrow(ProcessEnded);
  expect(await patient.run(job)).toMatchObject({ state: 'READY', contentType: 'image/jpeg', width: 600 });
  expect(await patient.run({ ...job, pixelsMax: 100 })).toMatchObject({ state: 'REJECTED' });
});

/** A job for a picture, with the folder in which its files are. */
async function jobOf(picture: Buffer): Promise<{ folder: string; job: Job }> {
  const folder = await mkdtemp(join(inject('scratch'), 'media-'));
  const path = join(folder, 'upload');
  await writeFile(path, picture);
  const limits = { sha256: null, pixelsMax: 100_000_000, ffmpeg: null };
  return { folder, job: { path, kind: 'IMAGE', byteSize: picture.length, ...limits, output: join(folder, 'new-') } };
}

it.skipIf(!existsSync('/proc/self/task'))(
  'every thread of the process that checks files has a lower priority',
  async () => {
    const { job } = await jobOf(await makePicture('jpeg'));
    const before = new Set(await childrenOf());
    const made = createMediaProcess(60_000);
    onTestFinished(() => made.close());
    expect(await made.run(job)).toMatchObject({ state: 'READY' });
    const [pid] = (await childrenOf()).filter((each) => !before.has(each));
    const threads = await readdir(`/proc/${pid}/task`);
    expect(threads.length).toBeGreaterThan(4);
    for (const thread of threads) {
      expect(getPriority(Number(thread)), thread).toBeGreaterThanOrEqual(constants.priority.PRIORITY_BELOW_NORMAL);
    }

    /** The processes that this one has started. */
    async function childrenOf(): Promise<string[]> {
      const own = await readdir('/proc/self/task');
      const lists = own.map((thread) => readFile(`/proc/self/task/${thread}/children`, 'utf8').catch(() => ''));
      return (await Promise.all(lists))
        .join(' ')
        .split(' ')
        .filter((each) => each !== '');
    }
  },
);

it('smaller versions of an image keep its colors and its transparency', async () => {
  // Gray and half transparent, with 16 bits for each channel.
  const pixels = new Uint16Array(2_000 * 1_000 * 2);
  for (let index = 0; index < pixels.length; index += 2) pixels.set([0x8000, 0x4000], index);
  const gray = await sharp(pixels, { raw: { width: 2_000, height: 1_000, channels: 2 } })
    .toColourspace('grey16')
    .png()
    .toBuffer();
  const { job } = await jobOf(gray);
  const made = createMediaProcess(60_000);
  onTestFinished(() => made.close());
  expect(await made.run(job)).toMatchObject({ state: 'READY', variants: [{ width: 1_280 }, { width: 320 }] });
  for (const name of ['preview', 'thumbnail']) {
    const { data, info } = await sharp(`${job.output}${name}`).raw().toBuffer({ resolveWithObject: true });
    expect([name, info.channels, info.height]).toEqual([name, 4, name === 'preview' ? 640 : 160]);
    const [red = 0, green = 0, blue = 0, alpha = 0] = data.subarray(0, 4);
    for (const value of [red, green, blue]) expect(Math.abs(value - 128)).toBeLessThan(4);
    expect(Math.abs(alpha - 64)).toBeLessThan(4);
  }
});

/** A program that runs this script in place of ffmpeg. */
async function programOf(folder: string, script: string): Promise<string> {
  const path = join(folder, 'ffmpeg');
  await writeFile(path, `#!${process.execPath}\n${script}`, { mode: 0o700 });
  return path;
}
async function makeJob(
  script: (folder: string) => string,
  kind: Job['kind'] = 'VIDEO',
  content?: Buffer,
): Promise<{ folder: string; job: Job }> {
  const folder = await mkdtemp(join(inject('scratch'), 'media-'));
  const path = join(folder, 'upload');
  const bytes = content ?? (await makeVideo('mp4'));
  await writeFile(path, bytes);
  const ffmpeg = { path: await programOf(folder, script(folder)), timeoutMs: 20_000 };
  const limits = { sha256: null, pixelsMax: 1_000_000 };
  return {
    folder,
    job: { path, kind, byteSize: bytes.length, ...limits, output: join(folder, 'new-'), ffmpeg },
  };
}
function run(job: Job, timeoutMs = 60_000) {
  const made = createMediaProcess(timeoutMs);
  onTestFinished(() => made.close());
  return made.run(job);
}

const installed = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((path) => join(path, 'ffmpeg'))
  .find((path) => existsSync(path));
if (installed === undefined) console.log('Tests with ffmpeg are skipped: ffmpeg not found (install it from Debian).');
/** A file that the installed ffmpeg creates. */
async function createdBy(arguments_: string[], name: string): Promise<Buffer> {
  const folder = await mkdtemp(join(inject('scratch'), 'media-'));
  await promisify(execFile)(installed ?? '', ['-v', 'error', ...arguments_, join(folder, name)]);
  return readFile(join(folder, name));
}

describe('the poster of a video', () => {
  it('is what ffmpeg extracts', async () => {
    const { folder, job } = await makeJob((where) => {
      const frame = JSON.stringify(join(where, 'frame.png'));
      const priority = JSON.stringify(join(where, 'priority'));
      return `const { copyFileSync, writeFileSync } = require('node:fs');
        copyFileSync(${frame}, process.argv.at(-1).replace(/^file:/, ''));
        writeFileSync(${priority}, String(require('node:os').getPriority()));`;
    });
    await sharp({ create: { width: 2_560, height: 100, channels: 3, background: 'red' } })
      .png()
      .toFile(join(folder, 'frame.png'));
    const poster = { name: 'poster', contentType: 'image/webp', width: 1_280, height: 50 };
    expect(await run(job)).toMatchObject({ state: 'READY', thumbHash: expect.any(String), variants: [poster] });
    // It has a lower priority than the node, like everything in this process.
    const priority = Number(await readFile(join(folder, 'priority'), 'utf8'));
    expect(priority).toBeGreaterThanOrEqual(constants.priority.PRIORITY_BELOW_NORMAL);
    expect(await sharp(`${job.output}poster`).metadata()).toMatchObject({ format: 'webp', width: 1_280 });
    expect((await readdir(folder)).filter((name) => name.startsWith('new-')).sort()).toEqual([
      'new-original',
      'new-poster',
    ]);
  });

  it('is absent if ffmpeg fails, or takes too long', async () => {
    const { job } = await makeJob(() => 'process.exit(1);');
    expect(await run(job)).toMatchObject({ state: 'READY', variants: [] });
    const slow = await makeJob(() => 'setInterval(() => {}, 1_000);');
    const ffmpeg = { path: slow.job.ffmpeg?.path ?? '', timeoutMs: 300 };
    expect(await run({ ...slow.job, ffmpeg })).toMatchObject({ state: 'READY', variants: [] });
  });

  it('is given up when the time limit of the process is reached, and ffmpeg ends as well', async () => {
    const { folder, job } = await makeJob((where) => {
      const pid = JSON.stringify(join(where, 'pid'));
      return `require('node:fs').writeFileSync(${pid}, String(process.pid)); setInterval(() => {}, 1_000);`;
    });
    const made = createMediaProcess(60_000);
    const running = made.run(job);
    const ended = expect(running).rejects.toThrow(ProcessEnded);
    await eventually('ffmpeg runs', () => existsSync(join(folder, 'pid')));
    made.close();
    await ended;
    const pid = Number(await readFile(join(folder, 'pid'), 'utf8'));
    await eventually('ffmpeg has ended', () => {
      try {
        return !process.kill(pid, 0);
      } catch {
        return true;
      }
    });
  });

  it.skipIf(installed === undefined)('is not made of frames that the installed ffmpeg cannot decode', async () => {
    const { job } = await makeJob(() => '');
    const ffmpeg = { path: installed ?? '', timeoutMs: 20_000 };
    expect(await run({ ...job, ffmpeg })).toMatchObject({ state: 'READY', variants: [] });
  });

  it.skipIf(installed === undefined)('is a frame of the video if the installed ffmpeg can decode it', async () => {
    const film = [
      '-f',
      'lavfi',
      '-i',
      'color=red:size=160x120:rate=10:duration=3',
      '-c:v',
      'libx264',
      '-pix_fmt',
      'yuv420p',
    ];
    const { job } = await makeJob(() => '', 'VIDEO', await createdBy(film, 'film.mp4'));
    const poster = { name: 'poster', width: 160, height: 120 };
    const ffmpeg = { path: installed ?? '', timeoutMs: 20_000 };
    expect(await run({ ...job, ffmpeg })).toMatchObject({ state: 'READY', variants: [poster] });
    const { dominant } = await sharp(`${job.output}poster`).stats();
    expect(dominant.r).toBeGreaterThan(200);
    expect(dominant.b).toBeLessThan(50);
  });
});

it.skipIf(installed === undefined)('ffprobe finds no place in a video, and the same rotation as before', async () => {
  const film = [
    '-f',
    'lavfi',
    '-i',
    'color=red:size=160x120:rate=10:duration=1',
    '-c:v',
    'libx264',
    '-pix_fmt',
    'yuv420p',
  ];
  const straight = await createdBy(film, 'film.mp4');
  const folder = await mkdtemp(join(inject('scratch'), 'media-'));
  await writeFile(join(folder, 'film.mp4'), straight);
  const tags = ['-metadata', 'location=+52.5200+013.4050/', '-metadata', 'com.apple.quicktime.make=Secret'];
  const turned = [
    '-i',
    join(folder, 'film.mp4'),
    '-c',
    'copy',
    '-metadata:s:v',
    'rotate=90',
    '-movflags',
    'use_metadata_tags',
  ];
  const bytes = await createdBy([...turned, ...tags], 'turned.mp4');
  const { job } = await makeJob(() => '', 'VIDEO', bytes);
  expect(await run({ ...job, ffmpeg: null })).toMatchObject({ state: 'READY', width: 120, height: 160 });
  const probe = async (path: string) => {
    const asked = ['-v', 'error', '-of', 'json', '-show_format', '-show_streams', path];
    return (await promisify(execFile)(join(dirname(installed ?? ''), 'ffprobe'), asked)).stdout;
  };
  const [before, after] = [await probe(job.path), await probe(`${job.output}original`)];
  expect(before).toContain('+52.5200+013.4050/');
  expect(after).not.toMatch(/52\.52|Secret|"location/);
  const rotationOf = (text: string) => /"rotation": (-?\d+)/.exec(text)?.[1];
  expect(rotationOf(before)).toMatch(/90$/);
  expect(rotationOf(after)).toBe(rotationOf(before));
});

describe('the waveform of a recording that only ffmpeg can decode', () => {
  it('is made of the samples that it returns', async () => {
    // One second, which is silent and then loud. It is written in pieces that end within a sample.
    const samples = `const samples = Buffer.alloc(16_000);
      for (let at = 8_000; at < 16_000; at += 2) samples.writeInt16LE(at % 4 === 0 ? 16_384 : -16_384, at);
      process.stdout.write(samples.subarray(0, 7_777), () => process.stdout.write(samples.subarray(7_777)));`;
    const { folder, job } = await makeJob(
      (where) =>
        `require('node:fs').writeFileSync(${JSON.stringify(join(where, 'arguments'))}, process.argv.join('\\n'));${samples}`,
      'VOICE',
      await makeAac(),
    );
    const waveform = [...new Array(32).fill(0), ...new Array(32).fill(50)];
    expect(await run(job)).toMatchObject({ state: 'READY', contentType: 'audio/mp4', durationMs: 1_000, waveform });
    // It reads nothing but the file, in the format that was found.
    const given = (await readFile(join(folder, 'arguments'), 'utf8')).split('\n');
    expect(given).toEqual(expect.arrayContaining(['file', 'mov', `file:${job.output}original`]));
  });

  it('is empty if ffmpeg fails, takes too long or does not exist', async () => {
    const aac = await makeAac();
    const ofRun = async (script: string, more: Partial<Job['ffmpeg']> = {}) => {
      const { job } = await makeJob(() => script, 'VOICE', aac);
      return run({ ...job, ffmpeg: job.ffmpeg && { ...job.ffmpeg, ...more } });
    };
    const expected = { state: 'READY', durationMs: 1_000, waveform: [] };
    expect(await ofRun('process.stdout.write(Buffer.alloc(16_000, 1), () => process.exit(1));')).toMatchObject(
      expected,
    );
    expect(await ofRun('setInterval(() => {}, 1_000);', { timeoutMs: 300 })).toMatchObject(expected);
    expect(await ofRun('', { path: '/nothing/here' })).toMatchObject(expected);
  });

  it.skipIf(installed === undefined).each(['m4a', 'mp3'])(
    'follows the loudness of a real recording in %s',
    async (format) => {
      const tone = ['-f', 'lavfi', '-i', 'sine=frequency=440:duration=2', '-af', 'volume=volume=t*4:eval=frame'];
      const { job } = await makeJob(() => '', 'VOICE', await createdBy(tone, `tone.${format}`));
      const ffmpeg = { path: installed ?? '', timeoutMs: 20_000 };
      const result = await run({ ...job, ffmpeg });
      expect(result.state).toBe('READY');
      const { waveform = [] } = result as { waveform?: number[] };
      expect(waveform).toHaveLength(64);
      const [early = 0, middle = 0, late = 0] = [waveform[8], waveform[32], waveform[56]];
      expect(early).toBeLessThan(middle);
      expect(middle).toBeLessThan(late);
      expect(late).toBeGreaterThan(50);
    },
  );
});
