import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { connectionsIn, reportConnections } from './support/connections.js';
import { atEnd } from './support/ending.js';

const exec = promisify(execFile);

describe('the first command in a fresh clone', () => {
  /** Runs the command of `npm start` in a folder with the files that it reads first, on a simulated version of Node. */
  const startOn = async (version: string) => {
    const folder = join(inject('scratch'), `first-run-${version}`);
    await mkdir(folder);
    await cp('deploy', join(folder, 'deploy'), { recursive: true });
    await cp('package.json', join(folder, 'package.json'));
    const pretend = `Object.defineProperty(process, 'version', { value: '${version}' })`;
    const args = ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`, 'deploy/run.mjs', 'check-node'];
    const { code = 0, stderr } = await exec(process.execPath, args, { cwd: folder }).catch((error) => error);
    return { code, stderr: stderr as string, left: await readdir(folder) };
  };

  it.each(['v16.20.2', 'v18.20.8', 'v20.18.3', 'v21.7.3', 'v22.11.0', 'v23.11.1'])(
    'names what is wrong with Node %s, and installs nothing',
    async (version) => {
      const { code, stderr, left } = await startOn(version);
      expect(stderr).toMatch(/^parley: Node 20\.19, 22\.12, 24 or newer is needed; this is Node /);
      expect(stderr).toContain(`this is Node ${version.slice(1)}.`);
      expect({ code, left }).toEqual({ code: 1, left: ['deploy', 'package.json'] });
    },
  );

  it.each(['v20.19.0', 'v22.12.0', 'v24.0.0', 'v26.1.0'])('continues with Node %s', async (version) => {
    // The command does not exist, which is checked next.
    expect(await startOn(version)).toMatchObject({ code: 2, stderr: expect.stringMatching(/^usage: /) });
  });
});

/** Runs a command in a separate network namespace in which no address can be reached. */
const isolated = process.getuid?.() === 0 ? ['--net'] : ['--net', '--map-root-user'];
const isolationLacking =
  spawnSync('unshare', [...isolated, 'true']).status === 0 ? undefined : 'unshare --net is not permitted or not found';
if (isolationLacking !== undefined) console.log(`npm start without a network is not tested: ${isolationLacking}.`);

describe.skipIf(isolationLacking !== undefined)('npm start without a network', () => {
  it('generates, builds and serves without any attempt to connect to another host', { timeout: 240_000 }, async () => {
    const folder = join(inject('scratch'), 'isolated');
    await mkdir(folder);
    const generated = resolve('src/generated');
    for (const path of [
      'deploy',
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'prisma',
      'prisma.config.ts',
      'web',
      'packages',
    ]) {
      await cp(path, join(folder, path), { recursive: true });
    }
    await cp('src', join(folder, 'src'), { recursive: true, filter: (path) => resolve(path) !== generated });
    // Links to the packages instead of their folder, from which `npm ci` would delete them.
    await mkdir(join(folder, 'node_modules'));
    for (const name of await readdir('node_modules')) {
      if (name !== '.package-lock.json') {
        await symlink(resolve('node_modules', name), join(folder, 'node_modules', name));
      }
    }
    // Written last, so that nothing needs to be installed.
    await cp('node_modules/.package-lock.json', join(folder, 'node_modules', '.package-lock.json'));
    const child = spawn('unshare', [...isolated, 'npm', 'start'], {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        HOME: folder,
        NODE_OPTIONS: reportConnections,
        // The check of npm for a newer version of itself.
        npm_config_update_notifier: 'false',
        // The loopback interface of the namespace is down and has no address.
        HOST: '0.0.0.0',
        PORT: '0',
      },
    });
    atEnd(() => child.kill('SIGKILL'));
    const output = await outputUntilReady(child);
    // This includes programs other than Node, such as tsc.
    const counters = await readFile(`/proc/${child.pid}/net/snmp`, 'utf8');
    const [names = [], values = []] = [...counters.matchAll(/^Ip: (.*)$/gm)].map(([, line = '']) => line.split(' '));
    child.kill('SIGTERM');
    await once(child, 'exit');
    expect(output).toMatch(/^parley: generate/m);
    expect(output).toMatch(/^parley: build/m);
    expect(output).toMatch(/^parley: web/m);
    expect(output).toContain('Parley is ready: open http://0.0.0.0:');
    expect({ connections: connectionsIn(output), packetsWithoutRoute: values[names.indexOf('OutNoRoutes')] }).toEqual({
      connections: [],
      packetsWithoutRoute: '0',
    });
  });
});

/** The output of a process until it prints its URL. */
function outputUntilReady(child: ChildProcess): Promise<string> {
  let output = '';
  return new Promise((done, failed) => {
    const keep = (chunk: Buffer) => {
      output += chunk;
      if (/"url":"[^"]+"/.test(output)) done(output);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    child.once('exit', (code) => failed(new Error(`ended with ${code}: ${output}`)));
  });
}

describe('the image', () => {
  const dockerfile = readFileSync('Dockerfile', 'utf8');
  const lastStage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
  let folder: string;
  let running: ChildProcess | undefined;
  afterEach(() => {
    running?.kill('SIGKILL');
  });

  beforeAll(async () => {
    folder = join(inject('scratch'), 'image');
    await mkdir(folder);
    const copies = [...lastStage.matchAll(/^COPY (?:--from=\S+ )?(\S+) (\S+)$/gm)];
    expect(copies.length).toBeGreaterThan(3);
    for (const [, from = '', to = ''] of copies) {
      const source = from.replace(/^\/app\//, '');
      if (source !== 'node_modules')
        await cp(source, join(folder, to, to.endsWith('/') ? basename(source) : ''), { recursive: true });
    }
    // Only the packages that `npm ci --omit=dev --omit=optional` installs.
    const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean; peer?: boolean }>;
    };
    for (const [path, { dev, optional, devOptional }] of Object.entries(packages)) {
      if (dev || optional || devOptional || !/^node_modules\/(?:@[^/]+\/)?[^/]+$/.test(path)) continue;
      // The native libraries of sharp, which are copied as a whole.
      if (existsSync(join(folder, path))) continue;
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await symlink(resolve(path), join(folder, path));
    }
    await cp(inject('embeddedTemplate'), join(folder, 'data'), { recursive: true });
  });

  const env = () => ({
    PATH: process.env['PATH'] ?? '',
    NODE_ENV: 'production',
    NODE_OPTIONS: reportConnections,
    DATA_DIR: 'data',
    PORT: '0',
    JWT_SECRET: 'x'.repeat(32),
  });

  it('is built on a version of Node that package.json allows', () => {
    const versions = [...dockerfile.matchAll(/^FROM node:(\d+)-/gm)].map(([, version]) => version);
    expect(versions).toEqual(['24', '24']);
  });

  it('serves, is healthy, and opens only configured connections', { timeout: 90_000 }, async () => {
    const [, cmd] = /^CMD (\[.*\])$/m.exec(lastStage) ?? [];
    const [, check] = /^HEALTHCHECK[^\n]*\\\n\s*CMD (\[.*\])$/m.exec(lastStage) ?? [];
    const [program = '', ...args] = JSON.parse(cmd ?? '') as string[];
    const child = spawn(program, args, { cwd: folder, env: env() });
    running = child;
    let output = '';
    const url = await new Promise<string>((done, failed) => {
      const hear = (chunk: Buffer) => {
        output += chunk;
        const [, found] = /"url":"([^"]+)"/.exec(output) ?? [];
        if (found !== undefined) done(found);
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('exit', (code) => failed(new Error(`ended with ${code}: ${output}`)));
    });
    const [node = '', ...healthArgs] = JSON.parse(check ?? '') as string[];
    await exec(node, healthArgs, { env: { ...env(), PORT: new URL(url).port } });
    expect(await (await fetch(url, { headers: { accept: 'text/html' } })).text()).toContain('<div id="app">');
    child.kill('SIGTERM');
    await once(child, 'exit');
    expect(connectionsIn(output)).toEqual([]);
  });

  it('contains the commands that the documentation names', { timeout: 90_000 }, async () => {
    const docs = ['README.md', 'Dockerfile', 'docker-compose.yml', 'docs/OPERATIONS.md', 'docs/PERMISSIONS.md'];
    const named = docs.flatMap((path) => [...readFileSync(path, 'utf8').matchAll(/\bnode (dist\/[\w-]+\.js)/g)]);
    const commands = new Set(named.map(([, command = '']) => command));
    expect([...commands].sort()).toEqual(['dist/media.js', 'dist/migrate.js', 'dist/notifications.js', 'dist/role.js']);
    // Each command loads all of its code, and fails because there is no database.
    const outcome = async (args: string[]) => {
      const DATABASE_URL = 'postgresql://127.0.0.1:1/parley';
      const { code, stderr } = await exec('node', args, { cwd: folder, env: { ...env(), DATABASE_URL } }).catch(
        (error) => error,
      );
      return { code, said: stderr as string };
    };
    for (const args of [
      ['dist/migrate.js'],
      ['dist/media.js', 'verify'],
      ['dist/role.js', 'somebody', 'ADMIN'],
      ['dist/notifications.js', 'trace', 'Message_AAAAAAAAAAAAAAAAAAAAAA', 'somebody'],
    ]) {
      expect(await outcome(args)).toEqual({ code: 1, said: expect.stringMatching(/^parley: DATABASE_URL: /) });
    }
  });

  it('does not contain the demo dialogues, which the seed command reports', async () => {
    expect(await readdir(folder)).not.toContain('deploy');
    const seed = (NODE_ENV: string) =>
      exec('node', ['dist/seed.js'], { cwd: folder, env: { ...env(), NODE_ENV } }).catch((error) => error);
    expect(await seed('production')).toMatchObject({ code: 78, stderr: expect.stringMatching(/^parley: NODE_ENV: /) });
    expect(await seed('development')).toMatchObject({
      code: 78,
      stderr: expect.stringMatching(/^parley: The demo dialogues are missing: \S+\.txt does not exist\. /),
    });
  });
});
