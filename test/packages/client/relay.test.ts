import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, inject, it } from 'vitest';
import { installIn } from '../../support/examples.js';

const exec = promisify(execFile);
const source = 'test/packages/client/relay';

let isInstalled = true;
beforeAll(async () => {
  try {
    await installIn(source);
  } catch (error) {
    if (process.env['REQUIRE_SERVICES'] === '1') throw error;
    console.log(`Relay's compiler is not tested, because it cannot be installed: ${error}`);
    isInstalled = false;
  }
});

it('Relay’s compiler accepts the schema and the operations, and writes the committed files', async ({ skip }) => {
  if (!isInstalled) skip();
  const page = await readFile('docs/CLIENTS.md', 'utf8');
  const [, config = ''] = /### Relay\n.*?```json\n(.*?)\n```/s.exec(page) ?? [];
  const folder = join(inject('scratch'), 'relay');
  await mkdir(join(folder, 'src'), { recursive: true });
  await writeFile(join(folder, 'relay.config.json'), config);
  await cp('schema.graphql', join(folder, 'schema.graphql'));
  await cp(join(source, 'chat.ts'), join(folder, 'src/chat.ts'));
  await exec(resolve(source, 'node_modules/.bin/relay-compiler'), ['relay.config.json'], { cwd: folder });

  const [written, committed] = [join(folder, 'src/__generated__'), join(source, '__generated__')];
  const names = await readdir(written);
  expect(names.length).toBeGreaterThan(1);
  const otherwise = `run: npm run compile --prefix ${source}`;
  expect(await readdir(committed), otherwise).toEqual(names);
  for (const name of names) {
    const text = await readFile(join(written, name), 'utf8');
    expect(await readFile(join(committed, name), 'utf8'), otherwise).toBe(text);
  }
});
