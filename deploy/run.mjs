#!/usr/bin/env node
// What `npm start`, `npm test` and the other commands do first: install, generate and build what is not up to date.
// Plain Node and nothing else, for on a fresh clone there is nothing else. Under a lock, so that several commands can
// be started in one checkout at once.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);
requireSupportedNode();
const bin = (name) => join('node_modules', '.bin', name);
// Prisma's command line would ask its vendor whether there is a newer version.
process.env.CHECKPOINT_DISABLE = '1';
// As npm does it: Prisma looks for its generators there.
process.env.PATH = [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter);

const steps = {
  install: {
    // npm writes that file last; it is as new as what is installed.
    upToDate: () => modified('node_modules/.package-lock.json') >= modified('package-lock.json'),
    // With what it takes to build, which NODE_ENV=production would leave out.
    run: () => call('npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']),
  },
  generate: {
    stamp: 'src/generated/.stamp',
    inputs: ['prisma/schema.prisma', 'package-lock.json'],
    // Prisma asks for its schema engine and does not use it: see deploy/schema-engine-absent.
    run: () =>
      call(bin('prisma'), ['generate'], {
        PRISMA_SCHEMA_ENGINE_BINARY: join(root, 'deploy', 'schema-engine-absent'),
        PRISMA_HIDE_UPDATE_MESSAGE: '1',
      }),
  },
  build: {
    stamp: 'dist/.stamp',
    inputs: ['src', 'tsconfig.json', 'package-lock.json'],
    run: () => call(bin('tsc'), []),
  },
  codegen: {
    stamp: 'test/generated/.stamp',
    inputs: ['schema.graphql', 'codegen.ts', 'test/clients', 'package-lock.json'],
    run: () => call(bin('graphql-codegen'), ['--errors-only']),
  },
};

/**
 * Environments that are as ordinary as that of the developers, for `npm run test:environments`. The process gets the
 * variables; TEST_DATABASE_SETTINGS are the defaults of the databases that the tests create, in both modes.
 */
const environments = {
  'New York': { TZ: 'America/New_York', TEST_DATABASE_SETTINGS: 'timezone=America/New_York' },
  'Kolkata, other formats': {
    TZ: 'Asia/Kolkata',
    TEST_DATABASE_SETTINGS:
      'timezone=Asia/Kolkata;datestyle=SQL, DMY;intervalstyle=iso_8601;bytea_output=escape;default_transaction_isolation=serializable',
  },
};

const commands = {
  /**
   * Serves. In this very process, so that signals reach it; and package.json says `exec`, for the shell that npm puts
   * between would die of SIGTERM and leave this process running. (What follows `||` is for Windows, which has no exec.)
   */
  start: { settings: true, needs: ['install', 'generate', 'build'], run: () => import('../dist/main.js') },
  /** Serves, and again after every change of src. */
  dev: {
    settings: true,
    needs: ['install', 'generate', 'build'],
    run: serveAndWatch,
  },
  seed: { settings: true, needs: ['install', 'generate', 'build'], run: () => import('../dist/seed.js') },
  /** Says who is what in the whole service: `npm run role -- <username> [ADMIN | MODERATOR | USER]`. */
  role: {
    settings: true,
    needs: ['install', 'generate', 'build'],
    run: (args) => {
      process.argv = [process.argv[0], 'role', ...args];
      return import('../dist/role.js');
    },
  },
  /** Applies the migrations that the database lacks, and ends. */
  migrate: { settings: true, needs: ['install', 'generate', 'build'], run: () => import('../dist/migrate.js') },
  /** Copies the embedded database to PostgreSQL: `npm run move -- postgresql://…`. */
  move: {
    settings: true,
    needs: ['install', 'generate', 'build'],
    run: (args) => {
      process.argv = [process.argv[0], 'move', ...args];
      return import('../dist/move.js');
    },
  },
  test: {
    needs: ['install', 'generate', 'build', 'codegen'],
    run: (args) => together([bin('vitest'), ['run', ...args]]),
  },
  /** The fault tests with the numbers of docs/FAULTS.md, all or those whose files are named; `npm test` runs a short form. */
  'test:faults': {
    needs: ['install', 'generate', 'build', 'codegen'],
    run: (args) => {
      process.env.FAULTS = 'long';
      return together([bin('vitest'), ['run', '--maxWorkers=1', ...withFiles(args, 'test/faults')]]);
    },
  },
  /** One hostile user for 20 seconds an attack, with latencies asserted; `npm test` runs a short form without them. */
  'test:attacks': {
    needs: ['install', 'generate', 'build', 'codegen'],
    run: (args) => {
      process.env.ATTACKS = 'long';
      return together([bin('vitest'), ['run', '--maxWorkers=1', ...withFiles(args, 'test/attacks/hostile.test.ts')]]);
    },
  },
  /** The whole suite once in each environment below; further arguments choose tests, as those of `npm test` do. */
  'test:environments': {
    needs: ['install', 'generate', 'build', 'codegen'],
    run: async (args) => {
      const failed = [];
      for (const [name, env] of Object.entries(environments)) {
        console.log(`\nparley: ${name}: ${JSON.stringify(env)}`);
        const before = { ...process.env };
        Object.assign(process.env, env);
        await together([bin('vitest'), ['run', ...args]]);
        if (process.exitCode !== 0) failed.push(name);
        process.env = before;
      }
      console.log(`\nparley: ${failed.length === 0 ? 'all environments passed' : `failed: ${failed.join(', ')}`}`);
      process.exitCode = failed.length === 0 ? 0 : 1;
    },
  },
  check: { needs: ['install', 'generate', 'build', 'codegen'], run: () => import('./check.mjs') },
  /** Writes schema.graphql. */
  schema: {
    needs: ['install', 'generate', 'build'],
    run: () => writeFileSync('schema.graphql', output(process.execPath, ['dist/print-schema.js'])),
  },
  /** Writes docs/CONFIGURATION.md and .env.example. */
  configuration: {
    needs: ['install', 'generate', 'build'],
    run: async () => {
      const { configurationFiles } = await import('./configuration.mjs');
      for (const [path, text] of Object.entries(configurationFiles())) writeFileSync(path, text);
    },
  },
  codegen: { needs: ['install', 'codegen'], run: () => {} },
  /** How good and how fast the embedded summarizer is: docs/SUMMARIES.md. */
  'bench:summaries': { needs: ['install', 'generate', 'build'], run: () => import('../bench/summaries/run.mjs') },
  /** What a server needs and no more: for the Dockerfile. */
  build: { needs: ['install', 'generate', 'build'], run: () => {} },
  prepare: { needs: ['install', 'generate', 'build', 'codegen'], run: () => {} },
};

const [name, ...args] = process.argv.slice(2);
const command = commands[name];
if (!command) {
  console.error(`usage: node deploy/run.mjs ${Object.keys(commands).join(' | ')}`);
  process.exit(2);
}
prepare(command.needs);
// What the environment says already stays as it is.
if (command.settings && existsSync('.env')) process.loadEnvFile('.env');
await command.run(args);

/**
 * Ends with a message when this Node is none that package.json names: before anything is installed, for what is installed
 * would fail in ways that do not say why. Everything above runs on Node 16.
 */
function requireSupportedNode() {
  const { engines } = JSON.parse(readFileSync('package.json', 'utf8'));
  const [major, minor] = process.version.slice(1).split('.').map(Number);
  const isSupported = engines.node.split('||').some((range) => {
    const [, operator, leastMajor, leastMinor = '0'] = /^\s*(\^|>=)(\d+)(?:\.(\d+))?/.exec(range);
    if (major === Number(leastMajor)) return minor >= Number(leastMinor);
    return operator === '>=' && major > Number(leastMajor);
  });
  if (isSupported) return;
  const needed = engines.node
    .replace(/[\^>=\s]/g, '')
    .split('||')
    .join(', ');
  console.error(`parley: Node ${needed} or newer is needed; this is Node ${process.version.slice(1)}.`);
  console.error(
    'parley: Install it (https://nodejs.org/en/download, or `nvm install 24`), and run the same command again.',
  );
  process.exit(1);
}

/**
 * Arguments for Vitest, with `files` unless they name test files themselves: Vitest would run the files of both. An
 * argument after an option is the option's value, unless it is the path of a file.
 */
function withFiles(args, files) {
  const tests = readdirSync('test', { recursive: true }).map((path) => join('test', path));
  const namesFiles = args.some((arg, index) => {
    if (arg.startsWith('-')) return false;
    if (existsSync(arg)) return true;
    const isValue = /^--?[^=]+$/.test(args[index - 1] ?? '');
    return !isValue && tests.some((path) => path.includes(arg));
  });
  return namesFiles ? args : [files, ...args];
}

function prepare(needs) {
  const pending = () => needs.map((need) => [need, steps[need]]).filter(([, step]) => !isUpToDate(step));
  if (pending().length === 0) return;
  const unlock = lock();
  try {
    // Once more each time: another process may have done it, and one step makes the next one's inputs.
    for (const need of needs) {
      const step = steps[need];
      if (isUpToDate(step)) continue;
      const started = Date.now();
      process.stderr.write(`parley: ${need} …`);
      step.run();
      if (step.stamp) {
        mkdirSync(dirname(step.stamp), { recursive: true });
        writeFileSync(step.stamp, digest(step.inputs));
      }
      process.stderr.write(` ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
    }
  } finally {
    unlock();
  }
}

function isUpToDate(step) {
  if (step.upToDate) return step.upToDate();
  try {
    return readFileSync(step.stamp, 'utf8') === digest(step.inputs);
  } catch {
    return false;
  }
}

/** One digest of the files and everything in the folders; what was generated is an input too (of the build). */
function digest(inputs) {
  const hash = createHash('sha256').update(process.version);
  const add = (path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory()) for (const entry of readdirSync(path).sort()) add(join(path, entry));
    else if (stat && !path.endsWith('.stamp')) hash.update(`\n${relative(root, path)}\n`).update(readFileSync(path));
  };
  for (const input of inputs) add(join(root, input));
  return hash.digest('hex');
}

/** A folder is made by one process only. The lock of a process that is gone is taken over. */
function lock() {
  const path = 'dist/.lock';
  mkdirSync('dist', { recursive: true });
  for (let told = false; ; ) {
    try {
      mkdirSync(path);
      writeFileSync(join(path, 'pid'), String(process.pid));
      const unlock = () => rmSync(path, { recursive: true, force: true });
      process.once('exit', unlock);
      return () => {
        process.off('exit', unlock);
        unlock();
      };
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const age = Date.now() - (modified(path) || Date.now());
    const holder = Number.parseInt(read(join(path, 'pid')), 10);
    if (Number.isNaN(holder) ? age > 5_000 : !isAlive(holder)) {
      rmSync(path, { recursive: true, force: true });
      continue;
    }
    if (!told) console.error('parley: another command is preparing this checkout; waiting for it');
    told = true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Runs a step; what it says is shown only when it fails, which ends everything. */
function call(program, list, env = {}) {
  output(program, list, env);
}

function output(program, list, env = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, list, {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    shell: process.platform === 'win32',
  });
  if (status === 0) return stdout;
  console.error(`\nparley: ${program} ${list.join(' ')} failed\n${stdout ?? ''}${stderr ?? ''}${error ?? ''}`);
  process.exit(1);
}

/** Builds and serves anew whenever something in src or prisma changes; what does not build leaves the old one running. */
async function serveAndWatch() {
  let server;
  let timer;
  const serve = () => {
    server = spawn(process.execPath, ['dist/main.js'], { stdio: 'inherit' });
  };
  const renew = () => {
    if (spawnSync(process.execPath, ['deploy/run.mjs', 'build'], { stdio: 'inherit' }).status !== 0) return;
    const old = server;
    if (old.exitCode !== null || !old.kill('SIGTERM')) serve();
    else old.once('exit', serve);
  };
  for (const folder of ['src', 'prisma']) {
    watch(folder, { recursive: true }, (_event, file) => {
      if (file?.startsWith('generated')) return;
      clearTimeout(timer);
      timer = setTimeout(renew, 100);
    });
  }
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      server.once('exit', (code) => process.exit(code ?? 1));
      if (server.exitCode !== null || !server.kill(signal)) process.exit(0);
    });
  }
  serve();
}

/** Runs programs until the first of them ends, and ends with its status; signals reach them all. */
async function together(...programs) {
  const children = programs.map(([program, list]) => spawn(program, list, { stdio: 'inherit' }));
  const killAll = (signal) => {
    for (const child of children) child.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, killAll);
  const status = await Promise.race(
    children.map((child) => new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)))),
  );
  killAll('SIGTERM');
  process.exitCode = status;
}
