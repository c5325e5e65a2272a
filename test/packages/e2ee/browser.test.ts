import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import { build, type Rollup } from 'vite';
import { beforeAll, describe, expect, it } from 'vitest';
import type * as e2eeModule from '../../../packages/e2ee/src/index.js';
import { memoryLocks, memoryStorage, openE2ee } from '../../../packages/e2ee/src/index.js';
import { browserFound, startBrowser } from '../../support/browser.js';
import { atFileEnd } from '../../support/ending.js';
import { createFakeServer } from './fake-server.js';

type Answer = { data?: unknown; error?: { code?: string; reason?: string; field?: string } };

/** What the page has. */
interface Globals {
  e2ee: typeof e2eeModule;
  execute(document: string, variables: Record<string, unknown>): Promise<Answer>;
  opened: e2eeModule.E2ee;
  frozen: Promise<unknown>;
}

/** Serves the package on a page, as an application would contain it. */
async function servePackage(): Promise<string> {
  const entry = resolve('packages/e2ee/src/index.ts');
  const result = (await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      target: 'es2022',
      rolldownOptions: { input: entry, preserveEntrySignatures: 'strict', output: { codeSplitting: false } },
    },
  })) as Rollup.RollupOutput;
  const { code } = result.output[0];
  const server = createServer(({ url }, response) => {
    const isModule = url === '/e2ee.js';
    response.setHeader('content-type', isModule ? 'text/javascript' : 'text/html');
    response.end(isModule ? code : '<script type="module">window.e2ee = await import("/e2ee.js");</script>');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  atFileEnd(() => new Promise((done) => server.close(done)));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe.skipIf(!browserFound)('in Chromium', () => {
  let url: string;
  let context: BrowserContext;
  const server = createFakeServer();

  beforeAll(async () => {
    url = await servePackage();
    context = await (await startBrowser()).newContext();
    const execute = server.executeAs('alice');
    await context.exposeFunction('execute', async (document: string, variables: Record<string, unknown>) => {
      try {
        return { data: await execute(document, variables) };
      } catch (error) {
        const { code, reason, field } = error as NonNullable<Answer['error']>;
        return { error: { code, reason, field } };
      }
    });
  });

  /** A tab with the keys of Alice, which all tabs share. */
  async function openTab(): Promise<Page> {
    const page = await context.newPage();
    await page.goto(url);
    await page.waitForFunction(() => (globalThis as unknown as Globals).e2ee !== undefined);
    await page.evaluate(async () => {
      const page = globalThis as unknown as Globals;
      page.opened = await page.e2ee.openE2ee({
        storage: await page.e2ee.indexedDbStorage('alice'),
        execute: async (document, variables) => {
          const { data, error } = await page.execute(document, variables);
          if (error) throw error;
          return data;
        },
      });
      if (!(await page.opened.start())) await page.opened.setUp();
    });
    return page;
  }

  const send = (page: Page, id: string, texts: string[]) =>
    page.evaluate(
      async ([id, texts]) => {
        const conversation = (globalThis as unknown as Globals).opened.conversation(id as string);
        await Promise.all((texts as string[]).map((text) => conversation.send({ text }, { clientMessageId: text })));
      },
      [id, texts] as const,
    );

  it('tabs that share a device send at once, each message once, and all can be read', async () => {
    const bob = await openE2ee({ storage: memoryStorage(), locks: memoryLocks(), execute: server.executeAs('bob') });
    await bob.setUp();
    const { id, messages } = server.createConversation(['alice', 'bob']);
    await bob.conversation(id).enable();
    const tabs = [await openTab(), await openTab()];
    const own = (tab: number) => Array.from({ length: 5 }, (_, index) => `${tab}.${index}`);
    // The last text is sent by both.
    await Promise.all(tabs.map((page, index) => send(page, id, [...own(index), 'both'])));
    const texts = await Promise.all(
      messages.map(async (message) => (await bob.conversation(id).open(message)).content.text),
    );
    expect(texts.sort()).toEqual([...own(0), ...own(1), 'both']);
    expect([...server.devices.values()].filter(({ userId }) => userId === 'alice')).toHaveLength(1);
    // A tab that was closed leaves everything to the next one.
    await Promise.all(tabs.map((page) => page.close()));
    const next = await openTab();
    const read = await next.evaluate(
      ([id, message]) =>
        (globalThis as unknown as Globals).opened
          .conversation(id as string)
          .open(message as e2eeModule.EncryptedMessage)
          .then(({ content }) => content.text),
      [id, messages[0]] as const,
    );
    expect(texts).toContain(read);
    await next.close();
  });

  it('a tab takes over the lock of one that does not continue', async () => {
    const [frozen, waiting] = [await openTab(), await openTab()];
    await frozen.evaluate(() => {
      const page = globalThis as unknown as Globals;
      return new Promise<void>((started) => {
        const never = () => {
          started();
          return new Promise(() => {});
        };
        page.frozen = page.e2ee
          .webLocks()
          .run('lock', never)
          .catch((error) => error.name);
      });
    });
    const done = await waiting.evaluate(() =>
      (globalThis as unknown as Globals).e2ee.webLocks(200).run('lock', async () => 'done'),
    );
    expect(done).toBe('done');
    expect(await frozen.evaluate(() => (globalThis as unknown as Globals).frozen)).toBe('AbortError');
  });
});
