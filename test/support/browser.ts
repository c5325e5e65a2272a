import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { atEnd } from './ending.js';

/** Where Debian, Ubuntu, Fedora and macOS install Chromium or Chrome. */
const candidates = [
  process.env['CHROMIUM'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];
const executablePath = candidates.find((path) => path !== undefined && existsSync(path));
if (!executablePath) {
  const message = 'Chromium was not found. Install it, or set CHROMIUM to its path';
  if (process.env['REQUIRE_SERVICES'] === '1') throw new Error(`REQUIRE_SERVICES: ${message}.`);
  console.log(`The web app is not tested in a browser: ${message}.`);
}

/** For tests that need a browser: `describe.skipIf(!browserFound)`. */
export const browserFound = executablePath !== undefined;

/** Starts a browser, which is closed at the end of the file. */
export async function startBrowser(more: readonly string[] = []): Promise<Browser> {
  if (executablePath === undefined) throw new Error('there is no browser');
  const browser = await chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...more,
    ],
  });
  atEnd(() => browser.close());
  return browser;
}

export interface Visit {
  page: Page;
  /** The errors that the page has logged, violations of its content security policy among them. */
  errors: string[];
}

export interface VisitOptions extends BrowserContextOptions {
  /** Called with the context before its first page is opened. */
  prepare?: (context: BrowserContext) => Promise<unknown>;
}

/**
 * Opens the app in a browser context of its own, like another person on another machine. The context is closed at the end
 * of the test.
 */
export async function visit(browser: Browser, url: string, { prepare, ...options }: VisitOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-US', ...options });
  atEnd(() => context.close());
  await prepare?.(context);
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    // A status such as 400 of an expected error of an operation is logged by the browser itself.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      errors.push(message.text());
  });
  await page.goto(url);
  return { page, errors };
}

/** Fails if the element is not focused, or is not described by a text. */
export async function expectFieldError(page: Page, name: string, text: string | RegExp): Promise<void> {
  const field = page.locator(`[name="${name}"]`);
  await field.and(page.locator('[aria-invalid="true"]')).waitFor();
  const described = await field.evaluate((element) =>
    (element.getAttribute('aria-describedby') ?? '')
      .split(' ')
      .map((id) => document.getElementById(id)?.textContent)
      .join(' '),
  );
  expect(described).toMatch(text);
}
