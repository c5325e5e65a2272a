import { gzipSync } from 'node:zlib';
import { build, type Rollup } from 'vite';
import { expect, it } from 'vitest';

it('the package is at most 58 KiB with everything that it depends on', async () => {
  const result = (await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      target: 'es2022',
      rolldownOptions: { input: 'packages/e2ee/src/index.ts', preserveEntrySignatures: 'strict' },
    },
  })) as Rollup.RollupOutput;
  const sizes = result.output.map((chunk) => ('code' in chunk ? gzipSync(chunk.code, { level: 9 }).length : 0));
  console.log(`@parley/e2ee: ${sizes.join(' + ')} bytes after compression`);
  // Ed25519 in JavaScript is loaded only where Web Crypto does not have it.
  expect(sizes.length).toBeGreaterThan(1);
  expect(sizes[0]).toBeGreaterThan(20_000);
  expect(sizes[0]).toBeLessThanOrEqual(58 * 1_024);
});
