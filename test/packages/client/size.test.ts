import { gzipSync } from 'node:zlib';
import { build, type Rollup } from 'vite';
import { expect, it } from 'vitest';

/** The size of an entry point in an application, in bytes after compression. */
async function sizeOf(entry: string): Promise<number> {
  const result = (await build({
    configFile: false,
    logLevel: 'error',
    build: { write: false, target: 'es2022', rolldownOptions: { input: entry, preserveEntrySignatures: 'strict' } },
  })) as Rollup.RollupOutput;
  const [chunk, ...others] = result.output;
  expect(others).toEqual([]);
  return gzipSync(chunk.code, { level: 9 }).length;
}

it('the client is at most 13.5 KiB', async () => {
  const size = await sizeOf('packages/client/src/index.ts');
  console.log(`@parley/client: ${size} bytes after compression`);
  expect(size).toBeGreaterThan(8_000);
  expect(size).toBeLessThanOrEqual(13.5 * 1_024);
});

it('the text parser is at most 2.5 KiB', async () => {
  const size = await sizeOf('packages/client/src/text.ts');
  console.log(`@parley/client/text: ${size} bytes after compression`);
  expect(size).toBeGreaterThan(1_000);
  expect(size).toBeLessThanOrEqual(2_560);
});
