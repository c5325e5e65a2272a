import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, resolve } from 'node:path';
import type { Browser } from 'playwright-core';
import { build } from 'vite';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import type { RunningNode } from '../../../src/server/start.js';
import { browserFound, startBrowser, visit } from '../../support/browser.js';
import { registerAll } from '../../support/client.js';
import { atEnd } from '../../support/ending.js';
import { copyExample, packageAliases } from '../../support/examples.js';
import { makePlace, modes, type Place } from '../../support/place.js';
import { openDirect, send } from '../../support/talk.js';

// One mode is enough: clients see no difference between them.
const mode = modes.at(-1) ?? 'embedded';

/** Builds an application with Vite, and serves it on localhost. Returns its address. */
async function serve(folder: string): Promise<string> {
  await build({
    root: folder,
    configFile: false,
    logLevel: 'error',
    resolve: { alias: packageAliases },
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

describe.skipIf(!browserFound)('applications on the client', () => {
  let browser: Browser;
  let place: Place;
  let node: RunningNode;
  beforeAll(async () => {
    [browser, place] = await Promise.all([startBrowser(), makePlace(mode)]);
    node = await place.start();
  });

  /** A folder for an application, in which packages are found. */
  async function makeFolder(name: string): Promise<string> {
    const folder = join(inject('scratch'), `example-${name}`);
    await mkdir(join(folder, 'src'), { recursive: true });
    await symlink(resolve('node_modules'), join(folder, 'node_modules'));
    return folder;
  }

  it('the chat of the README lets two people talk, across a restart', { timeout: 120_000 }, async () => {
    const readme = await readFile('packages/client/README.md', 'utf8');
    const [, code = ''] = /```ts\n\/\/ src\/main\.ts\n(.*?)\n```/s.exec(readme) ?? [];
    expect(code.trim().split('\n').length).toBeLessThanOrEqual(40);
    expect(code).toContain("'http://localhost:4000/graphql'");
    const folder = await makeFolder('readme');
    await writeFile(join(folder, 'src/main.ts'), code.replace('http://localhost:4000/graphql', node.url));
    const html = '<div id="app"></div><script type="module" src="/src/main.ts"></script>';
    await writeFile(join(folder, 'index.html'), html);
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
