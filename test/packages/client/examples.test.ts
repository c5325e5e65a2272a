import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Browser } from 'playwright-core';
import { build } from 'vite';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import type { RunningNode } from '../../../src/server/start.js';
import { browserFound, startBrowser, visit } from '../../support/browser.js';
import { registerAll } from '../../support/client.js';
import { atEnd } from '../../support/ending.js';
import { compileErrors, copyExample, installPackage, viteProject } from '../../support/examples.js';
import { makePlace, modes, type Place } from '../../support/place.js';
import { openDirect, send } from '../../support/talk.js';

// One mode is enough, because the modes make no difference for clients.
const mode = modes.at(-1) ?? 'embedded';

/** Builds an application with Vite, and serves it on localhost. Returns its address. */
async function serve(folder: string): Promise<string> {
  await build({
    root: folder,
    configFile: false,
    logLevel: 'error',
    build: { outDir: 'dist' },
  });
  const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' };
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const name = path === '/' ? '/index.html' : path;
    try {
      const body = await readFile(join(folder, 'dist', name));
      response.setHeader('content-type', types[extname(name)] ?? 'application/octet-stream');
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((done) => void server.listen(0, 'localhost', done));
  atEnd(() => void server.close());
  return `http://localhost:${(server.address() as AddressInfo).port}/`;
}

/** The folder in which the package is installed, and the name of its archive. */
let installed: string;
let archive: string;
beforeAll(async () => {
  installed = await mkdtemp(join(inject('scratch'), 'installed-'));
  archive = await installPackage(installed);
});

/** A folder for an application, in which the installed package is found. */
async function makeFolder(name: string): Promise<string> {
  const folder = join(installed, name);
  await mkdir(join(folder, 'src'), { recursive: true });
  return folder;
}

describe('the archive that npm packs', () => {
  it('has the name that the documentation contains', async () => {
    for (const page of ['packages/client/README.md', 'docs/CLIENTS.md']) {
      expect(await readFile(page, 'utf8')).toContain(`parley/${archive}`);
    }
  });

  it('has entry points that can be imported, with complete types', { timeout: 60_000 }, async () => {
    const { exports } = JSON.parse(await readFile('packages/client/package.json', 'utf8'));
    const names = Object.keys(exports).filter((name) => !name.endsWith('.json'));
    expect(names.length).toBeGreaterThan(10);
    const folder = await makeFolder('entries');
    const lines = names.map((name, index) => {
      const specifier = name.replace('.', '@parley/client');
      return `import * as entry${index} from '${specifier}';\nif (Object.keys(entry${index}).length === 0) throw new Error();`;
    });
    await writeFile(join(folder, 'src/main.ts'), lines.join('\n'));
    // Otherwise the compiler would not report that a declaration imports a missing one. It also reports errors of others.
    const compilerOptions = { ...viteProject.compilerOptions, types: [], skipLibCheck: false };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ ...viteProject, compilerOptions }));
    const errors = (await compileErrors(folder)).split('\n');
    expect(errors.filter((line) => /@parley.client|entries.src/.test(line))).toEqual([]);
    await writeFile(join(folder, 'main.js'), lines.join('\n'));
    await promisify(execFile)(process.execPath, [join(folder, 'main.js')]);
  });
});

describe.skipIf(!browserFound)('applications on the client', () => {
  let browser: Browser;
  let place: Place;
  let node: RunningNode;
  beforeAll(async () => {
    [browser, place] = await Promise.all([startBrowser(), makePlace(mode)]);
    node = await place.start();
  });

  it('the chat of the README lets two people talk, across a restart', { timeout: 120_000 }, async () => {
    const readme = await readFile('packages/client/README.md', 'utf8');
    const [, code = ''] = /```ts\n\/\/ src\/main\.ts\n(.*?)\n```/s.exec(readme) ?? [];
    expect(code.trim().split('\n').length).toBeLessThanOrEqual(40);
    expect(code).toContain("'http://localhost:4000/graphql'");
    const folder = await makeFolder('readme');
    await writeFile(join(folder, 'src/main.ts'), code.replace('http://localhost:4000/graphql', node.url));
    const html = '<div id="app"></div><script type="module" src="/src/main.ts"></script>';
    await writeFile(join(folder, 'index.html'), html);
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(viteProject));
    expect(await compileErrors(folder)).toBe('');
    const address = await serve(folder);

    const [mine, theirs] = await Promise.all([visit(browser, address), visit(browser, address)]);
    for (const [{ page }, name] of [
      [mine, 'ana'],
      [theirs, 'ben'],
    ] as const) {
      await page.fill('#enter [name=username]', name);
      await page.fill('#enter [name=password]', 'correct horse');
      await page.click('#enter button');
      await page.waitForFunction(() => document.querySelector<HTMLInputElement>('#enter input')?.value === '');
    }
    await mine.page.fill('#find input', 'ben');
    await mine.page.click('#find button');
    await mine.page.waitForFunction(() => document.querySelector<HTMLInputElement>('#find input')?.value === '');
    const write = async ({ page }: typeof mine, text: string) => {
      await page.fill('#send input', text);
      await page.click('#send button');
    };
    await write(mine, 'Hello Ben');
    await theirs.page.getByText('They: Hello Ben').waitFor();
    await node.stop();
    await write(mine, 'Are you there?');
    node = await place.start({ PORT: new URL(node.url).port });
    await theirs.page.getByText('They: Are you there?').waitFor();
    await write(theirs, 'I am');
    await mine.page.getByText('They: I am').waitFor();
    expect(await mine.page.locator('li').count()).toBe(3);
    expect([mine.errors, theirs.errors].flat().filter((error) => !error.includes('WebSocket connection'))).toEqual([]);
  });

  it.each(['apollo', 'urql'])(
    'the example %s shows what is sent, across a restart',
    { timeout: 120_000 },
    async (name) => {
      const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
      const id = await openDirect(ana, ben);
      await send(ana, id, 'before');
      const folder = await makeFolder(name);
      await cp(join('packages/client/examples', name, 'index.html'), join(folder, 'index.html'));
      await copyExample(name, join(folder, 'src'));
      const address = await serve(folder);
      const { page, errors } = await visit(browser, `${address}?server=${encodeURIComponent(node.url)}`);
      await page.fill('[name=username]', ben.username);
      await page.fill('[name=password]', ben.password);
      await page.click('#sign-in button');
      await page.getByText(': before').waitFor();
      await page.fill('[name=text]', 'from the example');
      await page.click('#send button');
      await page.getByText(': from the example').waitFor();
      await node.stop();
      node = await place.start({ PORT: new URL(node.url).port });
      await send(ana, id, 'after');
      await page.getByText(': after').waitFor();
      expect(await page.locator('li').allTextContents()).toHaveLength(3);
      expect(errors.filter((error) => !error.includes('WebSocket connection'))).toEqual([]);
    },
  );
});
