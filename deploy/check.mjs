// Everything that a machine can check without running the product. `npm run check` prepares and then runs this.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSchema, findBreakingChanges } from 'graphql';
import { configurationFiles } from './configuration.mjs';

const bin = (name) => join('node_modules', '.bin', name);

const checks = {
  'format, lint, no cycles between files': () => run(bin('biome'), ['check', '--error-on-warnings']),
  'layers, no cycles between folders': () => run(process.execPath, ['deploy/layers.mjs']),
  'types of the tests': () => run(bin('tsc'), ['-p', 'test']),
  'unused files, exports and dependencies': () => run(bin('knip'), []),
  'schema.graphql is what the code says (else: npm run schema)': () => {
    const { status, output } = run(process.execPath, ['dist/print-schema.js']);
    const same = output === readFileSync('schema.graphql', 'utf8');
    return { status: status || Number(!same), output: same ? '' : output.slice(0, 2_000) };
  },
  'docs/CONFIGURATION.md and .env.example are generated (else: node deploy/run.mjs configuration)':
    generatedConfiguration,
  'schema.graphql breaks nothing of the last release': sinceLastRelease,
  'everything in schema.graphql is described': () => run(process.execPath, ['deploy/descriptions.mjs']),
  'texts in src contain no avoided words': () => run(process.execPath, ['deploy/messages.mjs']),
  'the migrations make what schema.prisma says': () => run(process.execPath, ['prisma/drift.mjs']),
  'each migration locks one busy table at most, and says who may run on it': () =>
    run(process.execPath, ['prisma/locks.mjs']),
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  const started = Date.now();
  const { status, output, note } = check();
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${note ?? `${seconds} s`})`);
  if (status === 0) continue;
  failed += 1;
  console.log(output);
}
process.exitCode = failed === 0 ? 0 : 1;

function generatedConfiguration() {
  const differing = Object.entries(configurationFiles()).filter(([path, text]) => readFileSync(path, 'utf8') !== text);
  return { status: differing.length === 0 ? 0 : 1, output: differing.map(([path]) => `${path} differs`).join('\n') };
}

/** The schema of each release is kept as a file: clones may lack the tags. */
function sinceLastRelease() {
  const folder = join('test', 'releases');
  const released = readdirSync(folder).filter((name) => name.endsWith('.schema.graphql'));
  const name = released.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
  if (name === undefined) return { status: 1, output: `${folder} has no schema of a release` };
  const [before, now] = [join(folder, name), 'schema.graphql'].map((path) => buildSchema(readFileSync(path, 'utf8')));
  const breaks = findBreakingChanges(before, now);
  const output = breaks.map(({ type, description }) => `${type}: ${description}`).join('\n');
  return { status: breaks.length === 0 ? 0 : 1, output, note: `against ${name.replace('.schema.graphql', '')}` };
}

function run(program, list) {
  const { status, stdout, stderr, error } = spawnSync(program, list, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  return { status: status ?? 1, output: status === 0 ? stdout : `${stdout ?? ''}${stderr ?? ''}${error ?? ''}` };
}
