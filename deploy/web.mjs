// Builds the web app: dist/web/files with a compressed variant of each text, and dist/web/documents.json with the
// operations that the app sends. `node deploy/run.mjs build` runs it.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { build, runnerImport } from 'vite';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const output = join(root, 'dist', 'web');
/** Files that are smaller than a network packet gain nothing. */
const COMPRESSED_MIN_BYTES = 1_000;

await build({ configFile: join(root, 'web', 'vite.config.ts'), logLevel: 'warn' });
await Promise.all(filesIn(join(output, 'files')).map(compress));
writeFileSync(join(output, 'documents.json'), JSON.stringify(await documents()));

function filesIn(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

async function compress(path) {
  const body = readFileSync(path);
  if (body.length < COMPRESSED_MIN_BYTES || !/\.(css|html|js|json|svg|txt|webmanifest)$/.test(path)) return;
  const [br, gz] = await Promise.all([
    promisify(brotliCompress)(body, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: body.length } }),
    promisify(gzip)(body, { level: 9 }),
  ]);
  writeFileSync(`${path}.br`, br);
  writeFileSync(`${path}.gz`, gz);
}

/** The texts of the operations by their hashes, as the app sends them. */
async function documents() {
  const modules = [
    ...['web/src/generated/graphql.ts', 'web/src/generated/screens/graphql.ts'],
    ...readdirSync(join(root, 'packages/client/src/generated')).map((name) => `packages/client/src/generated/${name}`),
  ];
  const loaded = await Promise.all(modules.map((path) => runnerImport(join(root, path), { logLevel: 'error' })));
  const texts = loaded
    .flatMap(({ module }) => Object.entries(module))
    .filter(([name, text]) => /Document$/.test(name) && typeof text.valueOf() === 'string')
    .map(([, text]) => String(text));
  const { module: e2ee } = await runnerImport(join(root, 'packages/e2ee/src/api.ts'), { logLevel: 'error' });
  texts.push(...Object.values(e2ee.e2eeDocuments));
  return Object.fromEntries(texts.map((text) => [createHash('sha256').update(text).digest('hex'), text]));
}
