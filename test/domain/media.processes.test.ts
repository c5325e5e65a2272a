import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, inject, it, onTestFinished } from 'vitest';
import { createMediaProcess, type Job, ProcessDied } from '../../src/domain/media/media.processes.js';
import { makePicture } from '../support/media.js';

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
