#!/usr/bin/env node
// Prepares and runs `npm start`, `npm test` and the other commands: installs, generates and builds what is not up to
// date. It only uses Node itself, because a fresh clone has no packages. A lock allows several commands to be started
// in one checkout at once.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);
requireSupportedNode();
const bin = (name) => join('node_modules', '.bin', name);
// Prevents Prisma's command line from checking for new versions.
process.env.CHECKPOINT_DISABLE = '1';
// As npm does: Prisma looks for its generators in the PATH.
process.env.PATH = [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter);

const steps = {
  install: {
    // npm writes this file last, so its time is that of the installation.
    upToDate: () => modified('node_modules/.package-lock.json') >= modified('package-lock.json'),
    // Includes the build dependencies, which NODE_ENV=production would omit.
    run: () => call('npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']),
  },
  generate: {
    stamp: 'src/generated/.stamp',
    inputs: ['prisma/schema.prisma', 'package-lock.json'],
    // Prisma requires its schema engine but does not use it: see deploy/schema-engine-absent.
    run: () =>
      call(bin('prisma'), ['generate'], {
        PRISMA_SCHEMA_ENGINE_BINARY: join(root, 'deploy', 'schema-engine-absent'),
        PRISMA_HIDE_UPDATE_MESSAGE: '1',
      }),
  },
  // The server verifies reports of encrypted messages with the code of the package, but depends on no package of the workspace:
  // in the image, these would need their own builds and bring what only clients need.
  share: {
    stamp: 'src/generated/e2ee/.stamp',
    inputs: ['packages/e2ee/src'],
    run: () => {
      rmSync('src/generated/e2ee', { recursive: true, force: true });
      mkdirSync('src/generated/e2ee', { recursive: true });
      shareWithImports('packages/e2ee/src', 'report.ts', 'src/generated/e2ee');
    },
  },
  build: {
    stamp: 'dist/.stamp',
    inputs: ['src', 'tsconfig.json', 'package-lock.json'],
    // `npm run check` checks the types, which takes five times as long.
    run: () => call(bin('tsc'), ['--noCheck']),
  },
  web: {
    stamp: 'dist/web/.stamp',
    inputs: [
      'web',
      'packages/client/src',
      'packages/e2ee/src',
      // What the app shares with the server.
      'src/core',
      'src/domain/search',
      'src/domain/summary',
      'deploy/web.mjs',
      'package-lock.json',
    ],
    // Vite would build for development with another NODE_ENV.
    run: () => call(process.execPath, ['deploy/web.mjs'], { NODE_ENV: 'production' }),
  },
  codegen: {
    stamp: 'test/generated/.stamp',
    inputs: ['schema.graphql', 'codegen.ts', 'test/clients', 'package-lock.json'],
    run: () => call(bin('graphql-codegen'), ['--errors-only']),
  },
};

/**
 * Common environments that differ from those of the developers, for `npm run test:environments`. The process gets the
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

/**
 * Tests with which `npm test` would take longer than five minutes: they start many processes or databases, repeat attacks,
 * wait for timeouts, retries and other tabs, or test the encryption of clients, whose keys take much CPU time.
 */
const longRuns = [
  'test/faults/',
  'test/attacks/',
  'test/packages/e2ee/',
  'test/process.test.ts',
  'test/first-run.test.ts',
  'test/seed.test.ts',
  'test/role.test.ts',
  'test/clients/follow.test.ts',
  'test/clients/templates.test.ts',
  'test/domain/media.processes.test.ts',
  'test/domain/media.s3.test.ts',
  'test/domain/summary/written.test.ts',
  'test/infra/migrations.test.ts',
  'test/infra/move.test.ts',
  'test/infra/pglite.test.ts',
  'test/infra/prepared-pglite.test.ts',
  'test/packages/client/encryption.test.ts',
  'test/packages/client/examples.test.ts',
  'test/packages/client/recovery.test.ts',
  'test/packages/client/relay.test.ts',
  'test/packages/client/tabs.test.ts',
  'test/server/memory-limits.test.ts',
  'test/server/request-time.test.ts',
];

/** Tests that try many cases: `npm run test:exhaustive` runs them in their long form. */
const manyCases = [
  'test/domain/account-races.test.ts',
  'test/domain/call.test.ts',
  'test/domain/message.histories.test.ts',
  'test/domain/notification-table.test.ts',
  'test/domain/permissions.test.ts',
  'test/domain/receipt.histories.test.ts',
  'test/domain/repeats.test.ts',
  'test/domain/search.histories.test.ts',
  'test/domain/summary/secrets.test.ts',
  'test/packages/e2ee/account.test.ts',
  'test/packages/e2ee/schedules.test.ts',
  'test/packages/e2ee/tampering-client.test.ts',
  'test/packages/e2ee/tampering.test.ts',
  'test/realtime/interleavings.test.ts',
  'test/realtime/personal-log.test.ts',
  'test/realtime/verify.test.ts',
];

/** The only test of the web app that `npm test` runs, because a browser takes much CPU time. */
const webSmoke = 'test/web/smoke.test.ts';
/** The tests of the web app that `npm run test:short` runs. `npm run test:web` runs all of them. */
const webInShort = [
  'test/web/calls.smoke.test.ts',
  'test/web/encryption-account.smoke.test.ts',
  'test/web/encryption.smoke.test.ts',
  'test/web/statuses.smoke.test.ts',
  'test/web/faults/tabs.test.ts',
  'test/web/firefox.test.ts',
];

/** The tests that `npm test` omits. */
const omitted = () => [
  ...longRuns.map((path) => (path.endsWith('/') ? `${path}**` : path)),
  ...readdirSync('test/web', { withFileTypes: true })
    .map((entry) => `test/web/${entry.name}${entry.isDirectory() ? '/**' : ''}`)
    .filter((path) => path !== webSmoke),
];

const excludes = (paths) => paths.flatMap((path) => ['--exclude', path]);

const commands = {
  /**
   * Starts the server in this process, so that it receives signals. package.json uses `exec`, because the shell that
   * npm starts would otherwise end on SIGTERM and leave this process running. (The part after `||` is for Windows,
   * which has no exec.)
   */
  start: {
    settings: true,
    needs: ['install', 'generate', 'share', 'build', 'web'],
    run: () => import('../dist/main.js'),
  },
  /** Starts the server, and restarts it after every change of its sources. */
  dev: {
    settings: true,
    needs: ['install', 'generate', 'share', 'build', 'web'],
    run: serveAndWatch,
  },
  seed: { settings: true, needs: ['install', 'generate', 'share', 'build'], run: () => import('../dist/seed.js') },
  /** Sets the service-wide role of a user: `npm run role -- <username> [ADMIN | MODERATOR | USER]`. */
  role: {
    settings: true,
    needs: ['install', 'generate', 'share', 'build'],
    run: (args) => {
      process.argv = [process.argv[0], 'role', ...args];
      return import('../dist/role.js');
    },
  },
  /** Shows why a user was or was not notified: `npm run notifications -- trace <messageId> <username>`. */
  notifications: {
    settings: true,
    needs: ['install', 'generate', 'share', 'build'],
    run: (args) => {
      process.argv = [process.argv[0], 'notifications', ...args];
      return import('../dist/notifications.js');
    },
  },
  /** Compares the stored files with the database: `npm run media -- verify`. */
  media: {
    settings: true,
    needs: ['install', 'generate', 'share', 'build'],
    run: (args) => {
      process.argv = [process.argv[0], 'media', ...args];
      return import('../dist/media.js');
    },
  },
  /** Applies missing migrations to the database. */
  migrate: {
    settings: true,
    needs: ['install', 'generate', 'share', 'build'],
    run: () => import('../dist/migrate.js'),
  },
  /** Copies the embedded database to PostgreSQL: `npm run move -- postgresql://…`. */
  move: {
    settings: true,
    needs: ['install', 'generate', 'share', 'build'],
    run: (args) => {
      process.argv = [process.argv[0], 'move', ...args];
      return import('../dist/move.js');
    },
  },
  /** Runs the test suite or the given files. */
  test: {
    needs: ['install', 'generate', 'share', 'build', 'web', 'codegen'],
    run: (args) => {
      return together([bin('vitest'), ['run', ...(namesTests(args) ? [] : excludes(omitted())), ...args]]);
    },
  },
  /** Runs the tests that `npm test` omits in their short forms, as CI does, and a part of those of the web app. */
  'test:short': {
    needs: ['install', 'generate', 'share', 'build', 'web', 'codegen'],
    run: (args) => together([bin('vitest'), ['run', ...longRuns, ...webInShort, ...args]]),
  },
  /** Runs all tests of the web app in a browser, or the given files. */
  'test:web': {
    needs: ['install', 'generate', 'share', 'build', 'web', 'codegen'],
    run: (args) => together([bin('vitest'), ['run', ...withFiles(args, 'test/web')]]),
  },
  /** Runs the fault tests with the durations of docs/FAULTS.md, all or the given files. */
  'test:faults': {
    needs: ['install', 'generate', 'share', 'build', 'web', 'codegen'],
    run: (args) => {
      process.env.FAULTS = 'long';
      return together([bin('vitest'), ['run', '--maxWorkers=1', ...withFiles(args, 'test/faults', 'test/web/faults')]]);
    },
  },
  /** Runs each attack for 20 seconds and asserts latencies, which the short form does not. */
  'test:attacks': {
    needs: ['install', 'generate', 'share', 'build', 'web', 'codegen'],
    run: (args) => {
      process.env.ATTACKS = 'long';
      return together([bin('vitest'), ['run', '--maxWorkers=1', ...withFiles(args, 'test/attacks/hostile.test.ts')]]);
    },
  },
  /**
   * Runs the tests that try many cases with ten times as many random cases, and with all cases in both modes; or only the
   * given files.
   */
  'test:exhaustive': {
    needs: ['install', 'generate', 'share', 'build', 'web', 'codegen'],
    run: (args) => {
      process.env.EXHAUSTIVE = '1';
      return together([bin('vitest'), ['run', ...withFiles(args, ...manyCases)]]);
    },
  },
  /** Runs the tests of `npm test` in both modes even where the database makes no difference, or only the given files. */
  'test:modes': {
    needs: ['install', 'generate', 'share', 'build', 'web', 'codegen'],
    run: (args) => {
      process.env.MODES = 'all';
      return together([bin('vitest'), ['run', ...(namesTests(args) ? [] : excludes(omitted())), ...args]]);
    },
  },
  /** Runs the suite in each environment below; arguments select tests as with `npm test`. */
  'test:environments': {
    needs: ['install', 'generate', 'share', 'build', 'web', 'codegen'],
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
  check: { needs: ['install', 'generate', 'share', 'build', 'web', 'codegen'], run: () => import('./check.mjs') },
  /** Writes schema.graphql. */
  schema: {
    needs: ['install', 'generate', 'share', 'build'],
    run: () => writeFileSync('schema.graphql', output(process.execPath, ['dist/print-schema.js'])),
  },
  /** Writes docs/CONFIGURATION.md and .env.example. */
  configuration: {
    needs: ['install', 'generate', 'share', 'build'],
    run: async () => {
      const { configurationFiles } = await import('./configuration.mjs');
      for (const [path, text] of Object.entries(configurationFiles())) writeFileSync(path, text);
    },
  },
  /** Generates the typed operations of the tests and, into files that are committed, those of the web app and of packages. */
  codegen: {
    needs: ['install', 'codegen'],
    run: async () => {
      call(bin('graphql-codegen'), ['--config', 'web/codegen.ts', '--errors-only']);
      const { clientFiles } = await import('./client.mjs');
      for (const [path, text] of Object.entries(await clientFiles())) {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, text);
      }
    },
  },
  /** Measures the quality and the speed of the embedded summarizer: docs/SUMMARIES.md. */
  'bench:summaries': {
    needs: ['install', 'generate', 'share', 'build'],
    run: () => import('../bench/summaries/run.mjs'),
  },
  /** Prepares only what a server needs, for the Dockerfile. */
  build: { needs: ['install', 'generate', 'share', 'build', 'web'], run: () => {} },
  prepare: { needs: ['install', 'generate', 'share', 'build', 'web', 'codegen'], run: () => {} },
};

const [name, ...args] = process.argv.slice(2);
const command = commands[name];
if (!command) {
  console.error(`usage: node deploy/run.mjs ${Object.keys(commands).join(' | ')}`);
  process.exit(2);
}
// Variables that are already set take precedence.
if (command.settings && existsSync('.env')) process.loadEnvFile('.env');
prepare(command.settings && process.env.WEB === 'off' ? command.needs.filter((need) => need !== 'web') : command.needs);
await command.run(args);

/**
 * Exits with a message if this version of Node is not supported, before installing packages that would fail without a
 * clear reason. The code above runs on Node 16.
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

/** Arguments for Vitest, with `files` unless the arguments name test files, because Vitest would run both. */
function withFiles(args, ...files) {
  return namesTests(args) ? args : [...files, ...args];
}

/**
 * Whether arguments for Vitest name test files. An argument after an option is the option's value, unless it is the
 * path of a file.
 */
function namesTests(args) {
  const tests = readdirSync('test', { recursive: true }).map((path) => join('test', path));
  return args.some((arg, index) => {
    if (arg.startsWith('-')) return false;
    if (existsSync(arg)) return true;
    const isValue = /^--?[^=]+$/.test(args[index - 1] ?? '');
    return !isValue && tests.some((path) => path.includes(arg));
  });
}

/** Copies a file of a package, and the files that it imports from the same folder. */
function shareWithImports(from, name, to) {
  if (existsSync(join(to, name))) return;
  const text = readFileSync(join(from, name), 'utf8');
  writeFileSync(join(to, name), text);
  for (const [, specifier] of text.matchAll(/^(?:import|export) [^;]*?from '([^']+)';$/gm)) {
    const file = /^\.\/([\w-]+)\.js$/.exec(specifier)?.[1];
    if (!file) throw new Error(`${from}/${name} imports ${specifier}, which the server does not have.`);
    shareWithImports(from, `${file}.ts`, to);
  }
}

function prepare(needs) {
  const pending = () => needs.map((need) => [need, steps[need]]).filter(([, step]) => !isUpToDate(step));
  if (pending().length === 0) return;
  const unlock = lock();
  try {
    // Checked again under the lock, because another process may have done it, and each step produces the inputs of the
    // next.
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

/** A digest of the files and of all files in the directories. Generated files can be inputs as well (of the build). */
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

/** Acquires the lock of this checkout. The lock of a process that no longer runs is replaced. */
function lock() {
  const path = 'dist/.lock';
  mkdirSync('dist', { recursive: true });
  for (let isReported = false; ; ) {
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
    if (!isReported) console.error('parley: another command is preparing this checkout; waiting for it');
    isReported = true;
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

/** Runs a step. Its output is shown only if it fails, which ends the command. */
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

/**
 * Rebuilds and restarts the server after every change of their sources. If the build fails, the running server is
 * kept.
 */
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
  for (const folder of ['src', 'web', 'packages/client/src', 'packages/e2ee/src', 'prisma']) {
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

/** Runs programs until the first of them ends, and exits with its status. Signals are forwarded to all. */
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
