// Runs all checks that do not start the product. `npm run check` prepares and runs this.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { buildSchema, findBreakingChanges } from 'graphql';
import pLimit from 'p-limit';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { clientFiles } from './client.mjs';
import { configurationFiles } from './configuration.mjs';

const bin = (name) => join('node_modules', '.bin', name);

const checks = {
  // The longest ones first, because several run at once.
  'types of the tests': () => types('test'),
  'format, lint, no cycles between files': () => run(bin('biome'), ['check', '--error-on-warnings']),
  'the migrations result in schema.prisma, lock at most one busy table each, and state which versions may run on them':
    () => run(process.execPath, ['prisma/check.mjs']),
  'types of the server': () => types('.'),
  'unused files, exports and dependencies': () => run(bin('knip'), []),
  'types of the web app': () => types('web'),
  'schema.graphql is generated (else: npm run schema)': async () => {
    const { status, output } = await run(process.execPath, ['dist/print-schema.js']);
    const same = output === readFileSync('schema.graphql', 'utf8');
    return { status: status || Number(!same), output: same ? '' : output.slice(0, 2_000) };
  },
  'docs/CONFIGURATION.md and .env.example are generated (else: node deploy/run.mjs configuration)': () =>
    differing(configurationFiles()),
  'web/src/generated is generated (else: npm run codegen)': () =>
    run(bin('graphql-codegen'), ['--config', 'web/codegen.ts', '--check']),
  'the operations of packages/client are generated (else: npm run codegen)': async () => differing(await clientFiles()),
  'packages/client has correct types and can be published': () => publishable('client'),
  'packages/e2ee has correct types and can be published': () => publishable('e2ee'),
  'schema.graphql breaks nothing of the last release': sinceLastRelease,
  'everything in schema.graphql is described': () => run(process.execPath, ['deploy/descriptions.mjs']),
  'layers, no cycles between folders': () => run(process.execPath, ['deploy/layers.mjs']),
  'README.md has at most 130 lines, so that it is read to its end': shortReadme,
  'texts and pages contain no avoided words': () => run(process.execPath, ['deploy/messages.mjs']),
};

// Several wait for a process that uses one core.
const limit = pLimit(availableParallelism());
const results = Object.entries(checks).map(([name, check]) => limit(() => checked(name, check)));
const failures = (await Promise.all(results)).filter((isOk) => !isOk);
process.exitCode = failures.length === 0 ? 0 : 1;

/** Runs a check and prints its result. */
async function checked(name, check) {
  const started = Date.now();
  const { status, output, note } = await check();
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${note ?? `${seconds} s`})`);
  if (status !== 0) console.log(output);
  return status === 0;
}

/** Compares files with what they should contain. */
function differing(files) {
  const differences = Object.entries(files).filter(([path, text]) => readFileSync(path, 'utf8') !== text);
  return {
    status: differences.length === 0 ? 0 : 1,
    output: differences.map(([path]) => `${path} differs`).join('\n'),
  };
}

/**
 * Checks the types of a project. What was checked is stored, so that the next run checks only what has changed. One thread,
 * because several would check many types more than once, while another check uses the other core.
 */
function types(project) {
  const stored = join('node_modules', '.cache', 'parley', `${project === '.' ? 'server' : project}.tsbuildinfo`);
  const options = ['--noEmit', '--incremental', '--tsBuildInfoFile', stored, '--checkers', '1'];
  return run(bin('tsc'), ['-p', project, ...options]);
}

/** Builds a package with its types, and checks its entry points and types as others would use them. */
async function publishable(name) {
  const folder = join('packages', name);
  const built = await run(bin('tsc'), ['-p', folder]);
  if (built.status !== 0) return built;
  const { messages, pkg } = await publint({ pkgDir: folder, strict: true, pack: 'npm' });
  const output = messages.map((message) => formatMessage(message, pkg)).join('\n');
  return { status: messages.length === 0 ? 0 : 1, output };
}

/** What belongs to one group of readers is in docs/, which README.md links. */
function shortReadme() {
  const count = readFileSync('README.md', 'utf8').trimEnd().split('\n').length;
  return { status: count <= 130 ? 0 : 1, output: `README.md has ${count} lines`, note: `${count} lines` };
}

/** The schema of each release is kept as a file, because clones may lack the tags. */
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

/** Runs a program. The output of a successful one is what it wrote to its standard output. */
function run(program, list) {
  return new Promise((resolve) => {
    const child = spawn(program, list, { stdio: ['ignore', 'pipe', 'pipe'] });
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'])
      child[name].setEncoding('utf8').on('data', (text) => (texts[name] += text));
    child.on('error', (error) => resolve({ status: 1, output: String(error) }));
    child.on('close', (code) =>
      resolve({ status: code ?? 1, output: code === 0 ? texts.stdout : texts.stdout + texts.stderr }),
    );
  });
}
