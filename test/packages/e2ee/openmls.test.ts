import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { build, type Rollup } from 'vite';
import { beforeAll, expect, inject, it } from 'vitest';
import { installIn } from '../../support/examples.js';

const exec = promisify(execFile);
const peer = 'test/packages/e2ee/openmls';

let isInstalled = true;
beforeAll(async () => {
  try {
    await installIn(peer);
  } catch (error) {
    if (process.env['REQUIRE_SERVICES'] === '1') throw error;
    console.log(`OpenMLS is not tested, because it cannot be installed: ${error}`);
    isInstalled = false;
  }
});

/** The port to MLS as one file. */
async function buildPort(path: string): Promise<void> {
  const entry = 'virtual:port';
  const source = ['mls', 'crypto'].map(
    (name) => `export * from ${JSON.stringify(resolve(`packages/e2ee/src/${name}.ts`))};`,
  );
  const result = (await build({
    configFile: false,
    logLevel: 'error',
    plugins: [
      {
        name: 'port',
        resolveId: (id) => (id === entry ? id : null),
        load: (id) => (id === entry ? source.join('') : null),
      },
    ],
    build: {
      write: false,
      target: 'es2022',
      minify: false,
      rolldownOptions: { input: entry, preserveEntrySignatures: 'strict', output: { codeSplitting: false } },
    },
  })) as Rollup.RollupOutput;
  await writeFile(path, result.output[0].code);
}

it('OpenMLS and this package accept each other’s key packages, commits and joins, and agree on secrets', async ({
  skip,
}) => {
  if (!isInstalled) skip();
  const port = join(inject('scratch'), 'mls-port.mjs');
  await buildPort(port);
  const { stdout } = await exec(process.execPath, [resolve(peer, 'interop.mjs'), port]);
  expect(JSON.parse(stdout.trim().split('\n').at(-1) as string)).toEqual({
    'OpenMLS joins with our Welcome': { epoch: 1, members: 2, isEqual: true },
    'OpenMLS commits': { epoch: 2, members: 2, isEqual: true },
    'we commit': { epoch: 3, members: 2, isEqual: true },
    'we join by ourselves': { epoch: 5, members: 3, isEqual: true },
    'OpenMLS joins by itself': { epoch: 6, members: 4, isEqual: true },
    'we remove a device': { epoch: 7, members: 3, isEqual: true },
    sameView: true,
    identities: 4,
  });
});
