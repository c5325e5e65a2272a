import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { createMediaProcess, type Job, ProcessDied } from '../../src/domain/media/media.processes.js';
import { eventually } from '../support/client.js';
import { makePicture, makeVideo } from '../support/media.js';

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
  await expect(impatient.run(job)).rejects.toThrow(ProcessDied);
  await expect(impatient.run(job)).rejects.toThrow(ProcessDied);
  expect(await patient.run(job)).toMatchObject({ state: 'READY', contentType: 'image/jpeg', width: 600 });
  expect(await patient.run({ ...job, pixelsMax: 100 })).toMatchObject({ state: 'REJECTED' });
});

describe('the poster of a video', () => {
  /** A program that runs this script in place of ffmpeg. */
  async function programOf(folder: string, script: string): Promise<string> {
    const path = join(folder, 'ffmpeg');
    await writeFile(path, `#!${process.execPath}\n${script}`, { mode: 0o700 });
    return path;
  }
  async function makeJob(script: (folder: string) => string): Promise<{ folder: string; job: Job }> {
    const folder = await mkdtemp(join(inject('scratch'), 'media-'));
    const path = join(folder, 'upload');
    const video = await makeVideo('mp4');
    await writeFile(path, video);
    const ffmpeg = { path: await programOf(folder, script(folder)), timeoutMs: 20_000 };
    const limits = { sha256: null, pixelsMax: 1_000_000 };
    return {
      folder,
      job: { path, kind: 'VIDEO', byteSize: video.length, ...limits, output: join(folder, 'new-'), ffmpeg },
    };
  }
  function run(job: Job, timeoutMs = 60_000) {
    const made = createMediaProcess(timeoutMs);
    onTestFinished(() => made.close());
    return made.run(job);
  }

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
    const ended = expect(running).rejects.toThrow(ProcessDied);
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

  const installed = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((path) => join(path, 'ffmpeg'))
    .find((path) => existsSync(path));
  it.skipIf(installed === undefined)('is not made of frames that the installed ffmpeg cannot decode', async () => {
    const { job } = await makeJob(() => '');
    const ffmpeg = { path: installed ?? '', timeoutMs: 20_000 };
    expect(await run({ ...job, ffmpeg })).toMatchObject({ state: 'READY', variants: [] });
  });
});
