#!/usr/bin/env node
// `npm run bench:web` measures the web app in Chromium against its targets. docs/WEB.md describes the measurements.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { atEnd, endAll, isEnding } from '../ending.mjs';
import { installPeers } from '../install.mjs';
import { describeMachine } from '../machine.mjs';
import { makeChat, sendFast, sendMany, sendSteadily } from './chat.mjs';
import * as measure from './measure.mjs';
import { judge, judgeFlat, judgeTime, judgeTimeAtRate } from './verdicts.mjs';

const { values } = parseArgs({
  options: {
    /** Uses small numbers, to check that the benchmark works. */
    quick: { type: 'boolean', default: false },
    /** Writes the figures into docs/WEB.md. */
    write: { type: 'boolean', default: false },
  },
});
const { quick } = values;
const sizes = {
  history: quick ? 600 : 10_000,
  arrivals: quick ? 300 : 10_000,
  rounds: quick ? 2 : 7,
  keys: quick ? 20 : 150,
  lighthouse: quick ? 1 : 3,
};

/** How many messages per second arrive while a user types. */
const PER_SECOND = 50;
const CATEGORIES = ['performance', 'accessibility', 'best-practices'];
const root = fileURLToPath(new URL('../..', import.meta.url));
const files = join(root, 'dist', 'web', 'files');

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startNode() {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'parley-bench-web-'));
  const env = {
    PATH: process.env.PATH,
    PORT: String(port),
    DATA_DIR: folder,
    RATE_LIMITS: 'off',
    BCRYPT_COST: '4',
    LOG_LEVEL: 'error',
  };
  const child = spawn(process.execPath, ['dist/main.js'], { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  atEnd(async () => {
    child.kill('SIGTERM');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}/`;
  while (
    !(await fetch(`${url}ready`).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null) throw new Error(`the node ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return url;
}

/** Starts a browser with an empty profile, in which one page is open. */
async function startBrowser() {
  const executablePath = [
    process.env.CHROMIUM,
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
  ].find((path) => path && existsSync(path));
  if (!executablePath) throw new Error('Chromium was not found. Install it, or set CHROMIUM to its path');
  const profile = mkdtempSync(join(tmpdir(), 'parley-bench-profile-'));
  const port = await freePort();
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    viewport: { width: 1280, height: 800 },
    locale: 'en-US',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-sync',
      `--remote-debugging-port=${port}`,
    ],
  });
  let closed;
  const close = () => {
    closed ??= context.close().then(() => rmSync(profile, { recursive: true, force: true }));
    return closed;
  };
  atEnd(close);
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(60_000);
  return { context, page, port, close };
}

async function signIn(page, url) {
  await page.goto(`${url}sign-in`);
  await page.locator('[name=usernameOrEmail]').fill('ada');
  await page.locator('[name=password]').fill('long enough');
  await page.keyboard.press('Enter');
  await page.locator('nav li').nth(1).waitFor();
}

/** The bytes after compression of the scripts and style sheets among the files that a page has requested. */
function sizesOf(paths) {
  const sum = (extension) =>
    [...new Set(paths.filter((path) => path.endsWith(extension)))]
      .map((path) => [`${path}.gz`, path].map((name) => join(files, name)).find((name) => existsSync(name)))
      .reduce((bytes, path) => bytes + statSync(path).size, 0);
  return { js: sum('.js'), css: sum('.css') };
}

const kb = (bytes) => `${(bytes / 1_000).toFixed(1)} KB`;
const ms = (value) => `${Math.round(value)} ms`;
const rows = [];
/** Adds a measurement. `ratio` compares it with a plain page in the same run. */
function add(what, target, value, verdict, ratio) {
  rows.push([what, target, value, ratio === undefined ? '' : ratio.toFixed(1), verdict]);
  console.log(rows.at(-1).join(' | '));
}

async function main() {
  installPeers(import.meta.url);
  const { default: lighthouse } = await import('lighthouse');
  const [machine, , , load] = describeMachine('web');
  const conditions = `${machine}; ${load}`;
  console.log(conditions);
  const url = await startNode();

  /** In a browser of its own, because nothing is painted in the tabs behind that of Lighthouse. */
  const audit = async (path, needsAccount) => {
    const browser = await startBrowser();
    if (needsAccount) await signIn(browser.page, url);
    const runs = [];
    for (let run = 0; run < sizes.lighthouse; run += 1) {
      const { lhr } = await lighthouse(`${url}${path}`, {
        port: browser.port,
        logLevel: 'error',
        onlyCategories: CATEGORIES,
        disableStorageReset: true,
      });
      runs.push(CATEGORIES.map((name) => Math.round(lhr.categories[name].score * 100)));
    }
    await browser.close();
    const scores = CATEGORIES.map((_, index) => measure.median(runs.map((run) => run[index])));
    add(
      `Lighthouse on mobile, \`/${path.replace(/^c\/.*/, 'c/…')}\`: performance, accessibility, best practices`,
      '≥ 95, 100, 95',
      scores.join(', '),
      judge(scores[0] >= 95 && scores[1] >= 100 && scores[2] >= 95),
    );
  };

  await audit('sign-in', false);
  const chat = await makeChat(url);
  await sendFast(chat, chat.big, 'message', sizes.history);
  await sendMany(chat, chat.small, 'other', 3);

  const { context, page } = await startBrowser();
  const cdp = await context.newCDPSession(page);
  await signIn(page, url);
  const { js, css } = sizesOf(await measure.requestedUntilList(page));
  add('Scripts until the list of conversations is shown, compressed', '≤ 60 KB', kb(js), judge(js <= 60_000));
  add('Style sheets, compressed', '≤ 12 KB', kb(css), judge(css <= 12_000));

  for (const [rate, limit] of [
    [1, 100],
    [4, 250],
  ]) {
    const plain = await measure.openPlain(page, cdp, rate, sizes.rounds);
    const app = await measure.openConversation(page, cdp, chat, rate, sizes.rounds);
    add(
      `From the click on a conversation of ${sizes.history.toLocaleString('en')} messages until it is painted${rate > 1 ? `, CPU ${rate} times slower` : ''}`,
      `≤ ${limit} ms`,
      ms(app),
      judgeTime(app, limit),
      app / plain,
    );
  }
  for (const [rate, limit] of [
    [1, 50],
    [4, 100],
  ]) {
    const plain = await measure.typePlain(page, cdp, rate, sizes.keys);
    await measure.showEnd(page, chat);
    const stop = sendSteadily(chat, chat.big, PER_SECOND);
    const app = await measure.type(page, cdp, rate, sizes.keys);
    const perSecond = await stop();
    add(
      `Interaction to next paint, 75th percentile of ${sizes.keys} keys while ${Math.round(perSecond)} messages arrive per second${rate > 1 ? `, CPU ${rate} times slower` : ''}`,
      `≤ ${limit} ms`,
      ms(app),
      judgeTimeAtRate(app, limit, perSecond, PER_SECOND),
      app / plain,
    );
  }

  await measure.showEnd(page, chat);
  const heaps = [];
  for (const part of ['first', 'second']) {
    await sendFast(chat, chat.big, `arrival ${part}`, sizes.arrivals / 2);
    await page.locator('article [data-text]').getByText(`arrival ${part} end`, { exact: true }).waitFor();
    heaps.push(await measure.memory(cdp));
  }
  const [half, full] = heaps;
  const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  add(
    `Heap after ${(sizes.arrivals / 2).toLocaleString('en')} and ${sizes.arrivals.toLocaleString('en')} arrivals`,
    '≤ 40 MB, not growing',
    `${mb(half.heap)}, ${mb(full.heap)}`,
    judgeFlat(half.heap, full.heap, 40e6),
  );
  add(
    'DOM nodes at the same times',
    '≤ 12,000, not growing',
    `${half.nodes.toLocaleString('en')}, ${full.nodes.toLocaleString('en')}`,
    judgeFlat(half.nodes, full.nodes, 12_000),
  );

  const offline = await measure.reloadOffline(page, context, sizes.rounds);
  add(
    'From a reload without a network until the stored data is painted',
    '≤ 400 ms',
    ms(offline),
    judgeTime(offline, 400),
  );

  await context.close();
  await audit(`c/${encodeURIComponent(chat.big)}`, true);
  if (values.write) write(conditions);
}

function write(conditions) {
  const path = join(root, 'docs', 'WEB.md');
  const head = ['What', 'Target', 'Measured', 'Ratio', ''];
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const table = [line(head), line(['---', '---', '---', '---', '---']), ...rows.map(line)].join('\n');
  const date = new Date().toISOString().slice(0, 10);
  const text = `${table}\n\nMeasured on ${date}: ${conditions}.`;
  const page = readFileSync(path, 'utf8');
  writeFileSync(
    path,
    page.replace(/(<!-- figures -->\n)[\s\S]*(?=\n<!-- end of the figures -->)/, (_, start) => `${start}\n${text}\n`),
  );
}

try {
  await main();
} catch (error) {
  if (!isEnding()) console.error(error);
  process.exitCode = 1;
} finally {
  await endAll();
}
